"""Request lake objects ahead of need, so that the latency of one request is hidden behind others.

Bounded in bytes: objects are requested only while those that have arrived, and those in flight counted as large as the
largest that arrived lately, fit the budget. At least one is always ready or in flight.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from contextvars import copy_context

from bronze.lake.lake import Lake

#: Requests in flight at once: at 50 ms each, 640 objects a second.
REQUESTS = 32
#: Compressed bytes that have arrived and were not taken, or are in flight.
BUDGET = 4 * 1024 * 1024
#: Requests in flight while no object's size is known.
_FIRST_REQUESTS = 4
#: How fast a large object is forgotten: by this part of its size with each that arrives.
_DECAY = 1 / 64

Read = Callable[[], memoryview]


class ObjectPrefetcher:
    """Reads objects of `lake` in threads of its own; for one reader at a time.

    Args:
        max_bytes: most bytes that one object may have.
        requests: most requests in flight at once.
        budget: bytes in memory, in addition to the object that is in use.
    """

    def __init__(self, lake: Lake, *, max_bytes: int, requests: int = REQUESTS, budget: int = BUDGET) -> None:
        self._lake = lake
        self._max_bytes = max_bytes
        self._budget = budget
        self._requests = requests
        self._pool = ThreadPoolExecutor(requests, thread_name_prefix="fetch")
        self._batch: _Batch | None = None
        self._largest = 0.0
        self._working: list[Future[None]] = []
        #: The keys that `start` was called with, until `reads` is called.
        self._started: list[str] | None = None

    def start(self, keys: Iterable[str]) -> None:
        """Request the first of these objects already; `reads` is to be called next, with the same keys.

        What an earlier call requested is given up.
        """
        wanted = list(keys)
        self.give_up()
        batch = self._batch = _Batch(
            wanted, lambda key: self._lake.read(key, self._max_bytes), self._budget, self._largest
        )
        # A thread for each request, from the first key to the last: nothing is handed over for each object.
        self._working = [
            self._pool.submit(copy_context().run, batch.work) for _ in range(min(self._requests, len(wanted)))
        ]
        self._started = wanted

    def reads(self, keys: Iterable[str]) -> Generator[Read, None, None]:
        """For each key in order a function that returns the object's bytes, or raises as `Lake.read` does.

        Each is to be called once, by any thread. Closing the generator early waits for the requests in flight, and
        objects that were not requested until then raise `CancelledError`. So does the next call of `reads` or `start`.
        """
        wanted = list(keys)
        if self._started != wanted:
            self.start(wanted)
        self._started, batch = None, self._batch
        assert batch is not None
        try:
            for number in range(len(wanted)):
                yield batch.getter(number)
        except GeneratorExit:
            if batch is self._batch:
                self.give_up()
            raise

    def give_up(self) -> None:
        """Request nothing more, and drop what was not taken; waits for the requests in flight."""
        batch, self._batch, self._started = self._batch, None, None
        if batch is not None:
            batch.end()
            for thread in self._working:
                thread.result()
            self._largest = batch.largest

    def close(self) -> None:
        """End the threads."""
        self.give_up()
        self._pool.shutdown()


class _Batch:
    """The objects of one call of `ObjectPrefetcher.start`: which is requested next, and which have arrived.

    Attributes:
        largest: bytes that an object in flight is counted as; 0 while none has arrived.
    """

    def __init__(self, keys: list[str], read: Callable[[str], memoryview], budget: int, largest: float) -> None:
        self._keys, self._read, self._budget = keys, read, budget
        self.largest = largest
        self._next = 0
        #: Objects that have arrived and were not taken, by the key's number, and the bytes of all of them.
        self._ready: dict[int, memoryview | BaseException] = {}
        self._ready_bytes = 0
        #: Number of requests in flight.
        self._in_flight = 0
        self._ended = False
        self._lock = threading.Lock()
        #: Threads that wait for room. The last is woken first: its memory is in the caches still.
        self._idle: list[threading.Condition] = []
        self._arrived = threading.Condition(self._lock)

    def work(self) -> None:
        """Request one object after the other; ends with the keys."""
        room = threading.Condition(self._lock)
        with self._lock:
            number = self._next_number(room)
        while number is not None:
            found: memoryview | BaseException
            try:
                found = self._read(self._keys[number])
            except BaseException as error:  # raised where the object is taken
                found = error
            with self._lock:
                self._keep(number, found)
                number = self._next_number(room)

    def getter(self, number: int) -> Read:
        """A function that waits for the object of the key with this number, and returns its bytes."""

        def get() -> memoryview:
            with self._lock:
                while number not in self._ready:
                    if self._ended and number >= self._next:
                        raise CancelledError(f"{self._keys[number]} was not requested: reading ahead has ended")
                    self._arrived.wait()
                found = self._ready.pop(number)
                self._ready_bytes -= _size(found)
                self._wake(1)
            if isinstance(found, Exception):
                raise found
            if isinstance(found, BaseException):  # a panic of the client, for example: a failure of this object alone
                raise RuntimeError(f"reading {self._keys[number]} failed: {found!r}") from found
            return found

        return get

    def end(self) -> None:
        """Request nothing more."""
        with self._lock:
            self._ended = True
            self._wake()
            self._arrived.notify_all()

    # Under the lock:

    def _next_number(self, room: threading.Condition) -> int | None:
        """Wait until there is room for one more request; the number of its key, or None when there is none left."""
        while not self._is_over() and not self._fits():
            self._idle.append(room)
            room.wait()
        if self._is_over():
            return None
        self._next += 1
        self._in_flight += 1
        if self._next == len(self._keys):
            self._wake()  # nobody needs to wait any longer
        return self._next - 1

    def _wake(self, most: int | None = None) -> None:
        """Have waiting threads look whether there is room: all of them, or `most`."""
        for _ in range(len(self._idle) if most is None else min(most, len(self._idle))):
            self._idle.pop().notify()

    def _is_over(self) -> bool:
        return self._ended or self._next == len(self._keys)

    def _fits(self) -> bool:
        if not (self._in_flight or self._ready):
            return True
        if not self.largest:
            return self._in_flight < _FIRST_REQUESTS
        return self._ready_bytes + (self._in_flight + 1) * self.largest <= self._budget

    def _keep(self, number: int, found: memoryview | BaseException) -> None:
        self._ready[number] = found
        self._in_flight -= 1
        size = _size(found)
        self._ready_bytes += size
        if not self.largest:
            self._wake()  # now it is known how many fit
        self.largest = max(size, self.largest * (1 - _DECAY))
        self._arrived.notify_all()


def _size(found: memoryview | BaseException) -> int:
    return 0 if isinstance(found, BaseException) else len(found)
