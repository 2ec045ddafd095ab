"""The totals of a run, added up from the outcomes of its partitions."""

from __future__ import annotations

from bisect import insort
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field

from bronze.outcomes import Outcome, PartitionFailure, PartitionSummary, PendingPartition, Report
from bronze.partitioning.partition import Partition


@dataclass(frozen=True, slots=True)
class Finished:
    """A run that has ended.

    Attributes:
        totals: the totals of the run.
        seconds: wall time without start-up.
        stopped_by: exit status of a run that a signal stopped: 128 and the number of the signal; None if none did.
    """

    totals: Totals
    seconds: float
    stopped_by: int | None = None


@dataclass(slots=True)
class Totals:
    """The totals of a run so far.

    Attributes:
        outcomes: number of published partitions, or of those of a dry run, by outcome.
        ledgers, files: ledgers encoded by this run, and the lake files that they were read from.
        raw_bytes, parquet_bytes: bytes of the close metas, and of the encoded parquet files.
        pending: partitions that are published but not committed, because their chain waits for an earlier one; by chain
            and partition.
        failures: partitions that could not be published, and those that their chain refused.
        outstanding: what is not yet recorded in the catalog or not yet delivered to the endpoint, a sentence each; the
            next run backfills it.
        stopped: partitions that were not copied, or not committed, because a signal stopped the run.
        measured: partitions that a dry run would have written, by chain and ledger.
        proofs: by chain, what was proven of the ledgers that this run encoded: the counts of `PartitionAuthenticity`.
    """

    outcomes: Counter[Outcome] = field(default_factory=Counter)
    ledgers: int = 0
    files: int = 0
    raw_bytes: int = 0
    parquet_bytes: int = 0
    failures: list[PartitionFailure] = field(default_factory=list)
    pending: dict[tuple[str, Partition], PendingPartition] = field(default_factory=dict)
    stopped: list[PartitionFailure] = field(default_factory=list)
    outstanding: list[str] = field(default_factory=list)
    measured: list[PartitionSummary] = field(default_factory=list)
    proofs: dict[str, Counter[str]] = field(default_factory=dict)
    _counted: set[tuple[str, Partition]] = field(default_factory=set)

    @property
    def partitions(self) -> int:
        """Number of partitions that are published, or measured by a dry run."""
        return self.outcomes.total()

    @property
    def reported(self) -> int:
        """Number of partitions whose outcome is known: published, measured, failed or stopped."""
        return self.partitions + sum(not failure.published for failure in (*self.failures, *self.stopped))

    @property
    def is_complete(self) -> bool:
        """Whether no partition failed, is pending, or was stopped."""
        return not self.failures and not self.pending and not self.stopped

    def begin_round(self) -> None:
        """Forget what was left undone: the next round of a run that follows its lake plans all of that anew."""
        self.failures.clear()
        self.pending.clear()
        self._counted.clear()
        self.outstanding.clear()
        self.outcomes.pop(Outcome.SKIPPED, None)

    def take_back(self, partitions: Collection[tuple[str, Partition]]) -> None:
        """Forget how these partitions, by chain, failed or wait: they are tried again.

        Those that are published have been counted, and are not counted again.
        """
        again = [one for one in self.failures if (one.chain, one.partition) in partitions]
        self.failures = [one for one in self.failures if (one.chain, one.partition) not in partitions]
        self._counted |= {(one.chain, one.partition) for one in again if one.published}
        self._counted |= self.pending.keys() & set(partitions)
        self.pending = {key: one for key, one in self.pending.items() if key not in partitions}

    def add(self, found: Report) -> None:
        """Count one outcome."""
        if isinstance(found, PartitionSummary):
            if (found.chain, found.partition) in self._counted:
                self._counted.discard((found.chain, found.partition))
                return
            self.outcomes[found.outcome] += 1
            if found.outcome is not Outcome.SKIPPED:
                self.ledgers += found.row_count
                self.files += found.files
                self.raw_bytes += found.raw_bytes
                self.parquet_bytes += found.byte_size
                if found.authenticity is not None:
                    self.proofs.setdefault(found.chain, Counter()).update(found.authenticity.counts())
            if found.outcome is Outcome.DRY_RUN:
                insort(self.measured, found, key=lambda one: (one.chain, one.partition))
        elif isinstance(found, PartitionFailure):
            (self.stopped if found.interrupted else self.failures).append(found)
        elif isinstance(found, PendingPartition):
            self.pending[found.chain, found.partition] = found
