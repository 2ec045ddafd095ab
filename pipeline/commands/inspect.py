"""The command ``bronze-copier inspect``: look at one ledger, one partition or one lake object."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bronze.errors import ConfigError, StoreError
from pipeline.commands.configured import CONFIG_OPTIONS, load_settings, log_without_settings
from pipeline.commands.options import JSON, Options, argument, flag, option
from pipeline.exit_status import DONE, UNCHECKED, UNDONE

if TYPE_CHECKING:
    from bronze.dataset.published_tables import PublishedTable

DESCRIPTION = """\
Shows one ledger (its number), one partition (first-last) or one lake object (its path or URL), wherever it lies: header
fields, counts, hashes and whether they hold, who signed. Ledgers and partitions are looked for below URL (a bronze
prefix: a path, s3:// or gs://), or where the configuration publishes. One ledger costs a few range requests.
"""
EXAMPLES = """\
  bronze-copier inspect 63092990 --config config.yaml
  bronze-copier inspect 2-10001 s3://bucket/bronze --json
"""
EXIT_STATUS = """\
  0  found, and its hashes hold
  1  it is not there, is damaged, or a hash or the signature under --passphrase does not hold
  2  the configuration or the command line is wrong, or nothing that is published holds the ledger
  3  it could not be read (unreachable, denied)
"""
#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/inspect/1"


OPTIONS: tuple[click.Parameter, ...] = (
    argument("what", metavar="WHAT"),
    argument("url", metavar="[URL]", required=False, default=""),
    *CONFIG_OPTIONS,
    option("--passphrase", default="", metavar="TEXT", help="of the network, to check the signature with"),
    option("--endpoint", metavar="URL", help="of the object store"),
    option("--region", metavar="NAME", help="of the bucket"),
    flag("--anonymous", help="send no credentials"),
    option("--xdr", convert=Path, metavar="FILE", help="write the raw bytes of the ledger there"),
    JSON,
)


def run(options: Options) -> int:
    """Print what was found; what cannot be read is status 3."""
    from bronze.verify.finding import is_unreadable
    from pipeline.telemetry.logs import report_error

    log_without_settings(options)  # as the configuration says, once it is read
    try:
        found, raw = _look(options)
    except (StoreError, OSError) as error:
        if not is_unreadable(error):
            raise
        report_error(error)
        return UNCHECKED
    if options.xdr is not None:
        if len(raw) != 1:
            raise ConfigError(f"--xdr writes one ledger, but {options.what} has {len(raw)}: name the ledger")
        options.xdr.write_bytes(raw[0])
    status = DONE if all(map(_holds, found)) else UNDONE
    _print(found, raw, status, as_json=options.as_json)
    return status


def _look(options: Options) -> tuple[list[dict[str, Any]], list[bytes]]:
    """What is looked at, an entry for each ledger or partition, and the close metas of ledgers."""
    from pipeline.launch.inspection import inspect_ledger, inspect_object, inspect_partition

    passphrase = options.passphrase or None
    raw: list[bytes] = []
    if re.fullmatch(r"[0-9]{1,10}", options.what):
        table = _table(options, int(options.what), int(options.what))
        raw = [table.read_ledger(int(options.what))]
        partition = table.partition_of(int(options.what))
        assert partition is not None
        where = table.dataset.object_url(table.dataset.parquet_key(table.era, partition))
        found = [inspect_ledger(raw[0], where, passphrase)]
    elif match := re.fullmatch(r"([0-9]{1,10})-([0-9]{1,10})", options.what):
        table = _table(options, int(match[1]), int(match[2]))
        partition = table.partition_of(int(match[1]))
        if partition is None or str(partition) != options.what:
            raise ConfigError(f"{options.what} is not a partition of {table.era.chain}; {partition} is")
        found = [inspect_partition(table, partition)]
    else:
        found, raw = inspect_object(options.what, passphrase, **_reach(options))
    return found, raw


def _reach(options: Options) -> dict[str, Any]:
    return {name: getattr(options, name) for name in ("endpoint", "region", "anonymous")}


def _table(options: Options, first: int, last: int) -> PublishedTable:
    """The table that has a partition with these ledgers.

    Raises:
        ConfigError: none has, or several.
    """
    from pipeline.launch.audit import configured_targets, find_tables_at, location_of

    if options.url:
        tables = find_tables_at(location_of(options.url, **_reach(options)))
    else:
        if any(_reach(options).values()):
            raise ConfigError("--endpoint, --region and --anonymous are of URL; the configuration has its own settings")
        settings = load_settings(options, needs_lake=False)
        targets, _ = configured_targets(settings, [], needs_lake=False, chain=None)
        chains = {target.era.chain for target in targets}
        tables = [
            table
            for table in find_tables_at(targets[0].location, targets[0].prefix)
            if table.era.chain in chains and table.dataset.table == targets[0].table
        ]
    holding = [table for table in tables if table.partition_of(first)]
    if not holding:
        what = f"ledger {first}" if first == last else f"{first}-{last}"
        raise ConfigError(f"no partition that is published there holds {what}")
    if len(holding) > 1:
        names = ", ".join(f"{table.era.chain}/{table.dataset.table}" for table in holding)
        raise ConfigError(f"several tables hold it ({names}): name one of them by its configuration")
    return holding[0]


def _holds(entry: dict[str, Any]) -> bool:
    if entry["kind"] == "partition":
        same = entry["rows"] == entry["rows_by_manifest"] and entry["bytes"] == entry["bytes_by_manifest"]
        return bool(same and not entry["schema_differences"])
    return bool(entry["hashes"] == "hold" and entry["signature"] != "does not hold for the given passphrase")


def _print(found: list[dict[str, Any]], raw: list[bytes], status: int, *, as_json: bool) -> None:
    from pipeline.commands.output import print_json, print_lines

    if as_json:
        document = [{"schema": SCHEMA, "exit_status": status, **entry} for entry in found]
        if raw:
            from stellar_sdk import xdr as stellar_xdr

            for entry, data in zip(document, raw, strict=True):
                decoded = stellar_xdr.LedgerCloseMeta.from_xdr_bytes(data)
                entry["decoded"] = decoded.to_json_dict()  # type: ignore[no-untyped-call]
        print_json(document if len(document) != 1 else document[0])
    else:
        print_lines(line for entry in found for line in _lines(entry))


def _lines(entry: dict[str, Any]) -> Iterator[str]:
    for name, value in entry.items():
        shown = json.dumps(value) if isinstance(value, dict | list) else "" if value is None else value
        yield f"{name:22}{shown}".rstrip()
    yield ""
