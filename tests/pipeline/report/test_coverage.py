"""The cells of a coverage map."""

from __future__ import annotations

from bronze.partitioning.partition import Partition
from pipeline.report.coverage import CellKind, coverage_cells, coverage_rows
from tests.pipeline.report.conftest import grid


def test_cells_cover_every_ledger_once() -> None:
    parts = grid(20)
    published = [one for one in parts if one.start not in (42, 52, 192)]
    gaps = [Partition(42, 61), Partition(192, 201)]
    cells = coverage_cells(published, gaps, {parts[1]}, {parts[2]}, 10)
    assert [(cell.first, cell.last) for cell in cells] == [(one.start, one.end) for one in parts]
    assert [cell.first for cell in cells if cell.kind is CellKind.MISSING] == [42, 52, 192]
    assert [cell.kind for cell in cells[:4]] == [
        CellKind.EXISTS, CellKind.FAILED, CellKind.UNFINISHED, CellKind.EXISTS
    ]  # fmt: skip


def test_long_gap_is_one_cell() -> None:
    (cell,) = coverage_cells([], [Partition(2, 60_000_001)], (), (), 10_000)
    assert (cell.partitions, cell.first, cell.last) == (6000, 2, 60_000_001)


def test_gap_of_incomplete_partition_has_cell() -> None:
    cells = coverage_cells([], [Partition(2, 14)], (), {Partition(12, 14)}, 10)
    assert [(cell.last, cell.kind) for cell in cells] == [(11, CellKind.MISSING), (14, CellKind.UNFINISHED)]


def test_rows_have_at_most_100_cells() -> None:
    rows = coverage_rows(coverage_cells(grid(250), [], (), (), 10))
    assert [len(row) for row in rows] == [100, 100, 50]


def test_wide_gap_has_its_own_row() -> None:
    parts = [Partition(start, start + 9) for start in (*range(0, 50, 10), *range(10_000, 10_050, 10))]
    cells = coverage_cells(parts, [Partition(50, 9_999)], (), (), 10)
    assert [(row[0].first, len(row)) for row in coverage_rows(cells)] == [(0, 5), (50, 1), (10_000, 5)]
