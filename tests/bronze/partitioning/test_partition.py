"""The partition grid: examples, and what holds for every era and range."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.partitioning.era import Era
from bronze.partitioning.partition import (
    Partition,
    grid_cell_end,
    grid_partitions,
    last_complete_ledger,
    uncovered_ranges,
)
from bronze.stellar import MAX_LEDGER


def era(start: int, end: int, size: int) -> Era:
    return Era(
        era_id="e", version_label="v1", network="pubnet", ledger_start=start, ledger_end=end, partition_size=size
    )


@st.composite
def eras_with_range(draw: st.DrawFn) -> tuple[Era, int, int]:
    """An era and a range (inclusive) inside it; near the highest ledger too."""
    base = draw(st.sampled_from([0, 1, 2, 1_000_003, MAX_LEDGER - 400]))
    start = base + draw(st.integers(0, 40))
    bounded = draw(st.booleans())
    end = min(start + draw(st.integers(1, 300)), MAX_LEDGER)
    one = era(start, end if bounded else 0, draw(st.integers(1, 50)))
    low = draw(st.integers(start, end))
    return one, low, draw(st.integers(low, end))


@pytest.mark.parametrize(
    ("one", "start", "end", "expected"),
    [
        # complete cells, counted from the era's start
        (era(0, 0, 10), 0, 29, ["0-9", "10-19", "20-29"]),
        (era(1, 0, 10), 1, 20, ["1-10", "11-20"]),
        # the last partition of a run may be incomplete
        (era(0, 0, 10), 0, 23, ["0-9", "10-19", "20-23"]),
        # resuming from there meets the grid again
        (era(0, 0, 10), 24, 39, ["24-29", "30-39"]),
        # the era's end cuts a cell
        (era(5, 17, 10), 5, 17, ["5-14", "15-17"]),
        # an era of one ledger; a partition of one ledger
        (era(7, 7, 10), 7, 7, ["7-7"]),
        (era(0, 0, 1), 3, 5, ["3-3", "4-4", "5-5"]),
        # a cell larger than the era
        (era(2, 9, 1000), 2, 9, ["2-9"]),
        # an empty range
        (era(0, 0, 10), 5, 4, []),
        # the highest ledger number
        (era(MAX_LEDGER - 4, 0, 10), MAX_LEDGER - 4, MAX_LEDGER, [f"{MAX_LEDGER - 4}-{MAX_LEDGER}"]),
    ],
)
def test_partitions(one: Era, start: int, end: int, expected: list[str]) -> None:
    assert [str(partition) for partition in grid_partitions(one, start, end)] == expected


@pytest.mark.parametrize(("start", "end"), [(4, 10), (5, 21), (0, 3), (21, 22)])
def test_range_outside_the_era_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not inside era"):
        list(grid_partitions(era(5, 20, 10), start, end))


@given(eras_with_range())
def test_partitions_are_complete_disjoint_and_in_order(era_with_range: tuple[Era, int, int]) -> None:
    one, start, end = era_with_range
    found = list(grid_partitions(one, start, end))
    assert found[0].start == start
    assert found[-1].end == end
    assert all(before.end + 1 == after.start for before, after in itertools.pairwise(found))
    assert sum(map(len, found)) == end - start + 1


@given(eras_with_range())
def test_partitions_end_on_grid_or_with_range(era_with_range: tuple[Era, int, int]) -> None:
    one, start, end = era_with_range
    for partition in grid_partitions(one, start, end):
        assert len(partition) <= one.partition_size
        assert (partition.end + 1 - one.ledger_start) % one.partition_size == 0 or partition.end == end


@given(eras_with_range(), st.data())
def test_resuming_after_any_partition_gives_the_rest(era_with_range: tuple[Era, int, int], data: st.DataObject) -> None:
    one, start, end = era_with_range
    found = list(grid_partitions(one, start, end))
    done = data.draw(st.integers(0, len(found)))
    resumed_at = found[done - 1].end + 1 if done else start
    assert list(grid_partitions(one, resumed_at, end)) == found[done:]


@given(eras_with_range(), st.data())
def test_incomplete_tail_costs_one_off_grid_partition(
    era_with_range: tuple[Era, int, int], data: st.DataObject
) -> None:
    one, start, end = era_with_range
    stopped = data.draw(st.integers(start, end))
    whole = set(grid_partitions(one, start, end))
    later = list(grid_partitions(one, stopped + 1, end))
    assert set(later[1:]) <= whole


@given(eras_with_range(), st.data())
def test_grid_cell_end_is_the_partition_end(era_with_range: tuple[Era, int, int], data: st.DataObject) -> None:
    one, start, end = era_with_range
    ledger = data.draw(st.integers(start, end))
    holder = next(part for part in grid_partitions(one, start, end) if part.start <= ledger <= part.end)
    assert min(grid_cell_end(one, ledger), end) == holder.end


@pytest.mark.parametrize(
    ("one", "end", "expected"),
    [
        (era(1, 0, 10), 0, 0),  # no ledger of the era yet
        (era(1, 0, 10), 9, 0),  # the first partition is not complete
        (era(1, 0, 10), 10, 10),
        (era(1, 0, 10), 19, 10),
        (era(1, 0, 10), 20, 20),
        (era(1, 15, 10), 14, 10),
        (era(1, 15, 10), 15, 15),  # the era's end completes its last partition
        (era(1, 15, 10), 99, 15),  # the lake continues after the era
        (era(100, 0, 10), 50, 99),  # the lake ends before the era
    ],
)
def test_last_complete_ledger(one: Era, end: int, expected: int) -> None:
    assert last_complete_ledger(one, end) == expected


@given(eras_with_range())
def test_partitions_up_to_last_complete_ledger_are_complete(era_with_range: tuple[Era, int, int]) -> None:
    one, _, end = era_with_range
    last = last_complete_ledger(one, end)
    assert last <= min(end, one.last_ledger)
    assert one.ledger_start - 1 <= last
    for partition in grid_partitions(one, one.ledger_start, last):
        assert len(partition) == one.partition_size or partition.end == one.last_ledger
    # and the next one is not
    if last < one.last_ledger:
        assert min(grid_cell_end(one, last + 1), one.last_ledger) > end


@pytest.mark.parametrize(("start", "end"), [(5, 4), (-1, 4)])
def test_inverted_or_negative_partition_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        Partition(start, end)


@pytest.mark.parametrize(
    ("partition", "first", "count"),
    [
        (Partition(0, 9), 2, 8),
        (Partition(1, 2), 2, 1),
        (Partition(2, 2), 2, 1),
        (Partition(7, 9), 7, 3),
        (Partition(0, 1), 2, 0),
        (Partition(0, 0), 2, 0),
    ],
)
def test_ledgers_0_and_1_do_not_count(partition: Partition, first: int, count: int) -> None:
    assert (partition.first_ledger, partition.ledger_count) == (first, count)


@given(st.tuples(*[st.integers(0, 30)] * 4))
def test_partitions_overlap_exactly_when_sharing_a_ledger(ends: tuple[int, int, int, int]) -> None:
    one, other = Partition(*sorted(ends[:2])), Partition(*sorted(ends[2:]))
    shared = set(range(one.start, one.end + 1)) & set(range(other.start, other.end + 1))
    assert one.overlaps(other) == other.overlaps(one) == bool(shared)


def test_partitions_sort_by_ledger() -> None:
    assert sorted([Partition(10, 19), Partition(0, 9)]) == [Partition(0, 9), Partition(10, 19)]


@pytest.mark.parametrize(
    ("published", "start", "end", "expected"),
    [
        ([], 2, 11, ["2-11"]),
        ([], 2, 1, []),
        (["2-11"], 2, 11, []),
        (["2-11", "22-31"], 2, 31, ["12-21"]),
        (["12-21"], 2, 31, ["2-11", "22-31"]),
        # beyond the range, across its ends, overlapping, in any order
        (["32-41", "0-1"], 2, 31, ["2-31"]),
        (["28-41", "0-5"], 2, 31, ["6-27"]),
        (["4-9", "2-20", "18-25"], 2, 31, ["26-31"]),
    ],
)
def test_uncovered_ranges(published: list[str], start: int, end: int, expected: list[str]) -> None:
    parts = [Partition(*map(int, name.split("-"))) for name in published]
    assert [str(gap) for gap in uncovered_ranges(parts, start, end)] == expected


@given(st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), max_size=8), st.integers(0, 40), st.integers(-1, 50))
def test_uncovered_ranges_hold_exactly_the_missing_ledgers(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    parts = [Partition(low, low + more) for low, more in ranges]
    covered = {ledger for part in parts for ledger in range(part.start, part.end + 1)}
    found = uncovered_ranges(parts, start, end)
    missing = [ledger for ledger in range(start, end + 1) if ledger not in covered]
    assert [ledger for gap in found for ledger in range(gap.start, gap.end + 1)] == missing
    assert all(one.end + 1 < two.start for one, two in itertools.pairwise(found))  # each gap is one range
