"""One event sent to a real HTTP server: what is sent, retried, timed out, rejected, and never shown."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import socket
import subprocess
import sys
import threading
import time
import traceback
from email.utils import formatdate

import pytest

from bronze.audit.endpoint import DeliveryEndpoint, Timeouts
from bronze.errors import ConfigError, DeliveryError, DeliveryRejectedError, is_transient
from bronze.retry import RetryPolicy
from tests.bronze.audit.conftest import chained
from tests.support.http_endpoint import EventEndpoint, script

pytestmark = pytest.mark.timeout(60)
SECRET = "hunter2-and-more"
RETRY = RetryPolicy(attempts=4, backoff_ms=1)
ONCE = RetryPolicy(attempts=1, backoff_ms=1)
#: Long enough for a stalled machine, short enough for a test.
QUICK = Timeouts(connect=2, read=0.5, total=1)
(EVENT,) = chained(1)


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_request_holds_body_and_idempotency_key(server: EventEndpoint) -> None:
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    ((headers, body),) = server.requests
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == EVENT.event_id
    assert body == EVENT.delivery_body()
    assert json.loads(body) == EVENT.document
    assert server.paths == ["/events"]


def test_every_attempt_sends_the_same_bytes(server: EventEndpoint) -> None:
    server.behaviour = script(500, 503, "close")
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert len(server.requests) == 4
    assert len({(headers["Idempotency-Key"], body) for headers, body in server.requests}) == 1
    assert server.event_ids() == [EVENT.event_id]


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_2xx_status_is_success(server: EventEndpoint, status: int) -> None:
    server.behaviour = script(status)
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert len(server.requests) == 1


@pytest.mark.parametrize("step", [500, 502, 503, 504, 599, 408, 425, 429, "close"])
def test_transient_failures_use_up_all_attempts(server: EventEndpoint, step: str | int) -> None:
    server.behaviour = lambda _: step
    with pytest.raises(DeliveryError) as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert is_transient(caught.value)
    assert len(server.requests) == RETRY.attempts
    if isinstance(step, int):
        assert f"http://127.0.0.1:{server.port} answered {step} to event {EVENT.event_id}" in str(caught.value)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 413, 415, 422, 301, 302, 307, 308, 304])
def test_permanent_statuses_are_rejected_without_retry(server: EventEndpoint, status: int) -> None:
    server.behaviour = lambda _: status
    server.headers = {"Location": server.url}  # redirects are not followed
    server.text = "" if status == 304 else "no such\nthing"
    with pytest.raises(DeliveryRejectedError, match=f"answered {status} to event {EVENT.event_id}") as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert not is_transient(caught.value)
    assert len(server.requests) == 1
    assert status == 304 or str(caught.value).endswith(": no such thing")


@pytest.mark.parametrize("step", ["hang", "late", "trickle", "trickle-body"])
def test_slow_responses_time_out_and_are_retried(server: EventEndpoint, step: str) -> None:
    server.behaviour = script(step)
    started = time.monotonic()
    DeliveryEndpoint(server.url, RETRY, QUICK).send(EVENT)
    assert time.monotonic() - started < 15
    assert len(server.requests) == 2
    assert server.event_ids() == [EVENT.event_id]


def test_abandoned_attempts_are_limited(server: EventEndpoint) -> None:
    server.behaviour = lambda _: "trickle"
    endpoint = DeliveryEndpoint(server.url, RetryPolicy(12, 1), Timeouts(connect=1, read=1, total=0.1))
    before = threading.active_count()
    with pytest.raises(DeliveryError, match="has not finished its answers to 8 earlier attempts"):
        endpoint.send(EVENT)
    assert threading.active_count() - before <= 2 * 8  # ours and the server's


def test_abandoned_attempt_does_not_delay_exit(server: EventEndpoint) -> None:
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
def test_retry_after_delays_the_next_attempt(server: EventEndpoint, header: str, least: float) -> None:
    server.behaviour = script(429)
    server.headers = {"Retry-After": header}
    started = time.monotonic()
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert least <= time.monotonic() - started < 15


def test_long_retry_after_is_cut(server: EventEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.audit.endpoint._MAX_RETRY_AFTER_SECONDS", 0.2)
    server.behaviour = script(503, 503)
    for header in ("999999999", formatdate(time.time() + 86400, usegmt=True)):
        server.requests.clear()
        server.headers = {"Retry-After": header}
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
        assert len(server.requests) == 3


def test_proxy_of_environment_is_used(server: EventEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.port}")
    DeliveryEndpoint("http://audit.invalid/events", RETRY).send(EVENT)
    assert server.paths == ["http://audit.invalid/events"]
    monkeypatch.setenv("no_proxy", "audit.invalid")
    with pytest.raises(DeliveryError, match=r"http://audit\.invalid cannot be reached"):
        DeliveryEndpoint("http://audit.invalid/events", ONCE).send(EVENT)


def test_url_credentials_are_sent_and_redacted(
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
def test_invalid_endpoint_url_is_redacted_config_error(url: str) -> None:
    with pytest.raises(ConfigError, match=r"pas\.endpoint is not a URL") as caught:
        DeliveryEndpoint(url, RETRY)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_unencodable_host_name_rejects_the_event() -> None:
    with pytest.raises(DeliveryRejectedError, match=f"event {EVENT.event_id} cannot be sent to http://a"):
        DeliveryEndpoint(f"http://{'a' * 70}.invalid/", RETRY).send(EVENT)
