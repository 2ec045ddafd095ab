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
from pipeline.launch.waves import _LEDGERS, _MOST, _PER_WORKER, _PER_WORKER_REMOTE, cut_waves
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
    workers: int
    wave_partitions: int
    is_remote: bool

    def waves(self) -> list[list[PartitionKey]]:
        options = {"workers": self.workers, "wave_partitions": self.wave_partitions}
        return list(cut_waves(self.plans, self.existing, is_remote=self.is_remote, **options))

    def is_full(self, wave: list[PartitionKey]) -> bool:
        new = [key.partition for key in wave if key not in self.existing]
        if len(wave) >= _MOST:
            return True
        if self.wave_partitions:
            return len(new) >= self.wave_partitions
        fewest = (_PER_WORKER_REMOTE if self.is_remote else _PER_WORKER) * self.workers
        return len(new) >= fewest and sum(map(len, new)) >= _LEDGERS


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
    return Case(plans, existing, draw(st.integers(1, 16)), wave_partitions, draw(st.booleans()))


@given(cases())
def test_every_partition_is_in_one_wave_in_ledger_order(case: Case) -> None:
    assert list(itertools.chain(*case.waves())) == keys_of(case.plans)


@given(cases())
def test_no_wave_is_empty_or_too_large(case: Case) -> None:
    assert all(1 <= len(wave) <= _MOST for wave in case.waves())


@given(cases())
def test_every_wave_but_the_last_is_full_and_would_not_be_without_its_last_partition(case: Case) -> None:
    waves = case.waves()
    assert all(case.is_full(wave) for wave in waves[:-1])
    assert not any(case.is_full(wave[:-1]) for wave in waves)


@pytest.mark.parametrize(
    ("partition_size", "options", "sizes"),
    [
        pytest.param(10_000, {"workers": 1}, [4] * 25, id="four for each worker"),
        pytest.param(10_000, {"workers": 8}, [32, 32, 32, 4], id="four for each of eight workers"),
        pytest.param(10_000, {"workers": 2, "is_remote": True}, [24] * 4 + [4], id="twelve where their ends are long"),
        pytest.param(1_000, {"workers": 1}, [20] * 50, id="small partitions come in larger waves"),
        pytest.param(100, {"workers": 1}, [200] * 50, id="the smaller the larger"),
        pytest.param(10_000, {"workers": 4, "wave_partitions": 30}, [30, 30, 30, 10], id="as configured"),
        pytest.param(1_000, {"workers": 1, "wave_partitions": 5000}, [1000], id="never more than a thousand"),
    ],
)
def test_the_size_of_waves(partition_size: int, options: dict[str, Any], sizes: list[int]) -> None:
    plans = [plan("e", 0, 1_000_000 - 1, partition_size)]
    assert [len(wave) for wave in cut_waves(plans, frozenset(), **options)] == sizes


def test_partitions_that_exist_do_not_fill_a_wave() -> None:
    plans = [plan("e", 0, 100_000 - 1, 10_000)]
    existing = frozenset(keys_of(plans)[:6])
    assert [len(wave) for wave in cut_waves(plans, existing, workers=1, wave_partitions=2)] == [8, 2]


def test_a_wave_goes_on_from_one_era_to_the_next() -> None:
    plans = [plan("a", 0, 19, 10), plan("b", 20, 39, 10)]
    assert [[key.chain for key in wave] for wave in cut_waves(plans, frozenset(), workers=1, wave_partitions=3)] == [
        ["net/a/v1", "net/a/v1", "net/b/v1"],
        ["net/b/v1"],
    ]


def test_nothing_to_do_is_no_wave() -> None:
    assert list(cut_waves([], frozenset(), workers=1)) == []
