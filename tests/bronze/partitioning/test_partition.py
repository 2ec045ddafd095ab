"""The partition grid: examples, and what holds for every era and range."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, grid_cell_end, last_complete_ledger, partitions, uncovered_ranges
from bronze.stellar import MAX_LEDGER


def era(start: int, end: int, size: int) -> Era:
    return Era("e", "v1", "pubnet", start, end, size)


@st.composite
def stretches(draw: st.DrawFn) -> tuple[Era, int, int]:
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
        # whole cells, counted from the era's start
        (era(0, 0, 10), 0, 29, ["0-9", "10-19", "20-29"]),
        (era(1, 0, 10), 1, 20, ["1-10", "11-20"]),
        # the last one of a run may be short
        (era(0, 0, 10), 0, 23, ["0-9", "10-19", "20-23"]),
        # going on from there meets the grid again
        (era(0, 0, 10), 24, 39, ["24-29", "30-39"]),
        # the era's end cuts a cell
        (era(5, 17, 10), 5, 17, ["5-14", "15-17"]),
        # an era of one ledger; a partition of one ledger
        (era(7, 7, 10), 7, 7, ["7-7"]),
        (era(0, 0, 1), 3, 5, ["3-3", "4-4", "5-5"]),
        # a cell larger than the era
        (era(2, 9, 1000), 2, 9, ["2-9"]),
        # nothing is asked for
        (era(0, 0, 10), 5, 4, []),
        # the last ledger there can be
        (era(MAX_LEDGER - 4, 0, 10), MAX_LEDGER - 4, MAX_LEDGER, [f"{MAX_LEDGER - 4}-{MAX_LEDGER}"]),
    ],
)
def test_partitions(one: Era, start: int, end: int, expected: list[str]) -> None:
    assert [str(partition) for partition in partitions(one, start, end)] == expected


@pytest.mark.parametrize(("start", "end"), [(4, 10), (5, 21), (0, 3), (21, 22)])
def test_a_range_outside_the_era_is_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="not inside era"):
        list(partitions(era(5, 20, 10), start, end))


@given(stretches())
def test_partitions_are_complete_disjoint_and_in_order(stretch: tuple[Era, int, int]) -> None:
    one, start, end = stretch
    found = list(partitions(one, start, end))
    assert found[0].start == start
    assert found[-1].end == end
    assert all(before.end + 1 == after.start for before, after in itertools.pairwise(found))
    assert sum(map(len, found)) == end - start + 1


@given(stretches())
def test_partitions_end_on_the_grid_or_with_the_range(stretch: tuple[Era, int, int]) -> None:
    one, start, end = stretch
    for partition in partitions(one, start, end):
        assert len(partition) <= one.partition_size
        assert (partition.end + 1 - one.ledger_start) % one.partition_size == 0 or partition.end == end


@given(stretches(), st.data())
def test_resuming_after_any_partition_gives_the_same_ones(stretch: tuple[Era, int, int], data: st.DataObject) -> None:
    one, start, end = stretch
    found = list(partitions(one, start, end))
    done = data.draw(st.integers(0, len(found)))
    resumed_at = found[done - 1].end + 1 if done else start
    assert list(partitions(one, resumed_at, end)) == found[done:]


@given(stretches(), st.data())
def test_a_run_that_ended_early_costs_one_odd_partition(stretch: tuple[Era, int, int], data: st.DataObject) -> None:
    one, start, end = stretch
    stopped = data.draw(st.integers(start, end))
    whole = set(partitions(one, start, end))
    later = list(partitions(one, stopped + 1, end))
    assert set(later[1:]) <= whole


@given(stretches(), st.data())
def test_cell_end_is_that_of_the_partition(stretch: tuple[Era, int, int], data: st.DataObject) -> None:
    one, start, end = stretch
    ledger = data.draw(st.integers(start, end))
    holder = next(part for part in partitions(one, start, end) if part.start <= ledger <= part.end)
    assert min(grid_cell_end(one, ledger), end) == holder.end


@pytest.mark.parametrize(
    ("one", "end", "expected"),
    [
        (era(1, 0, 10), 0, 0),  # no data of the era yet
        (era(1, 0, 10), 9, 0),  # the first partition is not complete
        (era(1, 0, 10), 10, 10),
        (era(1, 0, 10), 19, 10),
        (era(1, 0, 10), 20, 20),
        (era(1, 15, 10), 14, 10),
        (era(1, 15, 10), 15, 15),  # the era's own end completes its last partition
        (era(1, 15, 10), 99, 15),  # data goes on in another era
        (era(100, 0, 10), 50, 99),  # data ends before the era
    ],
)
def test_last_whole(one: Era, end: int, expected: int) -> None:
    assert last_complete_ledger(one, end) == expected


@given(stretches())
def test_up_to_last_whole_every_partition_is_complete(stretch: tuple[Era, int, int]) -> None:
    one, _, end = stretch
    last = last_complete_ledger(one, end)
    assert last <= min(end, one.last)
    assert one.ledger_start - 1 <= last
    for partition in partitions(one, one.ledger_start, last):
        assert len(partition) == one.partition_size or partition.end == one.last
    # and the next one is not
    if last < one.last:
        assert min(grid_cell_end(one, last + 1), one.last) > end


@pytest.mark.parametrize(("start", "end"), [(5, 4), (-1, 4)])
def test_a_partition_is_a_range(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="is not a range"):
        Partition(start, end)


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
def test_uncovered_ranges_are_the_ledgers_in_none(ranges: list[tuple[int, int]], start: int, end: int) -> None:
    parts = [Partition(low, low + more) for low, more in ranges]
    covered = {ledger for part in parts for ledger in range(part.start, part.end + 1)}
    found = uncovered_ranges(parts, start, end)
    missing = [ledger for ledger in range(start, end + 1) if ledger not in covered]
    assert [ledger for gap in found for ledger in range(gap.start, gap.end + 1)] == missing
    assert all(one.end + 1 < two.start for one, two in itertools.pairwise(found))  # none is cut in two
