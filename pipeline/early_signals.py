"""SIGTERM, SIGINT and SIGHUP end the program at once from its first moment, until a command handles them itself.

Without a handler the kernel ignores them for process 1 of a container. Python's own handlers would wait until the main
thread returns from a slow import or from a service that does not answer: a thread of its own does not. Nothing needs to
be finished: whatever is written is complete or ignored by the next run.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

_STDERR = 2


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
        os._exit(128 + number)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The handler that Python calls in the main thread some time later; the thread has acted by then."""
