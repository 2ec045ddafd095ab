"""Whether a run is still wanted: an object that its launcher writes again and again, for workers elsewhere.

A job that ends only when it is told to would otherwise run for ever when its launcher was killed.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from bronze.errors import BronzeError
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.waiting import repeated

KEY = "alive"
#: Seconds between two renewals.
RENEWAL_S = 20.0
#: Seconds without one after which the launcher passes for dead.
LIMIT_S = 300.0
_MAX_BYTES = 100


@contextmanager
def renewed(location: StorageLocation, renewal_s: float = RENEWAL_S) -> Iterator[None]:
    """Renew the lease at `location` until the block ends."""
    counts = itertools.count()

    def renew() -> None:
        count = next(counts)
        with suppress(BronzeError, OSError):  # the store does not answer: the next renewal comes in time
            open_store(location).replace(KEY, str(count).encode())

    with repeated(renew, renewal_s, "lease", at_once=True):
        yield


class Lease:
    """The lease as a worker sees it; no two clocks are compared.

    Args:
        limit_s: seconds without a renewal after which it has expired.
        clock: seconds, monotonic.
    """

    def __init__(
        self, location: StorageLocation, *, limit_s: float = LIMIT_S, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._location = location
        self._limit_s = limit_s
        self._clock = clock
        self._content: bytes | None = None
        self._seen_at = clock()
        self._next_look_at = float("-inf")

    def is_held(self) -> bool:
        """Whether it was renewed lately; looked up rarely, so that it may be asked often."""
        now = self._clock()
        if now >= self._next_look_at:
            self._next_look_at = now + min(RENEWAL_S, self._limit_s / 4)
            with suppress(BronzeError, OSError):
                content = open_store(self._location).read(KEY, _MAX_BYTES)
                if content != self._content:
                    self._content, self._seen_at = content, now
        return now - self._seen_at <= self._limit_s
