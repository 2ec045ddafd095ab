"""When a run that follows its lake begins the next round."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from bronze.errors import AccessDeniedError, StoreError
from bronze.lake.lake import Lake, NewestObject
from pipeline.launch.follow import LakeWatch
from pipeline.launch.prepare import Prepared, prepare
from pipeline.settings import load
from pipeline.telemetry.run_state import RunState
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes  # noqa: F401

# ruff: noqa: F811 - fixtures are imported by name


class Clock:
    """A clock that moves while somebody sleeps; the process is asked to stop after `limit` sleeps."""

    def __init__(self, limit: int = 1000) -> None:
        self.time, self.sleeps, self.limit = 0.0, 0, limit

    def __call__(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> bool:
        self.time += seconds
        self.sleeps += 1
        return self.sleeps < self.limit


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    """Ledgers 8 to 17."""
    return sample(first=8, ledgers=10)


@pytest.fixture
def prepared(lake: LakeFiles, copier: Callable[..., Copier]) -> Iterator[Prepared]:
    """Planned are 8-11 and 12-15 of an era to 19."""
    copy = copier(lake.root, ledger_start=8, ledger_end=19, partition_size=4)
    found = prepare(load(copy.config, {}), available_only=True)
    with found.connections:
        yield found


def watch(prepared: Prepared, clock: Clock, state: RunState | None = None) -> LakeWatch:
    return LakeWatch(prepared, state or RunState(), poll_s=5, sleep=clock.sleep, clock=clock)


def test_plan_ends_with_the_lakes_last_complete_partition(prepared: Prepared) -> None:
    assert [str(one) for one in prepared.plans[0].partitions] == ["8-11", "12-15"]


def test_wait_ends_when_a_partition_is_complete(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    newest = iter([17, 18, 19])
    monkeypatch.setattr(Lake, "newest", lambda _: NewestObject("", next(newest)))
    clock = Clock()
    assert watch(prepared, clock).wait(retry_after_s=None)
    assert clock.sleeps == 2


def test_vanished_objects_cost_one_warning(
    prepared: Prepared, lake: LakeFiles, caplog: pytest.LogCaptureFixture
) -> None:
    for path in lake.root.rglob("*.xdr.zst"):
        path.unlink()
    assert not watch(prepared, Clock(limit=5)).wait(retry_after_s=None)
    (warning,) = [record.message for record in caplog.records if record.levelno == logging.WARNING]
    assert "was 17, and is now none" in warning


def test_wait_ends_at_a_request_to_stop(prepared: Prepared) -> None:
    assert not watch(prepared, Clock(limit=3)).wait(retry_after_s=None)


def test_undone_partition_is_retried_after_pause(prepared: Prepared) -> None:
    clock = Clock()
    assert watch(prepared, clock).wait(retry_after_s=40, undone=prepared.plans[0].partitions)
    assert clock.time == 40


def test_missing_file_is_noticed_when_there(prepared: Prepared, lake: LakeFiles) -> None:
    lake.remove(9)
    lake.remove(13)

    class Exporting(Clock):
        def sleep(self, seconds: float) -> bool:
            if self.sleeps == 1:
                lake.repair()
            return super().sleep(seconds)

    clock = Exporting()
    assert watch(prepared, clock).wait(retry_after_s=900, undone=prepared.plans[0].partitions)
    assert clock.sleeps == 2


def test_unreachable_lake_costs_one_warning(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers: Iterator[int | None] = iter([None, None, 17, 19])
    state, told = RunState(), []

    def newest(_: Lake) -> NewestObject:
        told.append([store for store, _ in state.snapshot().unreachable])
        ledger = next(answers)
        if ledger is None:
            raise StoreError("503")
        return NewestObject("", ledger)

    monkeypatch.setattr(Lake, "newest", newest)
    with caplog.at_level(logging.INFO, "pipeline.launch.follow"):
        assert watch(prepared, Clock(), state).wait(retry_after_s=None)
    assert told == [[], [prepared.lake.store.url], [prepared.lake.store.url], []]
    said = [record.getMessage() for record in caplog.records]
    assert said[0] == "the lake cannot be looked at, the run goes on trying: 503"
    assert [line.partition(": ")[0].split(" file")[0] for line in said[1:]] == [
        f"the lake {prepared.lake.store.url} answers again".split(" file")[0],
        "waiting for ledger 19 of the lake; it has 17",
    ]


def test_refusing_lake_ends_the_wait(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: Lake) -> NewestObject:
        raise AccessDeniedError("403")

    monkeypatch.setattr(Lake, "newest", refuse)
    with pytest.raises(AccessDeniedError, match="403"):
        watch(prepared, Clock()).wait(retry_after_s=None)
