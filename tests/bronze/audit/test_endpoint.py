"""Delivery to a real HTTP server: what is sent, tried again, given up, kept, and never shown."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import logging
import multiprocessing
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.delivery import DELIVERED, DeliveryCursor, EventDelivery
from bronze.audit.endpoint import DeliveryEndpoint, Timeouts
from bronze.audit.event import Event, make_event, parse_event
from bronze.audit.event_log import EventLog
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import ConfigError, DeliveryError, DeliveryRejectedError, StateError, is_transient
from bronze.retry import RetryPolicy
from bronze.storage.local import LocalStore
from tests.bronze.conftest import ERA, PRODUCER, era, hex_hash, summary
from tests.support.http_endpoint import EventEndpoint, script

pytestmark = pytest.mark.timeout(60)
SECRET = "hunter2-and-more"
RETRY = RetryPolicy(attempts=4, backoff_ms=1)
ONCE = RetryPolicy(attempts=1, backoff_ms=1)
#: Long enough for a stalled machine, short enough for a test.
QUICK = Timeouts(connect=2, read=0.5, total=1)


def chained(count: int) -> list[Event]:
    events: list[Event] = []
    for first in range(2, 2 + 10 * count, 10):
        prev = events[-1].event_hash if events else ""
        events.append(make_event(summary(first, first + 9), PRIMARY_TABLE, prev, PRODUCER, "2026-01-01T00:00:00Z"))
    return events


EVENTS = chained(6)
EVENT = EVENTS[0]


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def server() -> Iterator[EventEndpoint]:
    with EventEndpoint() as made:
        yield made


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


# One event


def test_what_is_sent(server: EventEndpoint) -> None:
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    ((headers, body),) = server.requests
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == EVENT.event_id
    assert body == EVENT.delivery_body()
    assert json.loads(body) == EVENT.document
    assert server.paths == ["/events"]


def test_the_body_is_the_hashed_form_with_its_hash_in_it() -> None:
    odd = make_event(summary(2, 11, storage_path="a&b<c>\u2028ü"), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:00Z")
    for event in (odd, parse_event(odd.to_bytes(), "here")):
        body = event.delivery_body()
        assert b"a\\u0026b\\u003cc\\u003e\\u2028\xc3\xbc" in body
        assert b": " not in body
        caller_hashes = body.replace(b'"event_hash":"' + event.event_hash.encode(), b'"event_hash":"')
        assert event.event_hash == f"sha256:{hashlib.sha256(caller_hashes).hexdigest()}"


def test_the_same_bytes_on_every_attempt(server: EventEndpoint) -> None:
    server.behaviour = script(500, 503, "close")
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert len(server.requests) == 4
    assert len({(headers["Idempotency-Key"], body) for headers, body in server.requests}) == 1
    assert server.event_ids() == [EVENT.event_id]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_is_success(server: EventEndpoint, status: int) -> None:
    server.behaviour = script(status)
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", [500, 502, 503, 504, 599, 408, 425, 429, "close"])
def test_what_may_pass_is_tried_until_the_attempts_are_used_up(server: EventEndpoint, step: str | int) -> None:
    server.behaviour = lambda _: step
    with pytest.raises(DeliveryError) as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert is_transient(caught.value)
    assert len(server.requests) == RETRY.attempts
    if isinstance(step, int):
        assert f"http://127.0.0.1:{server.port} answered {step} to event {EVENT.event_id}" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 301, 302, 307, 308, 304])
def test_what_will_never_pass_is_refused_at_once(server: EventEndpoint, status: int) -> None:
    server.behaviour = lambda _: status
    server.headers = {"Location": server.url}  # redirects are not followed
    server.text = "" if status == 304 else "no such\nthing"
    with pytest.raises(DeliveryRejectedError, match=f"answered {status} to event {EVENT.event_id}") as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert not is_transient(caught.value)
    assert len(server.requests) == 1
    assert status == 304 or str(caught.value).endswith(": no such thing")


@pytest.mark.parametrize("step", ["hang", "late", "trickle", "trickle-body"])
def test_slow_answers_are_given_up(server: EventEndpoint, step: str) -> None:
    server.behaviour = script(step)
    started = time.monotonic()
    DeliveryEndpoint(server.url, RETRY, QUICK).send(EVENT)
    assert time.monotonic() - started < 15
    assert len(server.requests) == 2
    assert server.event_ids() == [EVENT.event_id]


def test_attempts_that_hang_do_not_pile_up(server: EventEndpoint) -> None:
    server.behaviour = lambda _: "trickle"
    endpoint = DeliveryEndpoint(server.url, RetryPolicy(12, 1), Timeouts(connect=1, read=1, total=0.1))
    before = threading.active_count()
    with pytest.raises(DeliveryError, match="has not finished its answers to 8 earlier attempts"):
        endpoint.send(EVENT)
    assert threading.active_count() - before <= 2 * 8  # ours and the server's


def test_the_interpreter_ends_while_an_answer_trickles(server: EventEndpoint) -> None:
    server.behaviour = lambda _: "trickle"
    program = (
        "import sys; from tests.bronze.audit.test_endpoint import *\n"
        "try: DeliveryEndpoint(sys.argv[1], ONCE, Timeouts(connect=1, read=1, total=0.3)).send(EVENT)\n"
        "except DeliveryError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, server.url], capture_output=True, text=True, timeout=50, check=True
    )
    assert "did not answer within 0.3 s" in done.stdout


@pytest.mark.parametrize(
    ("header", "least"),
    [("1", 0.9), ("Thu, 01 Jan 1970 00:01:40 GMT", 0), ("soon", 0), ("-5", 0), ("", 0)],
)
def test_retry_after(server: EventEndpoint, header: str, least: float) -> None:
    server.behaviour = script(429)
    server.headers = {"Retry-After": header}
    started = time.monotonic()
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert least <= time.monotonic() - started < 15


def test_retry_after_is_honoured_up_to_a_bound(server: EventEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.audit.endpoint._MAX_RETRY_AFTER_SECONDS", 0.2)
    server.behaviour = script(503, 503)
    for header in ("999999999", formatdate(time.time() + 86400, usegmt=True)):
        server.requests.clear()
        server.headers = {"Retry-After": header}
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
        assert len(server.requests) == 3


def test_the_proxy_of_the_environment_is_used(server: EventEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    DeliveryEndpoint("http://audit.invalid/events", RETRY).send(EVENT)
    assert server.paths == ["http://audit.invalid/events"]
    monkeypatch.setenv("no_proxy", "audit.invalid")
    with pytest.raises(DeliveryError, match=r"http://audit\.invalid cannot be reached"):
        DeliveryEndpoint("http://audit.invalid/events", ONCE).send(EVENT)


def test_credentials_of_the_url_are_sent_and_never_shown(
    server: EventEndpoint, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.behaviour = script(500, 403)
    caplog.set_level(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.INFO)  # as the program sets it: it logs each request's path
    shown, authorizations = [], set()
    urls = [
        f"http://someone:{SECRET}@127.0.0.1:{{port}}/hooks/path-{SECRET}?token={SECRET}&x=unnamed-{SECRET}",
        f"http://{SECRET}@127.0.0.1:{{port}}/events",
    ]
    pairs = [base64.b64encode(pair.encode()).decode() for pair in (f"someone:{SECRET}", f"{SECRET}:")]
    for (url, pair), port in itertools.product(zip(urls, pairs, strict=True), (server.port, closed_port())):
        # an endpoint that repeats what it was sent, the secret's end cut off where the text is
        server.text = f"you sent {pair}, {SECRET}, path-{SECRET} and token {SECRET} " + "-" * 60 + f" {SECRET}" * 9
        endpoint = DeliveryEndpoint(url.format(port=port), RETRY)
        assert endpoint.where == f"http://127.0.0.1:{port}"
        server.requests.clear()
        with pytest.raises((DeliveryError, DeliveryRejectedError)) as caught:
            endpoint.send(EVENT)
        shown += traceback.format_exception(caught.value)
        authorizations |= {headers["Authorization"] for headers, _ in server.requests}
    monkeypatch.setenv("http_proxy", f"http://someone:{SECRET}@127.0.0.1:{closed_port()}")
    with pytest.raises(DeliveryError) as caught:
        DeliveryEndpoint("http://audit.invalid/events", RETRY).send(EVENT)
    text = "".join([*shown, *traceback.format_exception(caught.value), caplog.text])
    assert "Connection refused" in text
    assert "failed (attempt 1 of 4)" in text
    assert SECRET not in text
    assert SECRET[:12] not in text
    assert not any(pair in text for pair in pairs)
    assert authorizations == {f"Basic {pair}" for pair in pairs}


@pytest.mark.parametrize(
    "url",
    [
        "",
        "events",
        "ftp://host/events",
        "https://",
        "https://:443/x",
        f"https://someone:p/{SECRET}@host/",
        f"https://host:{SECRET}/",
        f"https://[{SECRET}/",
        f"https://host/a b?{SECRET}",
    ],
)
def test_what_is_no_address_is_a_config_error_that_shows_none_of_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"pas\.endpoint is not a URL") as caught:
        DeliveryEndpoint(url, RETRY)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_address_that_cannot_be_used_is_refused() -> None:
    with pytest.raises(DeliveryRejectedError, match=f"event {EVENT.event_id} cannot be sent to http://a"):
        DeliveryEndpoint(f"http://{'a' * 70}.invalid/", RETRY).send(EVENT)


# A chain


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


def test_without_a_record_everything_is_delivered_in_order(chain: Chain) -> None:
    chain.append(*EVENTS)
    assert chain.deliver() == 6
    assert chain.sent() == hashes(EVENTS)
    assert json.loads((chain.root / DELIVERED).read_bytes()) == {ERA.chain: EVENTS[-1].event_hash}
    assert chain.deliver() == 0
    assert len(chain.server.requests) == 6


def test_nothing_to_deliver(chain: Chain) -> None:
    assert chain.deliver() == 0
    assert not (chain.root / DELIVERED).exists()


def test_the_order_is_that_of_the_links_not_of_the_ledgers(chain: Chain) -> None:
    last = EVENTS[2]
    gap = make_event(summary(0, 1), PRIMARY_TABLE, last.event_hash, PRODUCER, "2026-01-01T00:00:00Z")
    chain.append(*EVENTS[:3], gap)
    correction = make_event(summary(2, 11, "b"), PRIMARY_TABLE, gap.event_hash, PRODUCER, "2026-01-01T00:00:00Z")
    chain.log.append(correction, 2)
    assert chain.deliver(correction) == 5
    assert chain.sent() == hashes([*EVENTS[:3], gap, correction])


def test_the_first_failure_ends_it_and_the_next_call_goes_on_there(chain: Chain) -> None:
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


def test_an_event_that_was_taken_without_an_answer_is_sent_again(chain: Chain) -> None:
    chain.append(*EVENTS[:2])
    chain.server.behaviour = script("ok", "late")
    endpoint = DeliveryEndpoint(chain.server.url, RETRY, QUICK)
    assert EventDelivery(chain.log, chain.record, endpoint).deliver() == 2
    assert chain.sent() == hashes([EVENTS[0], EVENTS[1], EVENTS[1]])
    assert len({body for _, body in chain.server.requests}) == 2


def test_nothing_is_read_when_the_record_is_at_the_head(chain: Chain) -> None:
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


def test_an_event_that_the_head_does_not_know_yet_is_delivered_when_named(chain: Chain) -> None:
    chain.append(*EVENTS[:3])
    chain.deliver()
    chain.log.append(EVENTS[3])
    assert chain.deliver() == 0
    assert chain.deliver(EVENTS[3]) == 1
    assert chain.deliver(EVENTS[1]) == 0  # committed and delivered long ago
    assert chain.sent() == hashes(EVENTS[:4])


@pytest.mark.parametrize(("delivered", "pruned"), [*itertools.product(range(7), range(7))])
def test_pruned_events(chain: Chain, caplog: pytest.LogCaptureFixture, delivered: int, pruned: int) -> None:
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


def test_chains_share_the_file(chain: Chain) -> None:
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
def test_a_damaged_record_says_what_to_do(chain: Chain, data: bytes) -> None:
    chain.append(EVENT)
    (chain.root / DELIVERED).write_bytes(data)
    with pytest.raises(StateError, match=rf"{DELIVERED} cannot be used: .*\. Restore the file, or remove it"):
        chain.deliver()
    assert chain.sent() == []
    (chain.root / DELIVERED).unlink()
    assert chain.deliver() == 1


def test_a_record_that_moved_meanwhile_stays(chain: Chain) -> None:
    one, two, three = hashes(EVENTS[:3])
    assert chain.record.advance(None, one) == one
    assert chain.record.advance(one, three) == three  # another process
    assert chain.record.advance(one, two) == three
    assert chain.record.last() == three


def test_another_process_ahead_is_followed(chain: Chain) -> None:
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


def test_several_processes_at_once(chain: Chain) -> None:
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
