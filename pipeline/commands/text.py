"""What the commands print: the plan, the totals of a run, the result of a verification.

Each line of a summary begins with a label of one word in a column of its own (``partitions``, ``failed``, ``gap``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest

from bronze.authenticity.quorum import Attestation
from bronze.commit.anchoring import Anchoring
from bronze.commit.existence import Existence
from bronze.commit.position import ChainPosition
from bronze.outcomes import Outcome
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan
from pipeline.commands.authentic_text import authentic_lines
from pipeline.commands.forecast_text import forecast_lines, total_lines
from pipeline.launch.forecast import EraForecast
from pipeline.launch.places import find_places
from pipeline.launch.prepare import Prepared
from pipeline.sizes import format_rate, format_size, number_of
from pipeline.telemetry.totals import Totals

#: Failures, pending partitions and gaps that are listed one by one; the rest is counted.
_LISTED = 20


def start_lines(prepared: Prepared, settings_file: str) -> Iterator[str]:
    """What a run is.

    Args:
        settings_file: empty where the environment alone has the settings.
    """
    run, lake = prepared.job.run, prepared.job.source
    yield f"run          {run.run_id} of {run.producer.name} {run.producer.version} ({run.producer.git_sha})"
    yield f"settings     {settings_file or 'of the environment'}"
    if lake is not None:
        yield f"checked      hashes: {lake.verify}, signatures: {lake.authenticity.signatures}"


def plan_lines(prepared: Prepared, forecasts: Sequence[EraForecast] = ()) -> Iterator[str]:
    """What a run would do.

    Args:
        forecasts: of the plans, in their order; none where they were not made.
    """
    places = find_places(prepared.connections)
    yield f"lake         {prepared.lake.store.url} ({_layout(prepared)})"
    if prepared.newest:
        yield f"newest       ledger {prepared.newest.ledger} ({prepared.newest.key})"
    yield f"destination  {places.destination}"
    for label, place in (
        ("events", places.events),
        ("checkpoint", places.checkpoint),
        ("catalog", places.catalog),
        ("endpoint", places.endpoint),
    ):
        if place is not None:
            yield f"{label:12} {place}"
    for plan, existence, forecast in zip_longest(prepared.plans, prepared.existence, forecasts):
        yield f"era {plan.era.era_id} ({plan.era.chain})"
        if not plan.partitions:
            yield f"  nothing to do: the next ledger is {plan.start}, {_end_words(plan)}"
        else:
            first, last = plan.partitions[0], plan.partitions[-1]
            yield f"  ledgers     {first.start}-{last.end}: {plan.ledger_count:,}"
            yield f"  partitions  {len(plan.partitions):,} of up to {plan.era.partition_size:,} ledgers"
            yield f"  files       {plan.file_count(prepared.lake.layout.ledgers_per_file):,}"
        if plan.incomplete_tail:
            yield (
                f"  unpublished {plan.incomplete_tail} ledgers of an incomplete partition, up to ledger"
                f" {plan.end + plan.incomplete_tail} (--publish-partial publishes them)"
            )
        yield from _existence_lines(existence)
        if forecast is not None:
            yield from forecast_lines(forecast)
    yield from total_lines(forecasts)


def _existence_lines(existence: Existence) -> Iterator[str]:
    """What is not as the chain says, and what a run does about it."""
    for found, what in (
        (existence.missing, "in the chain but not published: to be made again"),
        (existence.unfinished, "a parquet file without a manifest: to be finished"),
        (existence.superfluous, "a parquet file without a manifest, of ledgers of other partitions: to be removed"),
    ):
        for partition in list(found)[:_LISTED]:
            yield f"  found       {partition}: {what}"
        yield from _rest(tuple(found))
    problems = sorted({**existence.problems, **existence.uncorrected}.items())
    for partition, problem in problems[:_LISTED]:
        yield f"  problem     {partition}: {problem}"
    yield from _rest(problems)


def missing_lines(chain: str, existence: Existence, gaps: Sequence[Partition]) -> Iterator[str]:
    """What of a chain is not published as it should be, and which command brings it back."""
    for found, what in (
        (
            existence.missing,
            "is in the chain but not published: `bronze-copier run` makes it again if the lake gives the same bytes",
        ),
        (existence.unfinished, "has a parquet file without a manifest: `bronze-copier run` finishes it"),
        (
            existence.superfluous,
            "has a parquet file without a manifest, of ledgers of other partitions: `bronze-copier run` removes it",
        ),
    ):
        for partition in list(found)[:_LISTED]:
            yield f"partition {chain} {partition} {what}"
        yield from _rest(tuple(found))
    problems = sorted({**existence.problems, **existence.uncorrected}.items())
    for partition, problem in problems[:_LISTED]:
        yield f"partition {chain} {partition}: {problem}"
    yield from _rest(problems)
    for gap in gaps[:_LISTED]:
        yield (
            f"ledgers {gap} of {chain} have no partition: set last_committed_ledger of the checkpoint to"
            f" {max(gap.start - 1, 0)}, and `bronze-copier run` copies them"
        )
    yield from _rest(tuple(gaps))


def _end_words(plan: EraPlan) -> str:
    return f"the last wanted is {plan.end}" if plan.end >= plan.era.ledger_start else "no partition is complete yet"


def _layout(prepared: Prepared) -> str:
    layout = prepared.lake.layout
    return (
        f"{number_of(layout.ledgers_per_file, 'ledger')} per file,"
        f" {number_of(layout.files_per_directory, 'file')} per directory,"
        f" .xdr.{layout.extension}{' and the other extension' if layout.is_mixed else ''}"
    )


def run_lines(
    prepared: Prepared,
    totals: Totals,
    seconds: float,
    positions: Sequence[ChainPosition],
    gaps: Mapping[str, Sequence[Partition]] | None = None,
    problems: Mapping[tuple[str, Partition], str] | None = None,
    attested: Mapping[str, Attestation] | None = None,
    anchored: Mapping[str, Anchoring] | None = None,
) -> Iterator[str]:
    """What a run did, the position of each chain, and what was left undone.

    Args:
        seconds: how long the run took.
        positions: the position of each chain of the plans, in their order.
        gaps: by chain, the ranges of ledgers that the chain has passed and that have no partition.
        problems: by chain and partition, what is not as the chain says, a sentence each.
        attested: by chain, how far it is attested.
        anchored: by chain, how far history archives confirm it.
    """
    yield from _total_lines(totals, seconds, dry_run=prepared.job.run.dry_run)
    if not prepared.job.run.dry_run:
        for plan, position in zip(prepared.plans, positions, strict=True):
            yield from _chain_lines(prepared, plan, position, (gaps or {}).get(plan.era.chain, ()))
    yield from authentic_lines(prepared, totals, attested or {}, anchored or {})
    yield from outstanding_lines(totals.outstanding)
    yield from _undone_lines(totals)
    listed = sorted((problems or {}).items())
    for (chain, partition), problem in listed[:_LISTED]:
        yield f"missing      {chain} {partition}: {problem}"
    yield from _rest(listed)


def _total_lines(totals: Totals, seconds: float, *, dry_run: bool) -> Iterator[str]:
    counts = ", ".join(
        f"{totals.outcomes[outcome]:,} {outcome}"
        for outcome in Outcome
        if totals.outcomes[outcome] or (outcome in (Outcome.WRITTEN, Outcome.SKIPPED) and not dry_run)
    )
    refused = sum(failure.published for failure in totals.failures)
    failed = len(totals.failures) - refused
    rate = totals.ledgers / seconds if seconds > 0 else 0.0
    yield f"partitions   {counts or 'none'}, {failed:,} failed" + (f", {refused:,} refused" if refused else "")
    if not totals.files:
        return
    yield (
        f"ledgers      {totals.ledgers:,} from {totals.files:,} files, {format_size(totals.raw_bytes)} raw,"
        f" {format_size(totals.parquet_bytes)} parquet"
    )
    raw_rate = format_size(totals.raw_bytes / max(seconds, 1e-9))
    yield f"time         {seconds:.1f} s, {format_rate(rate)} ledgers/s, {raw_rate}/s raw"
    for summary in totals.measured:
        yield (
            f"would write  {summary.storage_path}: {summary.row_count:,} ledgers, {summary.byte_size:,} bytes,"
            f" {summary.checksum}"
        )


def _chain_lines(
    prepared: Prepared, plan: EraPlan, position: ChainPosition, gaps: Sequence[Partition]
) -> Iterator[str]:
    chain = plan.era.chain
    yield f"chain        {chain}: {_position(prepared, plan, position)}"
    if plan.incomplete_tail:
        yield f"unpublished  {chain}: {plan.incomplete_tail} ledgers of an incomplete partition"
    for gap in gaps[:_LISTED]:
        yield (
            f"gap          {chain}: ledgers {gap} have no partition, the chain continues after the gap: set"
            f" last_committed_ledger of the checkpoint to {max(gap.start - 1, 0)}, and run again"
        )
    yield from _rest(gaps)


def outstanding_lines(outstanding: Iterable[str]) -> Iterator[str]:
    """What is not yet recorded in the catalog, and not yet delivered to the endpoint."""
    for sentence in outstanding:
        yield f"outstanding  {sentence}"


def _position(prepared: Prepared, plan: EraPlan, position: ChainPosition) -> str:
    chain = prepared.job.chain
    if chain.events is None and chain.checkpoint is None:
        return "not kept (no audit stream, no checkpoint)"
    if position.next_ledger <= plan.era.ledger_start:
        return "nothing committed"
    head = f", head {position.head}" if position.head else ", no audit stream"
    return f"committed up to ledger {position.next_ledger - 1}{head}"


def _undone_lines(totals: Totals) -> Iterator[str]:
    if totals.stopped:
        first = min(totals.stopped, key=lambda failure: (failure.chain, failure.partition))
        yield (
            f"stopped      {len(totals.stopped):,} partitions were not finished, from {first.chain}"
            f" {first.partition.start} on: run again to resume"
        )
    failures = sorted(totals.failures, key=lambda failure: (failure.chain, failure.partition))
    for failure in failures[:_LISTED]:
        what = "refused" if failure.published else "failed"
        yield f"{what:12} {failure.chain} {failure.partition}: {failure.error_type}: {failure.message}"
    yield from _rest(failures)
    waiting = sorted(totals.pending.values(), key=lambda pending: (pending.chain, pending.partition))
    told = set[tuple[str, str]]()
    for pending in waiting[:_LISTED]:
        is_new = pending.reason and (pending.chain, pending.reason) not in told
        told.add((pending.chain, pending.reason))
        reason = f"; {pending.reason}" if is_new else ""
        yield (
            f"pending      {pending.chain} {pending.partition} is published, but its chain waits for ledger"
            f" {pending.blocked_at}{reason}"
        )
    yield from _rest(waiting)


def _rest(found: Sequence[object]) -> Iterator[str]:
    """How many of `found` were not listed."""
    if len(found) > _LISTED:
        yield f"             and {len(found) - _LISTED:,} more"
