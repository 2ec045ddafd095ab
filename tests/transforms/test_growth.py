"""The partitions behind the planned ones come in the order in which the lake completes them."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

from tests.transforms.conftest import ERA
from transforms.growth import Growth

OPEN = replace(ERA, ledger_end=0)


def keys(growth: Growth, count: int) -> list[str]:
    return [f"{key.chain.split('/')[1]} {key.partition}" for key in islice(growth.keys(), count)]


def test_grid_continues_behind_the_plan() -> None:
    growth = Growth(eras=((OPEN, 125),), limit=9, poll_s=1)
    assert keys(growth, 3) == ["e1 125-129", "e1 130-139", "e1 140-149"]


def test_era_that_has_ended_gives_nothing() -> None:
    assert keys(Growth(eras=((replace(ERA, ledger_end=124), 125),), limit=9, poll_s=1), 3) == []


def test_eras_are_merged_by_their_ends() -> None:
    other = replace(OPEN, era_id="e2", ledger_start=102, partition_size=15)
    growth = Growth(eras=((OPEN, 120), (other, 117)), limit=9, poll_s=1)
    assert keys(growth, 5) == ["e1 120-129", "e2 117-131", "e1 130-139", "e2 132-146", "e1 140-149"]
