"""A limit on the bytes per second that all threads of a process transfer."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class RateLimiter:
    """A token bucket that may go into debt: bytes are counted first, then the caller waits.

    So bytes that have already arrived can be counted too, and a piece may be larger than the bucket. Thread-safe.

    Args:
        megabytes_per_second: the rate, in 10^6 bytes per second, above 0; None: no limit.
        burst_seconds: how much unused time is kept for later, at least 0.
        clock, sleep: in seconds; replaced in tests.
    """

    def __init__(
        self,
        megabytes_per_second: float | None,
        *,
        burst_seconds: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._rate = None if megabytes_per_second is None else megabytes_per_second * 1e6
        self._burst = burst_seconds
        self._clock, self._sleep = clock, sleep
        self._lock = threading.Lock()
        #: When everything counted so far may have been transferred.
        self._paid_until = clock() - burst_seconds

    def acquire(self, size: int) -> None:
        """Count `size` bytes; return once the rate allows them."""
        if self._rate is None:
            return
        with self._lock:
            now = self._clock()
            self._paid_until = max(self._paid_until, now - self._burst) + size / self._rate
            wait = self._paid_until - now
        if wait > 0:
            self._sleep(wait)
