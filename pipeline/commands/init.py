"""The command ``bronze-copier init``: look at a lake, and write a configuration that copies it."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bronze.errors import ConfigError, ConflictError
from bronze.partitioning.path_names import SEGMENT_RULE, is_plain_segment
from bronze.producer import this_producer
from pipeline.commands.configured import VERBOSITY, log_without_settings
from pipeline.commands.options import JSON, Options, flag, option, whole_number
from pipeline.exit_status import DONE

DESCRIPTION = """\
Looks at a lake (its .config.json, and one listing from each end) and writes a commented configuration that copies all
of it, with absolute places. The lake may be a directory, s3://bucket/prefix or gs://bucket/prefix. Reads no ledger.
"""
EXAMPLES = """\
  bronze-copier init --lake /lakes/pubnet --out /etc/bronze-copier/config.yaml --destination /lakehouse
  bronze-copier init --lake s3://aws-public-blockchain/v1.1/stellar/ledgers/pubnet --region us-east-2 --anonymous
"""
EXIT_STATUS = """\
  0  the configuration is written
  1  the lake cannot be read, is empty or no lake, or the file exists (--force replaces it)
  2  the command line is wrong, or the network's name is needed
"""
#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/init/1"


def _plain_name(text: str) -> str:
    if not is_plain_segment(text):
        raise ValueError(f"{text!r} is not a plain name: {SEGMENT_RULE}")
    return text


def _size(text: str) -> int:
    if not 1 <= whole_number(text) <= 1_000_000_000:
        raise ValueError(f"{text!r} is not a number of ledgers")
    return int(text)


OPTIONS: tuple[click.Parameter, ...] = (
    option("--lake", metavar="URL", required=True, help="the lake's root: a directory, s3://… or gs://…"),
    option("--out", metavar="FILE", convert=Path, default=Path("config.yaml"), help="the file (default config.yaml)"),
    option(
        "--destination",
        metavar="URL",
        default="",
        help="where everything is written: a directory, s3://… or gs://… (default: lakehouse/ beside the file)",
    ),
    option("--network", metavar="NAME", convert=_plain_name, help="of the network; needed where the lake tells none"),
    option("--era", metavar="NAME", convert=_plain_name, default="main", help="name of the era (default main)"),
    option("--partition-size", metavar="N", convert=_size, default=10_000, help="ledgers in each file (default 10000)"),
    option("--endpoint", metavar="URL", help="of the S3 service, for the lake and the destination"),
    option("--region", metavar="NAME", help="of the S3 buckets, for the lake and the destination"),
    flag("--anonymous", help="read the lake without credentials"),
    flag("--force", help="replace the file when it exists"),
    *VERBOSITY,
    JSON,
)


def _reach(options: Options, url: str) -> dict[str, Any]:
    """How the place at `url` is reached: a configuration says that of S3 only."""
    return {"endpoint": options.endpoint, "region": options.region} if url.startswith("s3://") else {}


def run(options: Options) -> int:
    """Write the configuration, and print what the lake is and what to do next."""
    from pipeline.commands.output import print_json, print_lines, write_atomically
    from pipeline.launch.audit import location_of
    from pipeline.launch.lake_facts import read_lake_facts
    from pipeline.launch.new_configuration import Wishes, configuration_text
    from pipeline.settings.load import load

    log_without_settings(options)
    out = Path(os.path.abspath(options.out))  # noqa: PTH100 - resolves "..", but no symbolic links
    if os.path.lexists(out) and not (options.force and out.is_file()):
        raise ConflictError(f"{out} exists: give another --out, or --force to replace it")
    if not out.parent.is_dir():
        raise ConfigError(f"--out: {out.parent} is not a directory")
    wanted = options.destination or str(out.parent / "lakehouse")
    location = location_of(options.lake, **_reach(options, options.lake), anonymous=options.anonymous)
    destination = location_of(wanted, **_reach(options, wanted), must_exist=False)
    if (options.endpoint or options.region) and "s3" not in (location.scheme, destination.scheme):
        raise ConfigError("--endpoint and --region are of S3, where neither the lake nor the destination is")
    lake = read_lake_facts(location, options.network or "")
    wishes = Wishes(destination=destination, era_id=options.era, partition_size=options.partition_size)
    day = datetime.now(UTC).date().isoformat()
    write_atomically(
        out, configuration_text(lake, wishes, version=this_producer().version, made_at=day), replaces=options.force
    )
    load(out, {})  # what is written is accepted
    if options.as_json:
        print_json(
            {
                "schema": SCHEMA,
                "exit_status": DONE,
                "file": str(out),
                "lake": location.url,
                "destination": destination.url,
                "network": lake.network,
                "passphrase": lake.passphrase,
                "first": lake.first,
                "last": lake.last,
                "ledgers_per_file": lake.layout.ledgers_per_file,
                "files_per_directory": lake.layout.files_per_directory,
            }
        )
    elif not options.quiet:
        print_lines(
            [
                f"lake         {location.url}: {lake.network}, ledgers {lake.first}-{lake.last}",
                f"destination  {destination.url}",
                f"written      {out}",
                "next         read it, then:",
                f"  bronze-copier --validate --config {out}",
                f"  bronze-copier plan --config {out}",
                f"  bronze-copier run --config {out}",
            ]
        )
    return DONE
