"""Reading ahead: in order, within its bounds, errors where their object is taken, and nothing left running."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from bronze.errors import LakeError
from bronze.ingest.decoder import ParallelDecoder
from bronze.lake.lake import Lake
from bronze.lake.layout import LakeLayout
from bronze.lake.prefetch import ObjectPrefetcher
from bronze.ledger.close_meta import VerifyLevel
from bronze.storage.local import LocalStore

WAIT = 20


class Panic(BaseException):
    """As clients that are written in Rust raise it."""


class Gates:
    """The part of a lake that the prefetcher reads: each answer waits until the test opens its gate.

    Objects are named by the number of their bytes; those whose names begin with ``x`` are missing, ``panic`` panics.
    """

    def __init__(self, *, opened: bool) -> None:
        self.changed = threading.Condition()
        self.asked: list[str] = []
        self.open: set[str] = set()
        self.all_open = opened
        self.coming = self.most_coming = 0

    def read(self, key: str, most: int | None = None) -> memoryview:
        with self.changed:
            self.asked.append(key)
            self.coming += 1
            self.most_coming = max(self.most_coming, self.coming)
            self.changed.notify_all()
            assert self.changed.wait_for(lambda: self.all_open or key in self.open, WAIT)
            self.coming -= 1
        if key.startswith("x"):
            raise LakeError(f"object {key} is missing")
        if key == "panic":
            raise Panic("of the client")
        return memoryview(bytes(int(key)))

    def let(self, *keys: str) -> None:
        with self.changed:
            self.open.update(keys)
            self.changed.notify_all()

    def wait_for(self, asked: int) -> None:
        """Wait until so many were asked for."""
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.asked) >= asked, WAIT), self.asked


@pytest.fixture
def opened() -> Gates:
    return Gates(opened=True)


@pytest.fixture
def shut() -> Gates:
    return Gates(opened=False)


def ahead(lake: Gates, requests: int = 4, budget: int = 1 << 30) -> ObjectPrefetcher:
    return ObjectPrefetcher(lake, max_bytes=1 << 20, requests=requests, budget=budget)  # type: ignore[arg-type]


@pytest.fixture
def fetched(opened: Gates) -> Iterator[ObjectPrefetcher]:
    with closing(ahead(opened)) as fetch:
        yield fetch


def test_objects_are_taken_in_key_order(shut: Gates) -> None:
    keys = ["1", "2", "3", "4"]
    with closing(ahead(shut)) as fetch, closing(fetch.reads(keys)) as reads:
        first = next(reads)
        shut.wait_for(4)
        shut.let("4", "3", "2")
        shut.let("1")
        assert [len(first()), *(len(read()) for read in reads)] == [1, 2, 3, 4]


def test_requests_in_flight_are_bounded(opened: Gates) -> None:
    with closing(ahead(opened, requests=3)) as fetch, closing(fetch.reads(["5"] * 200)) as reads:
        assert sum(len(read()) for read in reads) == 1000
    assert 1 <= opened.most_coming <= 3
    assert len(opened.asked) == 200


def test_untaken_objects_fill_the_budget(opened: Gates) -> None:
    size = 1 << 20
    with closing(ahead(opened, budget=3 * size)) as fetch:
        with closing(fetch.reads([str(size)])) as reads:  # its size is remembered
            next(reads)()
        with closing(fetch.reads([str(size)] * 10)) as reads:
            for taken, read in enumerate(reads):
                opened.wait_for(1 + min(10, taken + 3))
                assert len(opened.asked) <= 1 + taken + 3
                assert len(read()) == size


def test_few_requests_before_a_size_is_known(shut: Gates) -> None:
    keys = [str(size) for size in range(1, 31)]
    with closing(ahead(shut, requests=20)) as fetch, closing(fetch.reads(keys)) as reads:
        first = next(reads)
        shut.wait_for(4)
        assert shut.most_coming == 4
        shut.let("1")
        shut.wait_for(21)  # now all requests are used
        shut.let(*keys)
        assert len(first()) + sum(len(read()) for read in reads) == sum(range(1, 31))


def test_object_above_budget_is_requested_alone(opened: Gates) -> None:
    with closing(ahead(opened, budget=10)) as fetch, closing(fetch.reads(["100", "200", "300"])) as reads:
        assert [len(read()) for read in reads] == [100, 200, 300]
    assert opened.most_coming == 1


def test_error_is_raised_where_object_is_taken(fetched: ObjectPrefetcher) -> None:
    with closing(fetched.reads(["1", "x", "3"])) as reads:
        one, missing, three = reads
        assert len(one()) == 1
        with pytest.raises(LakeError, match="object x is missing"):
            missing()
        assert len(three()) == 3


def test_panic_is_an_error_of_its_object(fetched: ObjectPrefetcher) -> None:
    with closing(fetched.reads(["1", "panic", "3"])) as reads:
        one, panics, three = reads
        assert len(one()) == 1
        with pytest.raises(RuntimeError, match="reading panic failed: Panic"):
            panics()
        assert len(three()) == 3


def test_objects_may_be_taken_late(shut: Gates) -> None:
    keys = [str(size) for size in range(1, 11)]
    with closing(ahead(shut, requests=2)) as fetch:
        reads = list(fetch.reads(keys))
        shut.wait_for(2)
        shut.let(*keys)
        assert [len(read()) for read in reads] == list(range(1, 11))


def test_threads_may_take_objects(fetched: ObjectPrefetcher) -> None:
    keys = [str(size) for size in range(300)]
    with closing(fetched.reads(keys)) as reads, ThreadPoolExecutor(4) as pool:
        assert [len(data) for data in pool.map(lambda read: read(), list(reads))] == list(range(300))


def test_closing_waits_for_requests_in_flight(shut: Gates) -> None:
    size = str(1 << 20)
    with closing(ahead(shut, requests=2, budget=2 << 20)) as fetch:
        reads = fetch.reads([size] * 50)
        _, _, never = (next(reads) for _ in range(3))
        shut.wait_for(2)
        with ThreadPoolExecutor(2) as pool:
            waiting = pool.submit(never)
            closed = pool.submit(reads.close)
            with pytest.raises(CancelledError, match="was not requested"):
                waiting.result(WAIT)  # the run has ended, whose requests are still on their way
            assert not closed.done()
            shut.let(size)
            closed.result(WAIT)
        assert (len(shut.asked), shut.coming) == (2, 0)
        with closing(fetch.reads([size])) as others:
            assert [len(read()) for read in others] == [1 << 20]


def test_started_objects_are_requested_once(shut: Gates) -> None:
    with closing(ahead(shut, requests=2)) as fetch:
        fetch.start(iter(["1", "2", "3"]))
        shut.wait_for(2)
        with closing(fetch.reads(iter(["1", "2", "3"]))) as reads:
            shut.let("1", "2", "3")
            assert [len(read()) for read in reads] == [1, 2, 3]
        assert sorted(shut.asked) == ["1", "2", "3"]  # each once
        with closing(fetch.reads(["1", "2", "3"])) as reads:
            assert [len(read()) for read in reads] == [1, 2, 3]
        assert len(shut.asked) == 6  # what was given out is asked for again


def test_started_objects_not_read_are_dropped(opened: Gates) -> None:
    size = 1 << 20
    with closing(ahead(opened, budget=2 * size)) as fetch:
        fetch.start([str(size)] * 50)
        opened.wait_for(2)
        with closing(fetch.reads(["7"] * 3)) as reads:
            first = next(reads)
            stopped = opened.asked.count(str(size))
            assert [len(first()), *(len(read()) for read in reads)] == [7, 7, 7]
        fetch.start(["8", "9"])
    assert 2 <= opened.asked.count(str(size)) == stopped < 50
    assert opened.coming == 0


@pytest.mark.timeout(60)
def test_abandoned_parallel_decoding_never_hangs(lake_of: Callable[..., Path]) -> None:
    layout = LakeLayout(1, 64, "zst")
    lake = Lake(LocalStore(lake_of(1, 64, "zst")), layout, None)
    starts = range(2, 40)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        # With room for a single object, whoever waits for a later one waits until the earlier one is taken.
        with (
            closing(ObjectPrefetcher(lake, max_bytes=1 << 20, requests=4, budget=1)) as fetch,
            closing(ParallelDecoder(lake, VerifyLevel.FULL, max_object=1 << 20, threads=2)) as decoding,
        ):
            for taken in range(300):
                with (
                    closing(fetch.reads(map(lake.key, starts))) as reads,
                    closing(decoding.files(starts, reads)) as files,
                ):
                    found = [next(files)[1][0].sequence for _ in range(1 + taken % 3)]
                    assert found == list(starts)[: len(found)]
    finally:
        sys.setswitchinterval(before)


def test_no_keys_request_nothing(fetched: ObjectPrefetcher, opened: Gates) -> None:
    assert list(fetched.reads([])) == []
    assert opened.asked == []
