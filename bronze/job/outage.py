"""Waiting for stores that cannot be reached, instead of failing one partition after the other.

Who waits asks the store itself, with one small request in a few seconds. All waits of a process for one store are one
outage: it is told of once, and has one time limit.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from bronze.errors import OutageError, RunStoppedError, is_unreachable
from bronze.job.spec import CopyJob
from bronze.job.stop_signal import StopSignal
from bronze.log_fields import error_fields
from bronze.measurements import STORE_REACHABLE, STORE_UNREACHABLE, report
from bronze.storage.location import StorageLocation
from bronze.storage.reachability import unreachable_reason
from bronze.timestamps import rfc3339
from bronze.waiting import pause

_LOG = logging.getLogger(__name__)
#: Seconds between two requests to a store that does not answer: a tenth of the time waited, within these limits.
_SHORTEST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0

Result = TypeVar("Result")


class _Outages:
    """Since when the stores of this process do not answer, by location: Unix time, and monotonic."""

    def __init__(self) -> None:
        self._since: dict[StorageLocation, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def begin(self, location: StorageLocation) -> tuple[tuple[float, float], bool]:
        """Since when it does not answer, and whether nobody knew that."""
        with self._lock:
            is_new = location not in self._since
            return self._since.setdefault(location, (time.time(), time.monotonic())), is_new

    def lasting(self) -> list[str]:
        """The URLs of the stores that do not answer."""
        with self._lock:
            return sorted(location.url for location in self._since)

    def end(self, location: StorageLocation) -> bool:
        """It answers; whether nobody knew that."""
        with self._lock:
            return self._since.pop(location, None) is not None


_OUTAGES = _Outages()


def stores_out_of_reach() -> list[str]:
    """The URLs of the stores that this process waited for at last, and that did not answer."""
    return _OUTAGES.lasting()


class OutageWait:
    """Waits for the stores of a job while one of them does not answer.

    Args:
        job: names the stores, the time limit, and where a request to stop appears.
    """

    def __init__(self, job: CopyJob) -> None:
        found = (
            job.source.location if job.source else None,
            job.target.location,
            job.chain.events,
            job.chain.checkpoint,
        )
        self._locations = tuple(dict.fromkeys(location for location in found if location is not None))
        self._limit_s = job.run.outage_limit_s
        self._stop = StopSignal(job.run.stop) if job.run.stop else None

    def call(self, what: str, function: Callable[[], Result]) -> Result:
        """Call `function`; while it fails because a store does not answer, wait for that store and call it again.

        Raises:
            OutageError: the store was unreachable for longer than the time limit.
            RunStoppedError: the run was asked to stop meanwhile.
            Exception: what `function` raises, also when it says that a store does not answer and all of them do.
        """
        while True:
            try:
                return function()
            except Exception as error:
                if not self._limit_s or not is_unreachable(error):
                    raise
                failure = error
            waited = [location for location in self._locations if self._wait_for(location, what, failure)]
            if not waited:
                raise failure

    def _wait_for(self, location: StorageLocation, what: str, failure: Exception) -> bool:
        """Wait until the store at `location` answers; return whether it did not at first."""
        waited = False
        while reason := unreachable_reason(location):
            waited = True
            (since, started), is_new = _OUTAGES.begin(location)
            since_text = rfc3339(int(since) * 1_000_000_000)
            lasts_s = time.monotonic() - started
            if is_new:
                report(STORE_UNREACHABLE, since, store=location.url, error=reason)
                _LOG.warning(
                    "%s is unreachable since %s: the run waits for it, up to %.0f s: %s",
                    location.url, since_text, self._limit_s, reason, extra=error_fields(failure),
                )  # fmt: skip
            if lasts_s >= self._limit_s:
                raise OutageError(
                    f"{location.url} is unreachable since {since_text}, for longer than perf.outage_limit_seconds"
                    f" ({self._limit_s:.0f} s): {reason}. Run again when it answers: the run resumes"
                )
            length = min(max(lasts_s / 10, _SHORTEST_PAUSE_S), _LONGEST_PAUSE_S, self._limit_s - lasts_s)
            if not pause(length) or (self._stop is not None and self._stop.is_requested()):
                raise RunStoppedError(
                    f"{what} was not finished: the run was asked to stop while {location.url} was unreachable"
                )
        if _OUTAGES.end(location):
            report(STORE_REACHABLE, store=location.url)
            _LOG.warning("%s answers again: the run goes on", location.url)
        return waited
