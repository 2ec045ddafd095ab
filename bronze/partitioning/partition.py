"""The partition grid: which ledgers go together into one immutable file.

Partition ends lie on the era's grid (``era.ledger_start + n * partition_size - 1``) or at the last
ledger of the stretch asked for. So an era gives the same partitions whoever runs it and from wherever
it resumes; a partial tail costs one odd partition and the grid is met again after it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bronze.partitioning.era import Era


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A stretch of ledgers of one era; `start` and `end` are inclusive."""

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"partition {self.start}-{self.end} is not a range")

    def __len__(self) -> int:
        return self.end - self.start + 1

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"


def grid_cell_end(era: Era, ledger: int) -> int:
    """Last ledger (inclusive) of the grid cell of `era` that holds `ledger`, the era's end not regarded."""
    size = era.partition_size
    return ledger + size - 1 - (ledger - era.ledger_start) % size


def partitions(era: Era, start: int, end: int) -> Iterator[Partition]:
    """Cut the inclusive range `start`..`end` of `era` into partitions, in ledger order.

    Raises:
        ValueError: the range is not inside the era.
    """
    if start > end:
        return
    if start < era.ledger_start or end > era.last:
        raise ValueError(f"range {start}-{end} is not inside era {era.era_id!r} ({era.ledger_start}-{era.last})")
    while start <= end:
        stop = min(grid_cell_end(era, start), end)
        yield Partition(start, stop)
        start = stop + 1


def last_complete_ledger(era: Era, end: int) -> int:
    """Last ledger (inclusive) of the last partition that is complete when data ends at `end`.

    An era's own last ledger completes its last partition. One less than ``era.ledger_start`` when
    nothing is complete.
    """
    if end >= era.last:
        return era.last
    return end - (end - era.ledger_start + 1) % era.partition_size if end >= era.ledger_start else era.ledger_start - 1


def uncovered_ranges(published: Iterable[Partition], start: int, end: int) -> list[Partition]:
    """The ledgers of the inclusive range `start`..`end` that none of `published` covers, in ledger order.

    Args:
        published: in any order; they may overlap and reach beyond the range.
    """
    found = []
    for partition in sorted(published):
        if partition.start > end:
            break
        if partition.start > start:
            found.append(Partition(start, partition.start - 1))
        start = max(start, partition.end + 1)
    if start <= end:
        found.append(Partition(start, end))
    return found
