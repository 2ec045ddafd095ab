"""Lake objects asked for ahead of need, so that the latency of one request is hidden behind others.

Bounded in bytes: objects are asked for only while those that have come, and those on their way as large as the
largest that came lately, fit the budget. At least one is always on its way.
"""

from __future__ import annotations

import concurrent.futures
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable
from contextlib import suppress

from bronze.lake import Lake

#: Requests on their way at once: at 50 ms each, 640 objects a second.
REQUESTS = 32
#: Compressed bytes that have come and wait for their turn, or are on their way.
BUDGET = 24 * 1024 * 1024
#: How fast a large object is forgotten: a little with each that comes.
_FORGET = 1 / 64

Read = Callable[[], bytes]


class _Window:
    """Bytes that have come and were not taken yet, and requests on their way."""

    def __init__(self, requests: int, budget: int) -> None:
        self._lock = threading.Lock()
        self._requests = requests
        self._budget = budget
        self._come = 0
        self._coming = 0
        self._largest = float(1 << 20)

    def asks(self, *, always: bool) -> bool:
        """Whether one more may be asked for (`always`: it may); it counts then."""
        with self._lock:
            coming = self._coming + 1
            fits = coming <= self._requests and self._come + coming * self._largest <= self._budget
            if not fits and not always:
                return False
            self._coming = coming
            return True

    def comes(self, size: int) -> None:
        """One has come, or failed, with so many bytes."""
        with self._lock:
            self._coming -= 1
            self._come += size
            self._largest = max(size, self._largest * (1 - _FORGET))

    def taken(self, size: int) -> None:
        """So many bytes are not waiting any more."""
        with self._lock:
            self._come -= size


class FetchAhead:
    """Reads objects of `lake` by threads of its own; for one reader at a time.

    Args:
        requests: on their way at once, at most.
        most: bytes that one object may have.
        budget: bytes in memory, beside the object that is in use.
    """

    def __init__(self, lake: Lake, *, most: int, requests: int = REQUESTS, budget: int = BUDGET) -> None:
        self._lake = lake
        self._most = most
        self._budget = budget
        self._requests = requests
        self._pool = concurrent.futures.ThreadPoolExecutor(requests, thread_name_prefix="fetch")

    def reads(self, keys: Iterable[str]) -> Generator[Read, None, None]:
        """For each key in order a function that returns the object's bytes, or raises as `Lake.read` does."""
        window = _Window(self._requests, self._budget)

        def read(key: str) -> bytes:
            size = 0
            try:
                data = self._lake.read(key, self._most)
                size = len(data)
                return data
            finally:
                window.comes(size)

        def taker(found: concurrent.futures.Future[bytes]) -> Read:
            def take() -> bytes:
                data = found.result()
                window.taken(len(data))
                return data

            return take

        waiting: deque[concurrent.futures.Future[bytes]] = deque()
        rest = iter(keys)
        key = next(rest, None)
        try:
            while key is not None or waiting:
                while key is not None and window.asks(always=not waiting):
                    waiting.append(self._pool.submit(read, key))
                    key = next(rest, None)
                yield taker(waiting.popleft())
        finally:
            for left in waiting:
                if not left.cancel():
                    with suppress(Exception):
                        left.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)
