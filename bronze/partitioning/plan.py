"""The partitions that a run copies, derived from an era, its chain's position, the lake's end and existing partitions.

Pure, except that `plan_era` asks an `ExistingPartitions` for one listing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from bronze.errors import ConfigError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, grid_partitions, last_complete_ledger
from bronze.partitioning.partition_index import PartitionIndex
from bronze.stellar import FIRST_LEDGER


class ExistingPartitions(Protocol):
    """Finds the partitions that exist; `bronze.dataset.dataset.Dataset` is one."""

    def list_partitions(self, era: Era) -> Sequence[Partition]:
        """The partitions of the era that have a directory, published or not, in ledger order."""
        ...

    def find_manifest(self, era: Era, partition: Partition) -> object | None:
        """The manifest of the partition, or None when it is not published. Raises `StateError` for a damaged one."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EraPlan:
    """The partitions of one era that a run copies, in ledger order.

    Attributes:
        start: the first ledger that is wanted: where the chain resumes, or where the era starts.
        end: the last ledger (inclusive) that is wanted; below `start` when there is nothing to do.
        incomplete_tail: number of ledgers after `end` that the lake has, but that make no complete partition yet.
        partitions: they cover `start`..`end`; an existing one may reach beyond either end, an unfinished one may lie
            outside.
    """

    era: Era
    start: int
    end: int
    incomplete_tail: int
    partitions: Sequence[Partition]

    @property
    def ledger_count(self) -> int:
        """Number of ledgers in all partitions; ledgers 0 and 1 do not count."""
        return sum(partition.ledger_count for partition in self.partitions)

    def file_count(self, ledgers_per_file: int) -> int:
        """Number of lake files to read, of `ledgers_per_file` ledgers each.

        A file that straddles the boundary of two partitions counts for both.
        """
        return sum(
            partition.end // ledgers_per_file - partition.first_ledger // ledgers_per_file + 1
            for partition in self.partitions
        )


def plan_era(
    era: Era,
    next_ledger: int,
    newest: int | None,
    existing: ExistingPartitions,
    *,
    partial: bool,
    unfinished: Collection[Partition] = (),
    available_only: bool = False,
) -> EraPlan:
    """Plan which partitions of the era to copy.

    Args:
        next_ledger: where its chain resumes.
        newest: last ledger (inclusive) of the lake; None when it is empty, or when no era needs it.
        partial: publish the incomplete last partition of an open-ended era too.
        unfinished: partitions that are to be copied as they are, wherever they lie; they overlap neither each other
            nor an existing one.
        available_only: plan complete partitions up to `newest` only, also of an era with an end; an empty lake gives
            an empty plan, unless the chain has begun and not ended.

    Raises:
        ConfigError: the first partition would be empty, or the lake is and the era is open-ended or has begun.
        StateError: published partitions overlap each other, or one of them is damaged.
    """
    start = era.ledger_start if era.allow_overwrite else max(era.ledger_start, next_ledger)
    incomplete_tail = 0
    if era.ledger_end and not available_only:
        end = era.ledger_end
    elif newest is None and available_only and not era.ledger_start < next_ledger <= era.last_ledger:
        end = start - 1
    elif newest is None and available_only:
        raise ConfigError(
            f"the lake is empty, but era {era.era_id!r} is committed up to ledger {next_ledger - 1}: is this the lake"
            " that it was copied from, and is its volume mounted?"
        )
    elif newest is None:
        raise ConfigError(f"era {era.era_id!r} has no ledger_end and the lake is empty: there is no ledger to copy")
    else:
        end = newest if partial else last_complete_ledger(era, newest)
        # What a run with `partial` began beyond that is finished.
        end = max([end, *(one.end for one in unfinished if start <= one.end <= newest)])
        incomplete_tail = max(0, min(newest, era.last_ledger) - max(end, start - 1))
    planned: tuple[Partition, ...] = ()
    if start <= end:
        planned = tuple(_plan_around_existing(era, Partition(start, end), existing, unfinished))
    if planned and planned[0].end < FIRST_LEDGER:
        raise ConfigError(
            f"the first partition {planned[0]} of era {era.era_id!r} would be empty, because ledgers 0 and 1 have no"
            " close meta: set ledger_start to 2, or partition_size to 3 or more"
        )
    partitions = tuple(sorted({*planned, *unfinished}))
    return EraPlan(era=era, start=start, end=end, incomplete_tail=incomplete_tail, partitions=partitions)


def _plan_around_existing(
    era: Era, wanted: Partition, existing: ExistingPartitions, unfinished: Collection[Partition]
) -> Iterator[Partition]:
    """Cut `wanted` along the grid, except that published off-grid and unfinished partitions stay as they are."""
    grid = set(grid_partitions(era, wanted.start, wanted.end))
    listed = existing.list_partitions(era)
    found = [partition for partition in listed if partition.overlaps(wanted) and partition not in unfinished]
    off_grid = [one for one in found if one not in grid and existing.find_manifest(era, one) is not None]
    off_grid += [one for one in unfinished if one not in grid and one.overlaps(wanted)]
    # An on-grid partition that is published too contradicts the off-grid one that it overlaps.
    off_grid_index = PartitionIndex(off_grid)
    overlapped = [one for one in found if one in grid and off_grid_index.overlapping(one)]
    conflicting = [one for one in overlapped if existing.find_manifest(era, one) is not None]
    next_ledger = wanted.start
    for partition in sorted(off_grid + conflicting):
        if partition.start < next_ledger and next_ledger != wanted.start:
            raise StateError(
                f"the published partition {partition} of {era.chain} overlaps the one before it, which ends at"
                f" {next_ledger - 1}: remove one of them"
            )
        yield from grid_partitions(era, next_ledger, partition.start - 1)
        yield partition
        next_ledger = partition.end + 1
    yield from grid_partitions(era, next_ledger, wanted.end)
