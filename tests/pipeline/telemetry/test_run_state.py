"""The state of a run: what is done, in flight, failed and left, from measurements alone."""

from __future__ import annotations

from typing import Any

import pytest

from bronze import measurements as m
from bronze.log_fields import partition_fields
from pipeline.telemetry.health import health, is_alive
from pipeline.telemetry.progress_line import format_duration, progress_line
from pipeline.telemetry.run_progress import ChainProgress
from pipeline.telemetry.run_state import RunState
from tests.support.clock import Clock

CHAIN = ("net", "e1", "v1")


@pytest.fixture
def clock() -> Clock:
    return Clock(100.0)


@pytest.fixture
def state(clock: Clock) -> RunState:
    """Four partitions of ten ledgers, planned."""
    made = RunState(clock=clock, now=clock)
    made.plan([ChainProgress(chain=CHAIN, planned=4, planned_ledgers=40)], table="t")
    return made


def tell(state: RunState, name: str, start: int, value: float = 1.0, **fields: Any) -> None:
    named = partition_fields("r", "net/e1/v1", start, start + 9)
    state(m.Measurement(name, value, {**named, "worker": "w1", **fields}))


def test_wait_is_healthy_while_the_lake_answers(state: RunState, clock: Clock) -> None:
    clock.time += 500
    state.wait_for("ledger 31 of the lake; it has 22", lake_latest=22)
    clock.time += 50
    found = state.snapshot()
    assert health(found, stalled_after_s=60)[0] == 200
    assert progress_line(found) == "waiting for ledger 31 of the lake; it has 22"
    clock.time += 11  # the lake was not looked at any more
    status, document = health(state.snapshot(), stalled_after_s=60)
    assert (status, document["status"], document["doing"]) == (503, "stalled", found.phase)


def test_workers_start_until_one_begins(state: RunState) -> None:
    state.start_workers()
    assert state.snapshot().phase == "starting the workers"
    tell(state, m.PARTITION_STARTED, 0)
    assert state.snapshot().phase == ""
    state.start_workers()
    state.keep_alive()
    assert state.snapshot().phase == ""
    state.enter("ending the run")
    state.keep_alive()
    assert state.snapshot().phase == "ending the run"


def test_next_round_adds_to_the_plan(state: RunState) -> None:
    for start in (0, 10, 20):
        done(state, start)
    tell(state, m.PARTITION_STARTED, 30)
    tell(state, m.PARTITION_FAILED, 30, is_published=False, error="x", error_type="E")
    state.plan_more([ChainProgress(chain=CHAIN, planned=2, planned_ledgers=20, committed=29)])
    found = state.snapshot().chains[0]
    assert (found.planned, found.done, found.failed, found.committed) == (6, 4, 0, 29)
    done(state, 30)
    done(state, 40)
    found = state.snapshot().chains[0]
    assert (found.planned, found.done, found.planned_ledgers, found.done_ledgers) == (6, 6, 60, 60)


def done(state: RunState, start: int, outcome: str = "written") -> None:
    tell(state, m.PARTITION_STARTED, start)
    tell(state, m.PARTITION_DONE, start, outcome=outcome, rows=10, raw_bytes=1000, parquet_bytes=5, table="t")


def fail(state: RunState, start: int) -> None:
    tell(state, m.PARTITION_STARTED, start)
    tell(state, m.PARTITION_FAILED, start, error_type="LakeError", error="missing", is_published=False)


def test_rate_and_time_left_follow_ledgers_read(state: RunState, clock: Clock) -> None:
    tell(state, m.PARTITION_STARTED, 10)
    clock.time += 5
    tell(state, m.LEDGER_READ, 10, 14, raw_bytes=500)
    found = state.snapshot()
    assert (found.ledgers, found.ledgers_per_second, found.bytes_per_second, found.eta_s) == (5, 1.0, 100.0, 35.0)
    assert [(one.start, one.ledger) for one in found.in_flight] == [(10, 14)]
    assert "0 of 4 partitions (0 %), 1 in flight; 5 ledgers; 1.0 ledgers/s, 0.0 MB/s; 35 s left" in progress_line(found)


def test_time_left_is_unknown_until_measured(state: RunState, clock: Clock) -> None:
    state.start_workers()
    clock.time += 20
    tell(state, m.PARTITION_STARTED, 10)
    clock.time += 1
    tell(state, m.LEDGER_READ, 10, 10, raw_bytes=100)
    assert state.snapshot().eta_s is None
    assert "; unknown time left" in progress_line(state.snapshot())
    clock.time += 2
    tell(state, m.LEDGER_READ, 10, 15, raw_bytes=600)
    assert (state.snapshot().ledgers_per_second, state.snapshot().eta_s) == (2.0, 17.0)


