"""Tells the state of a run how far workers are that run elsewhere, from the outcome files that they write."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from bronze import measurements as m
from bronze.errors import BronzeError
from bronze.log_fields import chain_fields, partition_fields
from bronze.metric_families import chain_of
from bronze.outcomes import CommittedPartition, PartitionFailure, PartitionSummary, Report
from bronze.partitioning.partition import Partition
from bronze.waiting import repeated
from pipeline.telemetry.run_state import RunState
from transforms.elements import PartitionKey
from transforms.outcome_files import SeenOutcomes

#: Seconds between two looks at the files.
_LOOK_S = 2.0


@contextmanager
def told_of(seen: SeenOutcomes, state: RunState, planned: Collection[PartitionKey]) -> Iterator[None]:
    """Tell `state` of each outcome once, until the block ends, and of partitions that were not `planned` beforehand.

    Meanwhile `seen` is this function's alone.
    """
    known = set(planned)
    told: set[tuple[str, str, Partition]] = set()

    def look() -> None:
        with suppress(BronzeError, OSError):  # the store does not answer: the next look finds them
            for outcome in seen.new():
                identity = (type(outcome).__name__, outcome.chain, outcome.partition)
                if identity not in told:
                    told.add(identity)
                    key = PartitionKey(outcome.chain, outcome.partition)
                    if key not in known:
                        known.add(key)
                        state.grow(chain_of(chain_fields(key.chain)), len(key.partition))
                    _tell(state, outcome)

    try:
        with repeated(look, _LOOK_S, "outcomes"):
            yield
    finally:
        look()


def _tell(state: RunState, outcome: Report) -> None:
    fields = partition_fields("", outcome.chain, outcome.partition.start, outcome.partition.end)

    def tell(name: str, **more: object) -> None:
        state(m.Measurement(name, 0.0, {**fields, **more}))

    if isinstance(outcome, PartitionSummary):
        tell(m.PARTITION_STARTED)
        tell(m.PARTITION_DONE, outcome=str(outcome.outcome), rows=outcome.row_count, raw_bytes=outcome.raw_bytes)
    elif isinstance(outcome, CommittedPartition):
        tell(
            m.PARTITION_COMMITTED,
            committed_up_to=outcome.partition.end,
            attested_through=outcome.attested_through,
        )
    elif isinstance(outcome, PartitionFailure) and not outcome.interrupted:
        if not outcome.published:
            tell(m.PARTITION_STARTED)
        error = {"error_type": outcome.error_type, "error": outcome.message}
        tell(m.PARTITION_FAILED, is_published=outcome.published, **error)
