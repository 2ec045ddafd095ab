"""Waiting for others, with a time limit and an end when this process is asked to stop.

Who takes the process's signals says with `stop_waits_when` how a wait finds out about them; elsewhere Python's own
handling of signals ends a wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from bronze.errors import RunStoppedError

#: Seconds between two attempts: a tenth of the time waited so far, within these limits.
_SHORTEST_PAUSE, _LONGEST_PAUSE = 0.001, 0.25

_stop_checks: list[Callable[[], bool]] = []


@contextmanager
def stop_waits_when(is_stopping: Callable[[], bool]) -> Iterator[None]:
    """Inside the block, waits of all threads of this process end soon after `is_stopping` has become true."""
    _stop_checks.append(is_stopping)
    try:
        yield
    finally:
        _stop_checks.remove(is_stopping)


def is_stopping() -> bool:
    """Whether this process was asked to stop."""
    return any(check() for check in _stop_checks)


def stop_if_asked(doing: str) -> None:
    """End work that may take long.

    Args:
        doing: what is ended, as the error names it.

    Raises:
        RunStoppedError: this process was asked to stop.
    """
    if is_stopping():
        raise RunStoppedError(f"stopped while {doing}")


def pause(seconds: float) -> bool:
    """Sleep for `seconds`; return false when this process was asked to stop before they were over."""
    ends_at = time.monotonic() + seconds
    while not is_stopping():
        left = ends_at - time.monotonic()
        if left <= 0:
            return True
        time.sleep(min(left, _LONGEST_PAUSE))
    return False


@contextmanager
def repeated(action: Callable[[], None], every_s: float, name: str, *, at_once: bool = False) -> Iterator[None]:
    """Call `action` every `every_s` seconds in a thread called `name`, until the block ends.

    Args:
        at_once: whether it is called for the first time when the block begins, not `every_s` seconds later.
    """
    ended = threading.Event()

    def repeat() -> None:
        if at_once:
            action()
        while not ended.wait(every_s):
            action()

    thread = threading.Thread(target=repeat, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def wait_until(
    attempt: Callable[[], bool],
    *,
    limit_s: float,
    what: str,
    notice: Callable[[], object] | None = None,
    notice_after_s: float = 0.0,
    stop_grace_s: float = 0.0,
) -> bool:
    """Call `attempt` until it returns true; return false when it has not after `limit_s` seconds.

    It is called at once, and again with growing pauses of at most a quarter of a second.

    Args:
        what: what is waited for, as the error names it.
        notice: called once, when the wait has lasted `notice_after_s` seconds; says what is waited for.
        stop_grace_s: seconds that the wait may last although the process was asked to stop.

    Raises:
        RunStoppedError: the process was asked to stop.
    """
    started = time.monotonic()
    stopping_since: float | None = None
    while not attempt():
        now = time.monotonic()
        waited = now - started
        if waited >= limit_s:
            return False
        if stopping_since is None and is_stopping():
            stopping_since = now
        if stopping_since is not None and now - stopping_since >= stop_grace_s:
            raise RunStoppedError(f"stopped while waiting for {what}")
        if notice is not None and waited >= notice_after_s:
            notice()
            notice = None
        pause = min(max(waited / 10, _SHORTEST_PAUSE), _LONGEST_PAUSE)
        time.sleep(min(pause, limit_s - waited))
    return True
