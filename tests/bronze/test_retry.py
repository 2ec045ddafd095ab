"""Retrying: which errors, how often, how long the delays are, and which error is raised in the end."""

from __future__ import annotations

import logging
import threading
import time

import pytest

from bronze.errors import (
    ConfigError,
    ConflictError,
    FrameError,
    LakeError,
    ObjectExistsError,
    ObjectNotFoundError,
    RunStoppedError,
    StateError,
    StoreError,
    VerificationError,
)
from bronze.retry import RetryPolicy
from bronze.waiting import stop_waits_when


class Failing:
    """Raises the errors one after the other, then returns the number of calls."""

    def __init__(self, *errors: BaseException) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self) -> int:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.calls


POLICY = RetryPolicy(attempts=3, backoff_ms=1)


def test_success_needs_one_call() -> None:
    assert POLICY.call("it", Failing()) == 1


@pytest.mark.parametrize(
    "error", [StoreError("503"), OSError(5, "Input/output error"), TimeoutError(), ConnectionResetError()]
)
def test_transient_errors_are_retried(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert POLICY.call("partition 2-11", Failing(error, error)) == 3
    assert [record.getMessage().split(", retrying in")[0] for record in caplog.records] == [
        "partition 2-11 failed (attempt 1 of 3)",
        "partition 2-11 failed (attempt 2 of 3)",
    ]
    assert all(str(error) in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "error",
    [
        *(kind("x") for kind in (ConfigError, ConflictError, FrameError, LakeError, StateError, VerificationError)),
        # about what exists: the answer stays the same
        ObjectNotFoundError("x"),
        ObjectExistsError("x"),
        ValueError("a bug"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_permanent_errors_are_raised_at_once(error: BaseException) -> None:
    failing = Failing(error)
    with pytest.raises(type(error)) as caught:
        POLICY.call("it", failing)
    assert caught.value is error
    assert failing.calls == 1


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_last_error_is_raised_after_all_attempts(attempts: int) -> None:
    errors = [StoreError(f"number {number}") for number in range(attempts)]
    failing = Failing(*errors)
    with pytest.raises(StoreError) as caught:
        RetryPolicy(attempts, 1).call("it", failing)
    assert caught.value is errors[-1]
    assert failing.calls == attempts


def test_permanent_error_ends_retrying() -> None:
    failing = Failing(StoreError("once"), FrameError("then this"), StoreError("never"))
    with pytest.raises(FrameError):
        POLICY.call("it", failing)
    assert failing.calls == 2


def test_caller_decides_what_is_retryable() -> None:
    failing = Failing(ValueError("odd"))
    assert POLICY.call("it", failing, lambda error: isinstance(error, ValueError)) == 2


def test_failures_are_logged_at_the_given_level(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        POLICY.call("it", Failing(StoreError("503")), level=logging.DEBUG)
    assert [record.levelno for record in caplog.records] == [logging.DEBUG]


@pytest.mark.parametrize("attempts", [1, 2, 8, 5_000])
def test_delays_are_one_fewer_than_attempts(attempts: int) -> None:
    assert len(list(RetryPolicy(attempts, 1, 0.001).delays())) == attempts - 1


def test_delays_double_up_to_the_longest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    assert list(RetryPolicy(6, 100, 0.5).delays()) == [0.1, 0.2, 0.4, 0.5, 0.5]
    assert list(RetryPolicy(3, 100_000).delays()) == [60.0, 60.0]


def test_delays_are_random_from_zero_on() -> None:
    found = [next(RetryPolicy(2, 1000).delays()) for _ in range(200)]
    assert all(0 <= delay <= 1 for delay in found)
    assert len({round(delay, 1) for delay in found}) > 5


@pytest.mark.parametrize("stops", [False, True])
def test_stop_request_ends_the_delay(stops: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    asked = threading.Event()
    failing = Failing(StoreError("503"))
    threading.Timer(0.2, asked.set).start()
    started = time.monotonic()
    with stop_waits_when(asked.is_set), pytest.raises(RunStoppedError if stops else StoreError, match="503") as caught:
        RetryPolicy(attempts=3, backoff_ms=60_000).call("partition 2-11", failing, stops=stops)
    assert time.monotonic() - started < 10
    assert failing.calls == 1
    assert not stops or isinstance(caught.value.__cause__, StoreError)


def test_stopping_process_may_succeed_at_once() -> None:
    with stop_waits_when(lambda: True):
        assert POLICY.call("it", Failing(), stops=True) == 1
        with pytest.raises(FrameError):  # a permanent error is no matter of stopping
            POLICY.call("it", Failing(FrameError("x")), stops=True)
