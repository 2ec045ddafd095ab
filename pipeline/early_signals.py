"""SIGTERM, SIGINT and SIGHUP end the program at once from its first moment, until a command handles them itself.

Without a handler the kernel ignores them for process 1 of a container. Python's own handlers would wait until the main
thread returns from a slow import or from a service that does not answer: a thread of its own does not. Nothing needs to
be finished: whatever is written is complete or ignored by the next run.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

_STDERR = 2
_LAST_ACTS: list[Callable[[int], object]] = []


def exit_on_signals() -> None:
    """End the process with 128 and the signal's number at the first SIGTERM, SIGINT or SIGHUP, unless it is ignored.

    Only in the main thread. `pipeline.launch.signals` takes over for as long as partitions are copied.
    """
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _nothing)
    signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    threading.Thread(target=_exit_when_signalled, args=(reader,), name="early signals", daemon=True).start()


def _exit_when_signalled(reader: int) -> None:
    number = os.read(reader, 1)[0]
    try:
        os.write(_STDERR, f"bronze-copier: stopped by {signal.Signals(number).name}\n".encode())
    finally:
        exit_now(128 + number)


@contextmanager
def before_exit(act: Callable[[int], object]) -> Iterator[None]:
    """Call `act` with the exit status, in any thread, when a signal ends the process within the block."""
    _LAST_ACTS.append(act)
    try:
        yield
    finally:
        _LAST_ACTS.remove(act)


def exit_now(status: int) -> NoReturn:
    """End the process at once, without what other threads still do; what `before_exit` was given is done first."""
    try:
        for act in tuple(_LAST_ACTS):
            with suppress(Exception):
                act(status)
    finally:
        os._exit(status)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The handler that Python calls in the main thread some time later; the thread has acted by then."""
