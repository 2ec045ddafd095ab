"""What a run has to do: eras, ranges and partitions. Pure but for one listing of the destination."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.errors import ConfigError, StateError
from bronze.lake.layout import LakeLayout
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, last_complete_ledger, partitions
from bronze.stellar import FIRST_LEDGER


@dataclass(frozen=True, slots=True)
class EraPlan:
    """The partitions of one era that a run goes through, in ledger order.

    Attributes:
        start: where the chain goes on, or where the era begins.
        end: last ledger (inclusive) that is wanted; below `start` when there is nothing to do.
        tail: ledgers behind `end` that the lake has, but that make no whole partition yet.
    """

    era: Era
    start: int
    end: int
    incomplete_tail: int
    partitions: Sequence[Partition]

    @property
    def ledgers(self) -> int:
        """Ledgers in all partitions; ledgers 0 and 1 do not exist."""
        return sum(part.end - max(part.start, FIRST_LEDGER) + 1 for part in self.partitions)

    def files(self, layout: LakeLayout) -> int:
        """Lake files that the partitions are read from; one that straddles a boundary counts for both."""
        k = layout.ledgers_per_file
        return sum(part.end // k - max(part.start, FIRST_LEDGER) // k + 1 for part in self.partitions)


def plan_era(era: Era, next_ledger: int, newest: int | None, dataset: Dataset, *, partial: bool) -> EraPlan:
    """Plan the era from `next_ledger` on.

    Args:
        next_ledger: where its chain goes on.
        newest: last ledger (inclusive) of the lake; None when it is empty or was not asked for.
        partial: with an era that has no end, publish the incomplete last partition too.

    Raises:
        ConfigError: a partition would hold no ledger, or there is no end to go to.
        StateError: partitions that are published already overlap each other.
    """
    start = era.ledger_start if era.allow_overwrite else max(era.ledger_start, next_ledger)
    incomplete_tail = 0
    if era.ledger_end:
        end = era.ledger_end
    elif newest is None:
        raise ConfigError(f"era {era.era_id!r} has no ledger_end and the lake is empty: there is nothing to go up to")
    else:
        end = newest if partial else last_complete_ledger(era, newest)
        incomplete_tail = max(0, newest - max(end, start - 1))
    if start > end:
        return EraPlan(era, start, end, incomplete_tail, ())
    planned = tuple(_plan_around_existing(era, start, end, dataset))
    if planned[0].end < FIRST_LEDGER:
        raise ConfigError(
            f"the first partition {planned[0]} of era {era.era_id!r} would be empty: ledgers 0 and 1 have no close"
            " meta. Let ledger_start be 2, or partition_size 3 or more"
        )
    return EraPlan(era, start, end, incomplete_tail, planned)


def _plan_around_existing(era: Era, start: int, end: int, dataset: Dataset) -> Iterator[Partition]:
    """The grid from `start` to `end`, but partitions that exist stay as they are and are not cut again."""
    on_grid = set(partitions(era, start, end))
    ranges = [found for found in dataset.list_partitions(era) if _overlap(found, start, end)]
    odd = [found for found in ranges if found not in on_grid and dataset.find_manifest(era, found) is not None]
    # Those on the grid that an odd one overlaps: when both are published, they contradict each other.
    doubtful = [found for found in ranges if found in on_grid and any(_overlap(found, o.start, o.end) for o in odd)]
    beside = [found for found in doubtful if dataset.find_manifest(era, found) is not None]
    at = start
    for found in sorted(odd + beside):
        if found.start < at and at != start:
            raise StateError(
                f"the published partition {found} of {era.chain} overlaps the one before it, which ends at {at - 1}:"
                " remove one of them"
            )
        yield from partitions(era, at, found.start - 1)
        yield found
        at = found.end + 1
    yield from partitions(era, at, end)


def _overlap(partition: Partition, start: int, end: int) -> bool:
    return partition.start <= end and start <= partition.end
