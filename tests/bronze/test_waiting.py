"""Waits: time limits, notices, and the end at a request to stop."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from bronze.errors import RunStoppedError
from bronze.waiting import is_stopping, pause, repeated, stop_waits_when, wait_until


def test_wait_ends_with_the_first_success() -> None:
    left = [False, False, True]
    assert wait_until(lambda: left.pop(0), limit_s=60, what="x")
    assert left == []


def test_wait_ends_at_its_limit() -> None:
    attempts, notices = [], []
    started = time.monotonic()
    assert not wait_until(
        lambda: bool(attempts.append(1)), limit_s=0.2, what="x", notice=lambda: notices.append(1), notice_after_s=0.05
    )
    assert 0.2 <= time.monotonic() - started < 5
    assert len(attempts) > 2
    assert notices == [1]


def test_limit_of_zero_makes_one_attempt() -> None:
    attempts: list[int] = []
    assert not wait_until(lambda: bool(attempts.append(1)), limit_s=0, what="x")
    assert attempts == [1]


def test_stop_request_ends_waits_of_all_threads() -> None:
    asked = threading.Event()
    errors: list[BaseException] = []

    def wait() -> None:
        try:
            wait_until(lambda: bool(asked.set()), limit_s=60, what="the lock of x")
        except RunStoppedError as error:
            errors.append(error)

    with stop_waits_when(asked.is_set):
        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(30)
        assert [str(error) for error in errors] == ["stopped while waiting for the lock of x"]
        assert is_stopping()
    assert not is_stopping()


def test_what_is_free_is_taken_although_stopping() -> None:
    with stop_waits_when(lambda: True):
        assert wait_until(lambda: True, limit_s=60, what="x")


def test_grace_lets_a_wait_end_although_stopping() -> None:
    left = [False, False, True]
    with stop_waits_when(lambda: True):
        assert wait_until(lambda: left.pop(0), limit_s=60, what="x", stop_grace_s=30)


def test_signal_handler_ends_a_wait() -> None:
    def attempt() -> bool:
        os.kill(os.getpid(), signal.SIGINT)
        return False

    with pytest.raises(KeyboardInterrupt):
        wait_until(attempt, limit_s=60, what="x")


def test_pause_lasts_as_long_as_asked() -> None:
    started = time.monotonic()
    assert pause(0.3)
    assert 0.3 <= time.monotonic() - started < 5
    assert pause(0)


def test_stop_request_ends_a_pause() -> None:
    asked = threading.Event()
    timer = threading.Timer(0.2, asked.set)
    with stop_waits_when(asked.is_set):
        timer.start()
        started = time.monotonic()
        assert not pause(60)
        assert time.monotonic() - started < 10
        assert not pause(0)


@pytest.mark.timeout(30)
def test_action_is_repeated_until_the_block_ends() -> None:
    called = threading.Semaphore(0)
    with repeated(called.release, 0.001, "test"):
        assert called.acquire(timeout=20)
        assert called.acquire(timeout=20)
    while called.acquire(blocking=False):  # those of the block
        pass
    assert not called.acquire(timeout=0.05)


@pytest.mark.timeout(30)
@pytest.mark.parametrize("at_once", [True, False])
def test_first_call_may_come_at_once(at_once: bool) -> None:
    calls: list[str] = []
    with repeated(lambda: calls.append(threading.current_thread().name), 3600, "test", at_once=at_once):
        assert wait_until(lambda: bool(calls), limit_s=20 if at_once else 0.02, what="the call") == at_once
    assert calls == ["test"] * at_once