def test_next_round_measures_its_rate_anew(state: RunState, clock: Clock) -> None:
    state.snapshot()
    clock.time += 20
    state.wait_for("ledger 41 of the lake; it has 40", lake_latest=40)
    state.snapshot()
    state.plan_more([ChainProgress(chain=CHAIN, planned=4, planned_ledgers=40)])
    tell(state, m.PARTITION_STARTED, 10)
    clock.time += 4
    tell(state, m.LEDGER_READ, 10, 17, raw_bytes=800)
    assert (state.snapshot().ledgers_per_second, state.snapshot().eta_s) == (2.0, 16.0)


def test_partitions_wait_until_their_commit(state: RunState) -> None:
    done(state, 10)
    assert (state.snapshot().chains[0].waiting, state.snapshot().chains[0].committed) == (1, 0)
    tell(state, m.PARTITION_COMMITTED, 10, committed_up_to=19)
    chain = state.snapshot().chains[0]
    assert (chain.waiting, chain.committed, chain.committed_at) == (0, 19, 100.0)


def test_stopped_partitions_are_not_done(state: RunState) -> None:
    done(state, 10, outcome="skipped")
    tell(state, m.PARTITION_STARTED, 20)
    tell(state, m.PARTITION_STOPPED, 20)
    found = state.snapshot()
    assert (found.done, found.in_flight, found.ledgers) == (1, (), 0)


def test_refused_partition_is_done_once(state: RunState) -> None:
    done(state, 10)
    tell(state, m.PARTITION_FAILED, 10, error_type="VerificationError", error="no link", is_published=True)
    chain = state.snapshot().chains[0]
    assert (chain.done, chain.failed, chain.waiting) == (1, 1, 0)


def test_measurements_of_other_work_are_left_out(state: RunState) -> None:
    state(m.Measurement(m.SOURCE_READ, 1.0, {}))
    state(m.Measurement(m.RETRY, 1.0, {"operation": "list"}))
    assert (state.snapshot().retries, state.snapshot().done) == (1, 0)


def test_health_fails_after_three_failures(state: RunState) -> None:
    statuses = []
    for start in (10, 20, 30):
        fail(state, start)
        statuses.append(health(state.snapshot(), stalled_after_s=60)[0])
    document = health(state.snapshot(), stalled_after_s=60)[1]
    assert statuses == [200, 200, 503]
    assert (document["status"], document["last_error"]) == ("failing", "LakeError: missing")
    done(state, 40)
    assert health(state.snapshot(), stalled_after_s=60)[0] == 200


@pytest.mark.parametrize(
    ("fails", "answers", "system", "words"),
    [
        (m.EVENT_FAILED, m.EVENT_DELIVERED, "endpoint", "events are not delivered since 1970-01-01T00:01:40Z"),
        (m.METADATA_ERROR, m.METADATA_RECORDED, "catalog", "the catalog lacks rows since 1970-01-01T00:01:40Z"),
    ],
)
def test_health_fails_until_systems_are_up_to_date(
    fails: str, answers: str, system: str, words: str, state: RunState, clock: Clock
) -> None:
    for _ in range(2):
        tell(state, fails, 10, error_type="SomeError", error="refused")
        clock.time += 5
    found = state.snapshot()
    status, document = health(found, stalled_after_s=60)
    assert (status, document["status"], document["last_error"]) == (503, "failing", "SomeError: refused")
    assert document["behind_since"] == {system: "1970-01-01T00:01:40Z"}  # since the first failure
    assert progress_line(found).endswith(f"; {words}")
    assert is_alive(found, stalled_after_s=60)
    tell(state, answers, 10)
    status, document = health(state.snapshot(), stalled_after_s=60)
    assert (status, document["behind_since"], document["last_error"]) == (200, {}, "SomeError: refused")


def test_stalled_run_is_alive_while_store_is_out(state: RunState, clock: Clock) -> None:
    clock.time += 60
    assert not is_alive(state.snapshot(), stalled_after_s=60)
    state(m.Measurement(m.STORE_UNREACHABLE, 100.0, {"store": "s3://lake", "error": "refused"}))
    assert is_alive(state.snapshot(), stalled_after_s=60)
    assert health(state.snapshot(), stalled_after_s=60)[1]["status"] == "unreachable"


def test_health_is_stalled_without_progress(state: RunState, clock: Clock) -> None:
    clock.time += 59
    assert health(state.snapshot(), stalled_after_s=60)[0] == 200
    clock.time += 1
    status, document = health(state.snapshot(), stalled_after_s=60)
    assert (status, document["status"], document["seconds_since_progress"]) == (503, "stalled", 60.0)
    assert "nothing was read for 1:00 min" in progress_line(state.snapshot())


def test_line_says_what_run_waits_for(clock: Clock) -> None:
    state = RunState(clock=clock)
    clock.time += 12
    assert progress_line(state.snapshot()) == "planning (12 s so far)"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(8, "8 s"), (59.7, "1:00 min"), (308, "5:08 min"), (11_100, "3:05 h"), (356_400, "4 d 3 h")],
)
def test_durations_have_fitting_units(seconds: float, words: str) -> None:
    assert format_duration(seconds) == words
