"""A subset is the same in every run, and the parts together are everything."""

from __future__ import annotations

import pytest

from bronze.partitioning.partition import Partition
from bronze.verify.selection import Selection, Subset

PARTITIONS = [Partition(start, start + 9) for start in range(2, 10_002, 10)]


def test_seven_parts_cover_each_partition_once() -> None:
    parts = [Subset.parse(f"{number}/7") for number in range(1, 8)]
    chosen = [one for part in parts for one in PARTITIONS if part.holds(one)]
    assert sorted(chosen) == PARTITIONS
    assert all(sum(part.holds(one) for one in PARTITIONS) > 100 for part in parts)


def test_percentage_is_about_that_part() -> None:
    assert 30 <= sum(Subset.parse("5%").holds(one) for one in PARTITIONS) <= 70
    assert all(Subset.parse("100%").holds(one) for one in PARTITIONS)


@pytest.mark.parametrize("text", ["", "0/7", "8/7", "7", "0%", "101%", "-1%", "1/0", "a"])
def test_other_subset_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither K/N"):
        Subset.parse(text)


@pytest.mark.parametrize(("first", "last", "count"), [(None, None, 1000), (11, 12, 2), (12, 21, 1), (9_990, None, 2)])
def test_range_takes_partitions_that_share_ledgers(first: int | None, last: int | None, count: int) -> None:
    selection = Selection(first=first, last=last)
    assert sum(selection.holds(one) for one in PARTITIONS) == count
