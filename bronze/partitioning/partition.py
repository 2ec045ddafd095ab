"""The partition grid: which ledgers go together into one immutable file.

Partition ends lie on the era's grid (``era.ledger_start + n * partition_size - 1``) or at the last ledger of the
requested range. So an era gives the same partitions whoever runs it and from wherever it resumes: an incomplete tail
costs one off-grid partition, and the next one ends on the grid again.

>>> era = Era(era_id="e1", version_label="v1", network="pubnet", ledger_start=2, ledger_end=0, partition_size=10)
>>> [str(partition) for partition in grid_partitions(era, 2, 25)]
['2-11', '12-21', '22-25']
>>> [str(partition) for partition in grid_partitions(era, 26, 41)]
['26-31', '32-41']
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bronze.partitioning.era import Era
from bronze.stellar import FIRST_LEDGER


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A range of ledgers of one era; `start` and `end` are inclusive.

    >>> str(Partition(0, 9)), len(Partition(0, 9)), Partition(0, 9).ledger_count
    ('0-9', 10, 8)
    """

    start: int
    end: int

    def __post_init__(self) -> None:
        if not 0 <= self.start <= self.end:
            raise ValueError(f"partition {self.start}-{self.end} is not a range")

    def __len__(self) -> int:
        return self.end - self.start + 1

    def __str__(self) -> str:
        return f"{self.start}-{self.end}"

    @property
    def first_ledger(self) -> int:
        """First ledger that has a close meta: ledgers 0 and 1 have none."""
        return max(self.start, FIRST_LEDGER)

    @property
    def ledger_count(self) -> int:
        """Number of ledgers that have a close meta, which is the number of rows of the partition."""
        return max(0, self.end - self.first_ledger + 1)

    def overlaps(self, other: Partition) -> bool:
        """Whether the two share a ledger."""
        return self.start <= other.end and other.start <= self.end


def grid_cell_end(era: Era, ledger: int) -> int:
    """Last ledger (inclusive) of the grid cell of `era` that holds `ledger`, disregarding the era's end."""
    size = era.partition_size
    return ledger + size - 1 - (ledger - era.ledger_start) % size


def grid_cell_start(era: Era, ledger: int) -> int:
    """First ledger of the grid cell of `era` that holds `ledger`."""
    return ledger - (ledger - era.ledger_start) % era.partition_size


def grid_partitions(era: Era, start: int, end: int) -> Iterator[Partition]:
    """Cut the inclusive range `start`..`end` of `era` into partitions, in ledger order; none when it is empty.

    Raises:
        ValueError: the range is not inside the era.
    """
    if start > end:
        return
    if start < era.ledger_start or end > era.last_ledger:
        raise ValueError(f"range {start}-{end} is not inside era {era.era_id!r} ({era.ledger_start}-{era.last_ledger})")
    while start <= end:
        stop = min(grid_cell_end(era, start), end)
        yield Partition(start, stop)
        start = stop + 1


def last_complete_ledger(era: Era, end: int) -> int:
    """Last ledger (inclusive) of the last partition that is complete when the lake ends at `end`.

    The era's own last ledger completes its last partition. ``era.ledger_start - 1`` when no partition is complete.

    >>> era = Era(era_id="e1", version_label="v1", network="pubnet", ledger_start=2, ledger_end=0, partition_size=10)
    >>> last_complete_ledger(era, 25)
    21
    """
    if end >= era.last_ledger:
        return era.last_ledger
    return end - (end - era.ledger_start + 1) % era.partition_size if end >= era.ledger_start else era.ledger_start - 1


def uncovered_ranges(published: Iterable[Partition], start: int, end: int) -> list[Partition]:
    """The ranges of ledgers within the inclusive range `start`..`end` that `published` does not cover, in ledger order.

    Args:
        published: in any order; they may overlap and reach beyond the range.

    >>> [str(gap) for gap in uncovered_ranges([Partition(12, 21)], 2, 31)]
    ['2-11', '22-31']
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
