"""Stopping on SIGTERM, SIGINT, SIGHUP: the first lets what is being committed end, for a while; the second ends it.

Whichever thread a signal arrives in, its number is written to a pipe at once, and a thread of its own reads it there:
the main thread may be waiting inside the runner. The signals are blocked in the main thread, and so in the worker
processes, which inherit that: Ctrl-C at a terminal goes to all processes of a run, and still stops it in order.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from bronze.errors import StoreError
from bronze.job.stop_signal import StopSignal
from bronze.waiting import stop_waits_when
from pipeline.early_signals import exit_now

_LOG = logging.getLogger(__name__)
#: Seconds from the first signal until the process ends in any case. Kubernetes kills after 30.
GRACE_S = 10.0
#: What may ask the run to stop. One that is ignored at the start (SIGHUP under nohup) stays ignored.
_SIGNALS = frozenset({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})


class SignalWatch:
    """Which signal, if any, has asked the run to stop.

    Args:
        stop: passes the request on to the workers.
        grace_s: seconds that the run may take to stop; then the process ends, whatever still waits for a service.

    Attributes:
        status: exit status of a run that was stopped (128 and the signal's number); None while it was not.
    """

    def __init__(self, stop: StopSignal, *, grace_s: float = GRACE_S) -> None:
        self._stop = stop
        self._grace_s = grace_s
        self._limit: threading.Timer | None = None
        self.status: int | None = None

    def request(self, number: int) -> None:
        """Ask the run to stop because of signal `number`; end the process when it was asked before."""
        if self.status is not None:
            exit_now(128 + number)
        self.status = 128 + number
        self._limit = threading.Timer(self._grace_s, self._give_up, [128 + number])
        self._limit.daemon = True
        self._limit.start()
        try:
            self._stop.request()
        except (StoreError, OSError) as error:
            _LOG.warning("workers cannot be told to stop, so the run stops after its current wave: %s", error)
        _LOG.warning(
            "%s: what is being committed is finished, what is being encoded is given up; a second signal ends at once",
            signal.Signals(number).name,
        )

    def end(self) -> None:
        """The run has stopped: the process need not be ended any more."""
        if self._limit is not None:
            self._limit.cancel()

    def _give_up(self, status: int) -> None:
        try:
            _LOG.warning(
                "%.0f s after the signal the run still waits for a service: it ends without it; the next run resumes",
                self._grace_s,
            )
        finally:
            exit_now(status)


@contextmanager
def stop_on_signals(stop: StopSignal) -> Iterator[SignalWatch]:
    """Take SIGTERM, SIGINT and SIGHUP until the block ends, and request `stop` at the first.

    Only in the main thread; in another one no signal is taken.
    """
    watch = SignalWatch(stop)
    if threading.current_thread() is not threading.main_thread():
        yield watch
        return
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    taken = {number for number in _SIGNALS if signal.getsignal(number) is not signal.SIG_IGN}
    handlers = {number: signal.signal(number, _nothing) for number in taken}
    wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, taken)

    def follow() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, taken)
        while number := os.read(reader, 1)[0]:
            watch.request(number)

    watcher = threading.Thread(target=follow, name="signals", daemon=True)
    watcher.start()
    try:
        with stop_waits_when(lambda: watch.status is not None):
            yield watch
    finally:
        os.write(writer, b"\0")
        watcher.join()
        watch.end()
        signal.set_wakeup_fd(wakeup)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        os.close(reader)
        os.close(writer)


def _nothing(number: int, frame: FrameType | None) -> None:
    """The handler that Python calls in the main thread some time later; the watcher has acted by then."""
