"""Delivery of a chain to a real HTTP server: in order, at least once, from wherever the cursor is."""

from __future__ import annotations

import contextlib
import itertools
import json
import multiprocessing
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.delivery import DELIVERED, DeliveryCursor, EventDelivery
from bronze.audit.endpoint import DeliveryEndpoint, Timeouts
from bronze.audit.event import Event, make_event
from bronze.audit.event_log import EventLog
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import DeliveryError, DeliveryRejectedError, StateError
from bronze.retry import RetryPolicy
from bronze.storage.local import LocalStore
from tests.bronze.audit.conftest import chained
from tests.bronze.conftest import ERA, PRODUCER, era, hex_hash, summary
from tests.support.http_endpoint import EventEndpoint, script

pytestmark = pytest.mark.timeout(60)
SECRET = "hunter2-and-more"
RETRY = RetryPolicy(attempts=4, backoff_ms=1)
ONCE = RetryPolicy(attempts=1, backoff_ms=1)
#: Long enough for a stalled machine, short enough for a test.
QUICK = Timeouts(connect=2, read=0.5, total=1)
EVENTS = chained(6)
EVENT = EVENTS[0]


class Chain:
    """Events in files, a record and a deliverer; each one made anew, as by another run."""

    def __init__(self, root: Path, server: EventEndpoint) -> None:
        self.root, self.server = root, server
        self.store = LocalStore(root)
        self.log = EventLog(self.store, ERA)
        self.record = DeliveryCursor(self.store, ERA.chain)

    def append(self, *events: Event) -> None:
        for event in events:
            self.log.append(event)
            with self.log.lock():
                self.log.set_head(event.event_hash)

    def deliver(self, newest: Event | None = None, retry: RetryPolicy = ONCE) -> int:
        return EventDelivery(EventLog(self.store, ERA), self.record, DeliveryEndpoint(self.server.url, retry)).deliver(
            newest
        )

    def sent(self) -> list[str]:
        return [event["chain"]["event_hash"] for event in self.server.taken]

    def prune(self, event: Event) -> None:
        (self.root / self.log.key(event.partition)).unlink()


def hashes(events: list[Event]) -> list[str]:
    return [event.event_hash for event in events]


@pytest.fixture
def chain(tmp_path: Path, server: EventEndpoint) -> Chain:
    return Chain(tmp_path, server)


def test_without_record_all_events_are_delivered(chain: Chain) -> None:
    chain.append(*EVENTS)
    assert chain.deliver() == 6
    assert chain.sent() == hashes(EVENTS)
    assert json.loads((chain.root / DELIVERED).read_bytes()) == {ERA.chain: EVENTS[-1].event_hash}
    assert chain.deliver() == 0
    assert len(chain.server.requests) == 6


def test_empty_chain_delivers_nothing(chain: Chain) -> None:
    assert chain.deliver() == 0
    assert not (chain.root / DELIVERED).exists()


def test_delivery_order_follows_links_not_ledgers(chain: Chain) -> None:
    last = EVENTS[2]
    gap = make_event(summary(0, 1), PRIMARY_TABLE, last.event_hash, PRODUCER, "2026-01-01T00:00:00Z")
    chain.append(*EVENTS[:3], gap)
    correction = make_event(summary(2, 11, "b"), PRIMARY_TABLE, gap.event_hash, PRODUCER, "2026-01-01T00:00:00Z")
    chain.log.append(correction, 2)
    assert chain.deliver(correction) == 5
    assert chain.sent() == hashes([*EVENTS[:3], gap, correction])


def test_failed_delivery_resumes_at_failed_event(chain: Chain) -> None:
    chain.append(*EVENTS[:4])
    chain.server.behaviour = script("ok", "ok", 500)
    with pytest.raises(DeliveryError):
        chain.deliver()
    assert chain.record.last() == EVENTS[1].event_hash
    chain.server.behaviour = lambda _: 422
    chain.append(*EVENTS[4:])
    with pytest.raises(DeliveryRejectedError):
        chain.deliver()
    chain.server.behaviour = script()
    assert chain.deliver() == 4
    assert chain.sent() == hashes(EVENTS)


def test_event_without_response_is_sent_again(chain: Chain) -> None:
    chain.append(*EVENTS[:2])
    chain.server.behaviour = script("ok", "late")
    endpoint = DeliveryEndpoint(chain.server.url, RETRY, QUICK)
    assert EventDelivery(chain.log, chain.record, endpoint).deliver() == 2
    assert chain.sent() == hashes([EVENTS[0], EVENTS[1], EVENTS[1]])
    assert len({body for _, body in chain.server.requests}) == 2


def test_cursor_at_head_reads_no_event_file(chain: Chain) -> None:
    chain.append(*EVENTS)
    chain.deliver()
    for event in EVENTS:  # whoever read one would complain
        (chain.root / chain.log.key(event.partition)).write_bytes(b"damaged")
    assert chain.deliver() == 0
    assert chain.deliver(EVENTS[-1]) == 0
    (following,) = chained(7)[6:]
    assert chain.deliver(following) == 1  # nor when the new event follows the record
    assert chain.record.last() == following.event_hash
    with pytest.raises(StateError):
        chain.deliver()


