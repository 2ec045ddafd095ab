"""What a person reads at the end of a command: plans, totals, audits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from bronze.commit.sequencer import ChainPosition
from bronze.outcomes import Outcome
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan
from bronze.verify.verifier import Verification
from pipeline.launch.prepare import Prepared
from pipeline.telemetry.totals import Totals

#: Failures and waiting partitions that are listed one by one.
_LISTED = 20


def plan_lines(prepared: Prepared) -> Iterator[str]:
    """What a run would do."""
    job = prepared.job
    yield f"lake         {prepared.lake.store.url} ({_layout(prepared)})"
    if prepared.newest:
        yield f"newest       ledger {prepared.newest.ledger} ({prepared.newest.key})"
    yield f"destination  {job.dataset().store.url}/{job.prefix}".rstrip("/")
    for plan in prepared.plans:
        yield f"era {plan.era.era_id} ({plan.era.chain})"
        if not plan.partitions:
            yield f"  nothing to do: goes on at ledger {plan.start}, {_end_words(plan)}"
        else:
            first, last = plan.partitions[0], plan.partitions[-1]
            yield f"  ledgers     {first.start}-{last.end}: {plan.ledgers:,}"
            yield f"  partitions  {len(plan.partitions):,} of up to {plan.era.partition_size:,} ledgers"
            yield f"  files       {plan.files(prepared.lake.layout):,}"
        if plan.incomplete_tail:
            yield (
                f"  left out    {plan.incomplete_tail} ledgers up to {plan.end + plan.incomplete_tail}:"
                " they make no whole partition yet"
                " (--publish-partial publishes them)"
            )


def _end_words(plan: EraPlan) -> str:
    return f"wanted up to {plan.end}" if plan.end >= plan.era.ledger_start else "no partition is whole yet"


def _layout(prepared: Prepared) -> str:
    layout = prepared.lake.layout
    return (
        f"{layout.ledgers_per_file} ledgers per file, {layout.files_per_directory} files per directory,"
        f" .xdr.{layout.extension}"
    )


def run_lines(
    prepared: Prepared,
    totals: Totals,
    seconds: float,
    positions: Sequence[ChainPosition],
    missing: Mapping[str, Sequence[Partition]] | None = None,
) -> Iterator[str]:
    """What a run did, where each chain stands, and what is left undone.

    Args:
        positions: where each chain of the plans goes on, in their order.
        missing: by chain, the ledgers that it went past without a partition.
    """
    counts = ", ".join(
        f"{totals.outcomes[outcome]:,} {outcome}"
        for outcome in Outcome
        if totals.outcomes[outcome] or (outcome in (Outcome.WRITTEN, Outcome.SKIPPED) and not prepared.job.dry_run)
    )
    refused = sum(failure.published for failure in totals.failures)
    failed = len(totals.failures) - refused
    rate = totals.ledgers / seconds if seconds > 0 else 0.0
    yield f"partitions   {counts or 'none'}, {failed:,} failed" + (f", {refused:,} refused" if refused else "")
    yield (
        f"ledgers      {totals.ledgers:,} from {totals.files:,} files, {_size(totals.raw_bytes)} raw,"
        f" {_size(totals.parquet_bytes)} parquet"
    )
    yield f"time         {seconds:.1f} s, {rate:,.0f} ledgers/s, {_size(totals.raw_bytes / max(seconds, 1e-9))}/s raw"
    for summary in totals.measured:
        yield (
            f"would write  {summary.storage_path}: {summary.row_count:,} ledgers, {summary.byte_size:,} bytes,"
            f" {summary.checksum}"
        )
    if not prepared.job.dry_run:
        for plan, position in zip(prepared.plans, positions, strict=True):
            yield f"chain        {plan.era.chain}: {_position(prepared, plan, position)}"
            if plan.incomplete_tail:
                ledgers = f"{plan.incomplete_tail} ledgers of {plan.era.chain}"
                yield f"left out     {ledgers} that make no whole partition yet"
            for gap in (missing or {}).get(plan.era.chain, ())[:_LISTED]:
                yield f"gap          {plan.era.chain}: ledgers {gap} have no partition, the chain went on behind them"
    for outstanding in totals.outstanding:
        yield f"owed         {outstanding}"
    yield from _undone(totals)


def _position(prepared: Prepared, plan: EraPlan, position: ChainPosition) -> str:
    if prepared.job.events_location is None and prepared.job.checkpoint_location is None:
        return "not kept (no audit stream, no checkpoint)"
    if position.next_ledger <= plan.era.ledger_start:
        return "nothing committed"
    head = f", head {position.head}" if position.head else ", no audit stream"
    return f"committed up to ledger {position.next_ledger - 1}{head}"


def _undone(totals: Totals) -> Iterator[str]:
    if totals.stopped:
        first = min(totals.stopped, key=lambda failure: (failure.chain, failure.partition))
        yield (
            f"stopped      {len(totals.stopped):,} partitions were given up, from {first.chain}"
            f" {first.partition.start} on: run again, it resumes"
        )
    failures = sorted(totals.failures, key=lambda failure: (failure.chain, failure.partition))
    for failure in failures[:_LISTED]:
        what = "refused" if failure.published else "failed"
        yield f"{what:12} {failure.chain} {failure.partition}: {failure.error_type}: {failure.message}"
    if len(failures) > _LISTED:
        yield f"             and {len(failures) - _LISTED:,} more"
    waiting = sorted(totals.pending.values(), key=lambda pending: (pending.chain, pending.partition))
    for pending in waiting[:_LISTED]:
        reason = f"; {pending.reason}" if pending.reason else ""
        yield (
            f"pending      {pending.chain} {pending.partition} is published, but its chain waits for ledger"
            f" {pending.blocked_at}{reason}"
        )
    if len(waiting) > _LISTED:
        yield f"             and {len(waiting) - _LISTED:,} more"


def audit_lines(audit: Verification) -> Iterator[str]:
    """What an audit of one chain found."""
    verdict = "HOLDS" if not audit.problems else f"DOES NOT HOLD: {len(audit.problems)} problems"
    yield f"chain {audit.chain}: {verdict}"
    if audit.first is not None:
        yield (
            f"  {audit.events:,} events, {audit.partitions:,} partitions, ledgers {audit.first}-{audit.last},"
            f" {audit.rows:,} rows, {_size(audit.bytes)}"
        )
    if audit.head:
        yield f"  head {audit.head}"
    for gap in audit.gaps:
        yield f"  gap: ledgers {gap} have no partition"
    for problem in audit.problems:
        yield f"  {problem}"


def _size(count: float) -> str:
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
