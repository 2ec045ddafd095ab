"""The coverage map of an era: a cell for each partition that exists, is missing, failed, or is not finished."""

from __future__ import annotations

import enum
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bronze.partitioning.partition import Partition

#: Cells of a row of the map; where a row begins, its first ledger is written.
_ROW = 100
#: A gap of more partitions than this is one wide cell.
_MAX_GAP_CELLS = 200


class CellKind(enum.StrEnum):
    """What a cell says; the value is the cell's class in the page."""

    EXISTS = "e"
    MISSING = "m"
    FAILED = "f"
    UNFINISHED = "u"

    @property
    def words(self) -> str:
        """For people."""
        return {"e": "exists", "m": "missing", "f": "failed a check", "u": "not finished"}[self.value]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell.

    Attributes:
        first, last: its ledgers, inclusive.
        partitions: how many partitions it stands for; more than one only where they are missing.
    """

    kind: CellKind
    first: int
    last: int
    partitions: int = 1


def coverage_cells(
    published: Sequence[Partition],
    gaps: Sequence[Partition],
    failed: Collection[Partition],
    unfinished: Collection[Partition],
    partition_size: int,
) -> list[Cell]:
    """The cells of an era in ledger order.

    Args:
        failed, unfinished: which partitions are such; those that are not among `published` are shown too, unless they
            are in a gap, which then is one.

    >>> cells = coverage_cells([Partition(2, 11), Partition(32, 41)], [Partition(12, 31)], {Partition(2, 11)}, (), 10)
    >>> [(cell.kind.words, cell.first) for cell in cells]
    [('failed a check', 2), ('missing', 12), ('missing', 22), ('exists', 32)]
    """
    cells = []
    for partition in published:
        kind = CellKind.EXISTS
        if partition in unfinished:
            kind = CellKind.UNFINISHED
        if partition in failed:
            kind = CellKind.FAILED
        cells.append(Cell(kind, partition.start, partition.end))
    for gap in gaps:
        count = -(-len(gap) // partition_size)
        if count > _MAX_GAP_CELLS:
            cells.append(Cell(CellKind.MISSING, gap.start, gap.end, count))
            continue
        for start in range(gap.start, gap.end + 1, partition_size):
            end = min(start + partition_size - 1, gap.end)
            kind = CellKind.UNFINISHED if Partition(start, end) in unfinished else CellKind.MISSING
            cells.append(Cell(kind, start, end))
    return sorted(cells, key=lambda cell: (cell.first, cell.last))


def coverage_rows(cells: Sequence[Cell]) -> list[list[Cell]]:
    """The cells in rows of at most 100; one that stands for many partitions has a row of its own."""
    rows: list[list[Cell]] = []
    for cell in cells:
        if rows and len(rows[-1]) < _ROW and cell.partitions == rows[-1][-1].partitions == 1:
            rows[-1].append(cell)
        else:
            rows.append([cell])
    return rows
