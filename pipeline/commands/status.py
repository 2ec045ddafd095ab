"""The command ``bronze-copier status``: how far each era is, and whether that is far enough."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import click

from bronze.commit.anchoring import Standing
from pipeline.commands.authentic_text import anchoring_document, anchoring_words, attestation_words
from pipeline.commands.configured import CONFIG_OPTIONS, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options, option, seconds, whole_number
from pipeline.exit_status import DONE, UNCHECKED, UNDONE
from pipeline.sizes import number_of

if TYPE_CHECKING:
    from pipeline.launch.status import EraStatus

DESCRIPTION = """\
Shows how far each era is: published partitions, gaps and overlaps, the last committed ledger and how old that is, the
chain of events and what of it is not yet delivered or recorded, and how far the lake's newest ledger is ahead. Reads no
ledger, writes nothing; as a health check with --max-age and --max-lag.
"""
EXAMPLES = """\
  bronze-copier status --config config.yaml
  bronze-copier status --config config.yaml --max-age 3600 --json
"""
EXIT_STATUS = """\
  0  everything could be read, no ledgers are left out, and no limit is exceeded
  1  a gap, ledgers that are published twice, a partition without its file, a limit is exceeded, or a history archive
     contradicts what was copied
  2  the configuration or the command line is wrong
  3  something could not be read (the lake, the destination, a checkpoint, the catalog)
"""
#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/status/1"
#: Problems of an era that people are shown.
_LISTED = 20


OPTIONS: tuple[click.Parameter, ...] = (
    *CONFIG_OPTIONS,
    JSON,
    option(
        "--max-age", convert=seconds, metavar="SECONDS", help="exit 1 when the last commit is older, or there was none"
    ),
    option(
        "--max-lag",
        convert=whole_number,
        metavar="LEDGERS",
        help="exit 1 when the lake's newest ledger is further ahead",
    ),
)


def run(options: Options) -> int:
    """Print the status of each era."""
    settings = load_settings(options, needs_lake=True)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.launch.status import configured_status

    found = configured_status(settings, chosen_eras(options))
    unmet = {one.chain: unmet_limits(one, options.max_age, options.max_lag) for one in found}
    status = exit_status(found, unmet)
    if options.as_json:
        document = {
            "schema": SCHEMA,
            "exit_status": status,
            "eras": [{**_plain(one), "unmet": unmet[one.chain]} for one in found],
        }
        print_json(document)
    else:
        print_lines(line for one in found for line in status_lines(one, unmet[one.chain]))
    return status


def unmet_limits(status: EraStatus, max_age: float | None, max_lag: int | None) -> list[str]:
    """Which limits the era exceeds, a sentence each; what is not known exceeds no limit but `max_age`."""
    found = []
    if max_age is not None and (status.age_s is None or status.age_s > max_age):
        age = "nothing was committed yet" if status.age_s is None else f"the last commit is {status.age_s:,.0f} s old"
        found.append(f"{age}, at most {max_age:,.0f} s are allowed")
    if max_lag is not None and status.lag is not None and status.lag > max_lag:
        found.append(f"{status.lag:,} ledgers behind the lake, at most {max_lag:,} are allowed")
    return found


def exit_status(found: Sequence[EraStatus], unmet: dict[str, list[str]]) -> int:
    """What is wrong wins over what could not be read."""
    contradicted = any(one.anchoring.of(Standing.CONTRADICTS) for one in found if one.anchoring)
    if any(one.gaps or one.problems for one in found) or any(unmet.values()) or contradicted:
        return UNDONE
    return UNCHECKED if any(one.failures for one in found) else DONE


def status_lines(status: EraStatus, unmet: Sequence[str]) -> Iterator[str]:
    """The status of one era for people."""
    yield f"era {status.chain} (ledgers {status.ledger_start}-{status.ledger_end or ''})"
    reach = f", ledgers {status.first}-{status.last}" if status.partitions else ""
    yield f"  published    {number_of(status.partitions, 'partition')}{reach}"
    for gap in status.gaps:
        yield (
            f"  gap          ledgers {gap}: set last_committed_ledger of the checkpoint to {max(gap.start - 1, 0)}, and"
            " `bronze-copier run` copies them"
        )
    for sentence in status.problems[:_LISTED]:
        yield f"  wrong        {sentence}"
    if len(status.problems) > _LISTED:
        yield f"               and {len(status.problems) - _LISTED:,} more (--json names all)"
    if status.committed is None:
        yield "  committed    nothing"
    else:
        age = "" if status.age_s is None else f", {status.age_s:,.0f} s ago ({status.updated_at})"
        yield f"  committed    up to ledger {status.committed}{age}"
    if status.head:
        count = "" if status.events is None else f"{number_of(status.events, 'event')}, "
        yield f"  chain        {count}head {status.head}"
    if status.undelivered is not None:
        yield f"  undelivered  {number_of(status.undelivered, 'event')}" + (
            ": `bronze-copier deliver` sends them" if status.undelivered else ""
        )
    if status.unrecorded is not None:
        yield f"  unrecorded   {number_of(status.unrecorded, 'partition')}" + (
            ": the next run records them in the catalog" if status.unrecorded else ""
        )
    if status.signed_through is not None:
        yield f"  signed       through ledger {status.signed_through}"
    if status.attestation is not None:
        yield f"  attested     {attestation_words(status.attestation).removeprefix('attested ')}"
    if status.anchoring is not None:
        yield f"  anchored     archives {anchoring_words(status.anchoring)}"
        yield from (f"  archive      {one.error}" for one in status.anchoring.archives if one.error)
    if status.newest is not None:
        yield f"  lake         newest ledger {status.newest}, {status.lag:,} ledgers ahead"
    for sentence in unmet:
        yield f"  limit        {sentence}"
    for sentence in status.failures:
        yield f"  unknown      {sentence}"


def _plain(status: EraStatus) -> dict[str, Any]:
    plain = dataclasses.asdict(status)
    del plain["anchoring"]
    return {**plain, **anchoring_document(status.anchoring)}
