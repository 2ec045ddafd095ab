"""The index of partitions: the same answers as looking at each, at a cost that does not grow with their number."""

from __future__ import annotations

import cProfile

from hypothesis import given
from hypothesis import strategies as st

from bronze.partitioning.partition import Partition
from bronze.partitioning.partition_index import PartitionIndex

PARTITIONS = st.builds(lambda start, length: Partition(start, start + length), st.integers(0, 60), st.integers(0, 25))


@given(st.lists(PARTITIONS, max_size=30), PARTITIONS)
def test_index_answers_as_a_scan_does(partitions: list[Partition], wanted: Partition) -> None:
    index, one_by_one = PartitionIndex(partitions), sorted(set(partitions))
    assert list(index) == one_by_one
    assert index.overlapping(wanted) == [one for one in one_by_one if one.overlaps(wanted)]
    assert index.ending_at(wanted.start) == [one for one in one_by_one if one.end == wanted.start]
    assert index.starting_at(wanted.start) == [one for one in one_by_one if one.start == wanted.start]


def test_answer_costs_the_same_among_many() -> None:
    few, many = (_calls_of_an_answer(count) for count in (100, 100_000))
    assert few == many


def _calls_of_an_answer(count: int) -> int:
    """How many functions are called to answer three questions about the middle of `count` partitions."""
    index, at = PartitionIndex(Partition(n * 10, n * 10 + 9) for n in range(count)), count // 2 * 10
    profile = cProfile.Profile()
    profile.enable()
    found = (index.overlapping(Partition(at, at + 9)), index.ending_at(at + 9), index.starting_at(at))
    profile.disable()
    assert found == ([Partition(at, at + 9)],) * 3
    return sum(entry.callcount for entry in profile.getstats())
