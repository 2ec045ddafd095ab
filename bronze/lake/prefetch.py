"""Lake objects asked for ahead of need, so that the latency of one request is hidden behind others.

Bounded in bytes: objects are asked for only while those that have come, and those on their way as large as the
largest that came lately, fit the budget. At least one is always there or on its way.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor

from bronze.lake.lake import Lake

#: Requests on their way at once: at 50 ms each, 640 objects a second.
REQUESTS = 32
#: Compressed bytes that have come and wait for their turn, or are on their way.
BUDGET = 4 * 1024 * 1024
#: Requests on their way while no object's size is known.
_FIRST = 4
#: How fast a large object is forgotten: a little with each that comes.
_FORGET = 1 / 64

Read = Callable[[], memoryview]


class ObjectPrefetcher:
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
        self._pool = ThreadPoolExecutor(requests, thread_name_prefix="fetch")
        self._run: _Run | None = None
        self._largest = 0.0
        self._working: list[Future[None]] = []
        #: What `start` asked for and `reads` did not give out yet.
        self._begun: list[str] | None = None

    def start(self, keys: Iterable[str]) -> None:
        """Ask for the first of these objects already: `reads` of the same keys is to be called next.

        What an earlier call was asked for is given up.
        """
        wanted = list(keys)
        self.give_up()
        run = self._run = _Run(wanted, lambda key: self._lake.read(key, self._most), self._budget, self._largest)
        # A thread for each request, from the first key to the last: nothing is handed over for each object.
        self._working = [self._pool.submit(run.work) for _ in range(min(self._requests, len(wanted)))]
        self._begun = wanted

    def reads(self, keys: Iterable[str]) -> Generator[Read, None, None]:
        """For each key in order a function that returns the object's bytes, or raises as `Lake.read` does.

        Each is to be called once, by any thread. Closing the generator early waits for the requests on their way, and
        objects that were not asked for until then raise `CancelledError`. So does the next call of `reads` or `start`.
        """
        wanted = list(keys)
        if self._begun != wanted:
            self.start(wanted)
        self._begun, run = None, self._run
        assert run is not None
        try:
            for number in range(len(wanted)):
                yield run.taker(number)
        except GeneratorExit:
            if run is self._run:
                self.give_up()
            raise

    def give_up(self) -> None:
        """Ask for nothing more, keep nothing of what was begun and not read; waits for the requests on their way."""
        run, self._run, self._begun = self._run, None, None
        if run is not None:
            run.end()
            for thread in self._working:
                thread.result()
            self._largest = run.largest

    def close(self) -> None:
        """End the threads."""
        self.give_up()
        self._pool.shutdown()


class _Run:
    """The objects of one call of `ObjectPrefetcher.reads`: which one is asked for next, and what has come.

    Attributes:
        largest: bytes that an object on its way is taken for; 0 while none has come.
    """

    def __init__(self, keys: list[str], read: Callable[[str], memoryview], budget: int, largest: float) -> None:
        self._keys, self._read, self._budget = keys, read, budget
        self.largest = largest
        self._next = 0
        #: What has come and was not taken, by the key's number, and the bytes of it.
        self._there: dict[int, memoryview | Exception] = {}
        self._bytes = 0
        #: Requests on their way.
        self._coming = 0
        self._ended = False
        self._lock = threading.Lock()
        #: Threads that wait for room. The last is woken first: its memory is in the caches still.
        self._idle: list[threading.Condition] = []
        self._came = threading.Condition(self._lock)

    def work(self) -> None:
        """Ask for one object after the other; ends with the keys."""
        room = threading.Condition(self._lock)
        with self._lock:
            number = self._next_number(room)
        while number is not None:
            found: memoryview | Exception
            try:
                found = self._read(self._keys[number])
            except Exception as error:  # the taker's
                found = error
            with self._lock:
                self._keep(number, found)
                number = self._next_number(room)

    def taker(self, number: int) -> Read:
        """What takes the object of that number."""

        def take() -> memoryview:
            with self._lock:
                while number not in self._there:
                    if self._ended and number >= self._next:
                        raise CancelledError(f"{self._keys[number]} was not asked for: reading ahead has ended")
                    self._came.wait()
                found = self._there.pop(number)
                self._bytes -= _size(found)
                self._wake(1)
            if isinstance(found, Exception):
                raise found
            return found

        return take

    def end(self) -> None:
        """Ask for nothing more."""
        with self._lock:
            self._ended = True
            self._wake()
            self._came.notify_all()

    # Under the lock:

    def _next_number(self, room: threading.Condition) -> int | None:
        """Wait until there is room for one more; its number, or None when there is none."""
        while not self._is_over() and not self._fits():
            self._idle.append(room)
            room.wait()
        if self._is_over():
            return None
        self._next += 1
        self._coming += 1
        if self._next == len(self._keys):
            self._wake()  # nobody needs to wait any longer
        return self._next - 1

    def _wake(self, most: int | None = None) -> None:
        """Have threads see whether there is room; all, or so many at most."""
        for _ in range(len(self._idle) if most is None else min(most, len(self._idle))):
            self._idle.pop().notify()

    def _is_over(self) -> bool:
        return self._ended or self._next == len(self._keys)

    def _fits(self) -> bool:
        if not (self._coming or self._there):
            return True
        if not self.largest:
            return self._coming < _FIRST
        return self._bytes + (self._coming + 1) * self.largest <= self._budget

    def _keep(self, number: int, found: memoryview | Exception) -> None:
        self._there[number] = found
        self._coming -= 1
        size = _size(found)
        self._bytes += size
        if not self.largest:
            self._wake()  # now it is known how many fit
        self.largest = max(size, self.largest * (1 - _FORGET))
        self._came.notify_all()


def _size(found: memoryview | Exception) -> int:
    return 0 if isinstance(found, Exception) else len(found)
