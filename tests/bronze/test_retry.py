"""What is tried again, how often, and what comes out in the end."""

from __future__ import annotations

import logging

import pytest

from bronze.errors import (
    ConfigError,
    ConflictError,
    FrameError,
    LakeError,
    ObjectExistsError,
    ObjectNotFoundError,
    StateError,
    StoreError,
    VerificationError,
)
from bronze.retry import RetryPolicy


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


def test_success_is_one_call() -> None:
    assert POLICY.call("it", Failing()) == 1


@pytest.mark.parametrize(
    "error", [StoreError("503"), OSError(28, "No space left"), TimeoutError(), ConnectionResetError()]
)
def test_what_may_pass_is_tried_again(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert POLICY.call("partition 2-11", Failing(error, error)) == 3
    assert [record.getMessage().split(", again in")[0] for record in caplog.records] == [
        "partition 2-11 failed (attempt 1 of 3)",
        "partition 2-11 failed (attempt 2 of 3)",
    ]
    assert all(str(error) in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize(
    "error",
    [
        *(kind("x") for kind in (ConfigError, ConflictError, FrameError, LakeError, StateError, VerificationError)),
        # they say what lies there: asking again gives the same answer
        ObjectNotFoundError("x"),
        ObjectExistsError("x"),
        ValueError("a bug"),
        KeyboardInterrupt(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_cannot_pass_is_not(error: BaseException) -> None:
    failing = Failing(error)
    with pytest.raises(type(error)) as caught:
        POLICY.call("it", failing)
    assert caught.value is error
    assert failing.calls == 1


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_the_last_error_comes_out_when_the_attempts_are_used_up(attempts: int) -> None:
    errors = [StoreError(f"number {number}") for number in range(attempts)]
    failing = Failing(*errors)
    with pytest.raises(StoreError) as caught:
        RetryPolicy(attempts, 1).call("it", failing)
    assert caught.value is errors[-1]
    assert failing.calls == attempts


def test_a_failure_for_good_ends_the_trying() -> None:
    failing = Failing(StoreError("once"), FrameError("then this"), StoreError("never"))
    with pytest.raises(FrameError):
        POLICY.call("it", failing)
    assert failing.calls == 2