def test_newest_event_is_delivered_before_head_update(chain: Chain) -> None:
    chain.append(*EVENTS[:3])
    chain.deliver()
    chain.log.append(EVENTS[3])
    assert chain.deliver() == 0
    assert chain.deliver(EVENTS[3]) == 1
    assert chain.deliver(EVENTS[1]) == 0  # committed and delivered long ago
    assert chain.sent() == hashes(EVENTS[:4])


@pytest.mark.parametrize(("delivered", "pruned"), [*itertools.product(range(7), range(7))])
def test_pruned_undelivered_events_are_warned_of(
    chain: Chain, caplog: pytest.LogCaptureFixture, delivered: int, pruned: int
) -> None:
    chain.append(*EVENTS)
    if delivered:
        chain.record.advance(None, EVENTS[delivered - 1].event_hash)
    for event in EVENTS[:pruned]:
        chain.prune(event)
    behind = hashes(EVENTS[max(delivered, pruned) :])
    assert chain.deliver() == len(behind)
    assert chain.sent() == behind
    lost = delivered < pruned < 6  # with every file pruned nothing tells
    assert ("may never have been delivered" in caplog.text) == lost
    assert chain.deliver() == 0


def test_chains_share_one_delivery_record(chain: Chain) -> None:
    chain.append(EVENT)
    other = DeliveryCursor(chain.store, era(era_id="e0").chain)
    assert other.advance(None, f"sha256:{hex_hash(1)}") == f"sha256:{hex_hash(1)}"
    chain.deliver()
    stored = json.loads((chain.root / DELIVERED).read_bytes())
    assert list(stored) == ["standalone/e0/v1", "standalone/e1/v1"]
    assert other.last() == f"sha256:{hex_hash(1)}"


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"null", b'{"a": 7}', b'{"a": "sha256:x"}', b"[" * 90_000, b" " * 1048577],
    ids=lambda data: f"{data[:20]!r}",
)  # fmt: skip
def test_damaged_delivery_record_names_the_remedy(chain: Chain, data: bytes) -> None:
    chain.append(EVENT)
    (chain.root / DELIVERED).write_bytes(data)
    with pytest.raises(StateError, match=rf"{DELIVERED} cannot be used: .*\. Restore the file, or remove it"):
        chain.deliver()
    assert chain.sent() == []
    (chain.root / DELIVERED).unlink()
    assert chain.deliver() == 1


def test_moved_cursor_is_not_advanced(chain: Chain) -> None:
    one, two, three = hashes(EVENTS[:3])
    assert chain.record.advance(None, one) == one
    assert chain.record.advance(one, three) == three  # another process
    assert chain.record.advance(one, two) == three
    assert chain.record.last() == three


def test_delivery_continues_after_faster_process(chain: Chain) -> None:
    chain.append(*EVENTS)
    other = DeliveryCursor(chain.store, ERA.chain)

    def behaviour(number: int) -> str:
        if number == 1:  # while the second event is on its way, another process delivers up to the fourth
            other.advance(EVENTS[0].event_hash, EVENTS[3].event_hash)
        return "ok"

    chain.server.behaviour = behaviour
    assert chain.deliver() == 4
    assert chain.sent() == hashes([EVENTS[0], EVENTS[1], EVENTS[4], EVENTS[5]])


def _deliver_all(barrier: Any, root: Path, url: str) -> None:
    store = LocalStore(root)
    deliverer = EventDelivery(
        EventLog(store, ERA), DeliveryCursor(store, ERA.chain), DeliveryEndpoint(url, RetryPolicy(8, 1))
    )
    barrier.wait(30)
    deliverer.deliver()


def test_concurrent_deliveries_keep_the_order(chain: Chain) -> None:
    events = chained(30)
    chain.append(*events)
    chain.server.behaviour = lambda number: 503 if number % 7 == 3 else "ok"
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(4)
    processes = [context.Process(target=_deliver_all, args=(barrier, chain.root, chain.server.url)) for _ in range(4)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(40)
    assert [process.exitcode for process in processes] == [0] * 4
    assert list(dict.fromkeys(chain.sent())) == hashes(events)  # first arrivals in order, none missing
    assert chain.record.last() == events[-1].event_hash


def test_audit_imports_without_http_client() -> None:
    program = "import sys; sys.modules['requests'] = None; import bronze.audit, bronze.audit.chain_hash_file"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)


def test_events_are_listed_under_the_lock(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    chain.append(*EVENTS[:2])
    held: list[bool] = []
    lock, load = EventLog.lock, EventLog.load

    @contextlib.contextmanager
    def locking(log: EventLog) -> Iterator[None]:
        with lock(log):
            held.append(True)
            yield
            held.pop()

    def loading(log: EventLog) -> list[Event]:
        assert held, "the events are listed without the lock"
        return load(log)

    monkeypatch.setattr(EventLog, "lock", locking)
    monkeypatch.setattr(EventLog, "load", loading)
    assert chain.deliver() == 2
