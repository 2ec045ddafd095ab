"""A subset is the same in every run, and the parts together are everything."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.partitioning.partition import Partition
from bronze.verify.selection import Selection, Subset

PARTITIONS = [Partition(start, start + 9) for start in range(2, 10_002, 10)]


def test_seven_parts_cover_each_partition_once() -> None:
    parts = [Subset.parse(f"{number}/7") for number in range(1, 8)]
    chosen = [one for part in parts for one in PARTITIONS if part.holds(one)]
    assert sorted(chosen) == PARTITIONS
    assert all(sum(part.holds(one) for one in PARTITIONS) > 100 for part in parts)


@given(
    parts=st.integers(1, 60),
    starts=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=40, unique=True),
    size=st.integers(1, 100_000),
    more=st.integers(0, 2**32 - 1),
)
def test_nights_cover_each_partition_once(parts: int, starts: list[int], size: int, more: int) -> None:
    """Whatever is published, and whatever is published meanwhile."""
    partitions = [Partition(start, start + size - 1) for start in starts]
    nights = [Subset.parse(f"{number}/{parts}") for number in range(1, parts + 1)]
    chosen = [one for night in nights for one in partitions if Selection(subset=night).holds(one)]
    assert sorted(chosen) == sorted(partitions)
    added = Partition(more, more + size - 1)
    assert sum(night.holds(added) for night in nights) == 1


@given(low=st.decimals("0.001", 99, places=3), more=st.decimals("0.001", 1, places=3))
def test_larger_percentage_holds_smaller_one(low: Decimal, more: Decimal) -> None:
    smaller, larger = Subset.parse(f"{low}%"), Subset.parse(f"{low + more}%")
    assert all(larger.holds(one) for one in PARTITIONS[:100] if smaller.holds(one))


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
