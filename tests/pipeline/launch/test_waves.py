"""Waves: every partition in one, in ledger order; each but the last is full, none is larger than it must be."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.partitioning.era import Era
from bronze.partitioning.partition import grid_partitions
from bronze.partitioning.plan import EraPlan
from pipeline.launch.waves import MAX_PARTITIONS, MIN_LEDGERS, cut_waves
from transforms.elements import PartitionKey


def plan(era_id: str, start: int, end: int, size: int) -> EraPlan:
    era = Era(era_id=era_id, version_label="v1", network="net", ledger_start=start, ledger_end=end, partition_size=size)
    return EraPlan(era=era, start=start, end=end, incomplete_tail=0, partitions=tuple(grid_partitions(era, start, end)))


def keys_of(plans: list[EraPlan]) -> list[PartitionKey]:
    return [PartitionKey(plan.era.chain, part) for plan in plans for part in plan.partitions]


@dataclass(frozen=True)
class Case:
    plans: list[EraPlan]
    existing: frozenset[PartitionKey]
    default_partitions: int
    wave_partitions: int

    def waves(self) -> list[list[PartitionKey]]:
        options = {"default_partitions": self.default_partitions, "wave_partitions": self.wave_partitions}
        return list(cut_waves(self.plans, self.existing, **options))

    def is_full(self, wave: list[PartitionKey]) -> bool:
        new = [key.partition for key in wave if key not in self.existing]
        if len(wave) >= MAX_PARTITIONS:
            return True
        if self.wave_partitions:
            return len(new) >= self.wave_partitions
        return len(new) >= self.default_partitions and sum(map(len, new)) >= MIN_LEDGERS


@st.composite
def cases(draw: st.DrawFn) -> Case:
    plans, at = [], draw(st.integers(0, 1000))
    for number in range(draw(st.integers(1, 3))):
        size = draw(st.sampled_from([1, 7, 1000, 10_000]))
        count = draw(st.integers(0, 1500))
        end = at + size * count - draw(st.integers(0, size - 1)) - 1
        if end >= at:
            plans.append(plan(f"e{number}", at, end, size))
            at = end + 1
    keys = keys_of(plans)
    every = draw(st.sampled_from([0, 1, 2, 3, 10]))
    existing = frozenset(keys[::every]) if every else frozenset()
    wave_partitions = draw(st.sampled_from([0, 0, 1, 2, 50, 5000]))
    return Case(plans, existing, draw(st.integers(1, 200)), wave_partitions)


@given(cases())
def test_waves_keep_partitions_in_ledger_order(case: Case) -> None:
    assert list(itertools.chain(*case.waves())) == keys_of(case.plans)


@given(cases())
def test_waves_are_neither_empty_nor_too_large(case: Case) -> None:
    assert all(1 <= len(wave) <= MAX_PARTITIONS for wave in case.waves())


@given(cases())
def test_waves_are_full_but_not_overfull(case: Case) -> None:
    waves = case.waves()
    assert all(case.is_full(wave) for wave in waves[:-1])
    assert not any(case.is_full(wave[:-1]) for wave in waves)


@pytest.mark.parametrize(
    ("partition_size", "options", "sizes"),
    [
        pytest.param(10_000, {"default_partitions": 4}, [4] * 25, id="as the runner says"),
        pytest.param(10_000, {"default_partitions": 32}, [32, 32, 32, 4], id="the last is smaller"),
        pytest.param(1_000, {"default_partitions": 4}, [20] * 50, id="small partitions come in larger waves"),
        pytest.param(100, {"default_partitions": 4}, [200] * 50, id="the smaller the larger"),
        pytest.param(10_000, {"default_partitions": 16, "wave_partitions": 30}, [30, 30, 30, 10], id="as configured"),
        pytest.param(1_000, {"default_partitions": 4, "wave_partitions": 5000}, [1000], id="at most a thousand"),
    ],
)
def test_wave_sizes(partition_size: int, options: dict[str, Any], sizes: list[int]) -> None:
    plans = [plan("e", 0, 1_000_000 - 1, partition_size)]
    assert [len(wave) for wave in cut_waves(plans, frozenset(), **options)] == sizes


def test_existing_partitions_do_not_fill_waves() -> None:
    plans = [plan("e", 0, 100_000 - 1, 10_000)]
    existing = frozenset(keys_of(plans)[:6])
    assert [len(wave) for wave in cut_waves(plans, existing, default_partitions=4, wave_partitions=2)] == [8, 2]


def test_waves_span_eras() -> None:
    plans = [plan("a", 0, 19, 10), plan("b", 20, 39, 10)]
    assert [
        [key.chain for key in wave] for wave in cut_waves(plans, frozenset(), default_partitions=4, wave_partitions=3)
    ] == [
        ["net/a/v1", "net/a/v1", "net/b/v1"],
        ["net/b/v1"],
    ]


def test_empty_plan_has_no_waves() -> None:
    assert list(cut_waves([], frozenset(), default_partitions=4)) == []
