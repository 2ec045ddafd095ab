"""One event sent to a real HTTP server: what is sent, retried, timed out, rejected, and never shown."""

from __future__ import annotations

import base64
import itertools
import json
import logging
import re
import socket
import subprocess
import sys
import threading
import time
import traceback
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.endpoint import DeliveryEndpoint, Timeouts
from bronze.audit.endpoint_url import is_same_host
from bronze.audit.http_attempt import MAX_ABANDONED_ATTEMPTS
from bronze.errors import ConfigError, DeliveryError, DeliveryRejectedError, is_transient
from bronze.retry import RetryPolicy
from bronze.waiting import stop_waits_when
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


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 413, 415, 422, 301, 302, 303, 304])
def test_permanent_statuses_are_rejected_without_retry(server: EventEndpoint, status: int) -> None:
    server.behaviour = lambda _: status
    server.headers = {"Location": server.url}  # redirects that change the method are not followed
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


def test_abandoned_attempts_leave_nothing_open(server: EventEndpoint) -> None:
    """Each commit opens the endpoint anew: threads and connections must not add up over the endpoints of a process."""
    server.behaviour = lambda _: "trickle"
    for _ in range(4):
        with pytest.raises(DeliveryError, match=r"did not answer within 0\.3 s"):
            DeliveryEndpoint(server.url, RetryPolicy(3, 1), Timeouts(connect=1, read=1, total=0.3)).send(EVENT)
    assert len(server.requests) == 12
    assert [thread for thread in threading.enumerate() if thread.name == "delivery"] == []
    assert server.open_connections() == 0


def test_stuck_attempts_are_limited_for_the_process(no_proxy: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread in name resolution cannot be ended: what is left of all endpoints together is limited."""
    stuck, resolve = threading.Event(), socket.getaddrinfo

    def resolve_never(host: str, *args: Any, **options: Any) -> Any:
        if host == "stuck.invalid":
            stuck.wait(30)
        return resolve(host, *args, **options)

    monkeypatch.setattr("bronze.audit.http_attempt._SECONDS_TO_END", 0.0)
    monkeypatch.setattr(socket, "getaddrinfo", resolve_never)
    try:
        errors = []
        for _ in range(MAX_ABANDONED_ATTEMPTS + 2):
            with pytest.raises(DeliveryError) as caught:
                DeliveryEndpoint("http://stuck.invalid/", ONCE, Timeouts(total=0.05)).send(EVENT)
            errors.append(str(caught.value))
        assert sum("did not answer" in error for error in errors) == MAX_ABANDONED_ATTEMPTS
        assert errors[-1].endswith("too many earlier attempts of this process have not ended")
        assert sum(thread.name == "delivery" for thread in threading.enumerate()) == MAX_ABANDONED_ATTEMPTS
    finally:
        stuck.set()
        for thread in threading.enumerate():
            if thread.name == "delivery":
                thread.join(20)


def test_refused_connection_is_told_in_plain_words() -> None:
    with EventEndpoint() as gone:
        url = gone.url
    with pytest.raises(DeliveryError, match=r"^http://127\.0\.0\.1:\d+ cannot be reached: Connection refused$"):
        DeliveryEndpoint(url, RetryPolicy(1, 1)).send(EVENT)


def test_slow_failure_pauses_endpoint_for_the_process(server: EventEndpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.audit.endpoint._SLOW_FAILURE_SECONDS", 0.1)
    server.behaviour = lambda _: "hang"
    timeouts = Timeouts(connect=1, read=0.2, total=0.2)
    with pytest.raises(DeliveryError, match=r"cannot be reached|did not answer"):
        DeliveryEndpoint(server.url, RetryPolicy(3, 1), timeouts).send(EVENT)
    assert len(server.requests) == 3
    with pytest.raises(DeliveryError, match=r"failed a short while ago and is left alone for \d+ s more"):
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert len(server.requests) == 3
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 3600)
    with pytest.raises(DeliveryError, match=r"cannot be reached|did not answer"):
        DeliveryEndpoint(server.url, RetryPolicy(3, 1), timeouts).send(EVENT)
    assert len(server.requests) == 4
    server.behaviour = lambda _: "ok"
    monkeypatch.setattr(time, "monotonic", lambda now=time.monotonic: now() + 36000)
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    server.behaviour = script(*[500] * 6)
    DeliveryEndpoint(server.url, RETRY).send(chained(2)[1])
    assert len(server.taken) == 2


def test_quick_failure_does_not_pause_endpoint(server: EventEndpoint) -> None:
    server.behaviour = script(500)
    with pytest.raises(DeliveryError):
        DeliveryEndpoint(server.url, ONCE).send(EVENT)
    DeliveryEndpoint(server.url, ONCE).send(EVENT)
    assert server.event_ids() == [EVENT.event_id]


@pytest.mark.parametrize("step", ["late", 500, "close", 409])
def test_conflict_on_repeat_counts_as_taken(server: EventEndpoint, step: str | int) -> None:
    server.behaviour = script(step, 409, 400)
    DeliveryEndpoint(server.url, RETRY, QUICK).send(EVENT)
    assert len(server.requests) == 2
    assert len({(headers["Idempotency-Key"], body) for headers, body in server.requests}) == 1


def test_conflict_on_first_request_is_repeated(server: EventEndpoint) -> None:
    """It proves nothing: an earlier process may have sent the event, or another request for it may be in progress."""
    server.behaviour = script(409, "ok")
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert server.event_ids() == [EVENT.event_id]
    server.behaviour = script(0, 0, 409, 409)
    DeliveryEndpoint(server.url, ONCE).send(EVENT)  # with a single attempt too: otherwise it would never end
    assert len(server.requests) == 4
    server.behaviour = script(*[0] * 4, 409, 400)
    with pytest.raises(DeliveryRejectedError, match="answered 400"):
        DeliveryEndpoint(server.url, RETRY).send(EVENT)


@pytest.mark.parametrize("status", [307, 308])
def test_redirect_on_same_host_is_followed(server: EventEndpoint, status: int) -> None:
    server.behaviour = script(status, status)
    server.headers = {"Location": "/moved?key=x"}
    DeliveryEndpoint(server.url.replace("http://", "http://user:pass@"), RETRY).send(EVENT)
    assert server.paths == ["/events", "/moved?key=x", "/moved?key=x"]
    assert server.taken == [EVENT.document]
    assert len({(headers["Authorization"], headers["Idempotency-Key"]) for headers, _ in server.requests}) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_other_host_is_refused(server: EventEndpoint, status: int) -> None:
    server.behaviour = lambda _: status
    server.headers = {"Location": f"http://user:{SECRET}@127.0.0.2:{server.port}/new-{SECRET}/x"}
    with pytest.raises(DeliveryRejectedError) as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert f", a redirect to http://127.0.0.2:{server.port}, which is not followed: set pas.endpoint" in str(
        caught.value
    )
    assert SECRET not in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["https://[", "ftp://127.0.0.1/", "//", "http://127.0.0.1:99999/", "\x1b[2J"])
def test_redirect_to_invalid_address_is_refused(server: EventEndpoint, location: str) -> None:
    server.behaviour = script(307, 404)
    server.headers = {"Location": location}
    with pytest.raises(DeliveryRejectedError, match="answered") as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert str(caught.value).isprintable()


def test_redirect_loop_ends(server: EventEndpoint) -> None:
    server.behaviour = lambda _: 307
    server.headers = {"Location": server.url}
    with pytest.raises(DeliveryRejectedError, match="answered 307"):
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert len(server.requests) == 6


def test_https_is_not_left_by_redirect() -> None:
    assert is_same_host("http://host/", "https://host/x")
    assert not is_same_host("https://host/", "http://host/x")


def test_short_parts_of_url_are_redacted(server: EventEndpoint) -> None:
    server.behaviour = lambda _: 404
    url = server.url.replace("http://", "http://me:pw@").replace("/events", "/hooks/T0A/b%2Fc/x?k=v7&flag")
    server.text = "no route to /hooks/T0A/b%2Fc/x?k=v7&flag (T0A, b/c, x, v7, flag) for me:pw"
    with pytest.raises(DeliveryRejectedError) as caught:
        DeliveryEndpoint(url, RETRY).send(EVENT)
    quoted = str(caught.value).partition(EVENT.event_id + ": ")[2]
    assert "no route to" in quoted
    assert not re.search(r"\b(hooks|T0A|b%2Fc|b/c|x|v7|flag|me|pw)\b", quoted)


def test_control_characters_of_answer_are_escaped(server: EventEndpoint) -> None:
    server.behaviour = lambda _: 404
    server.text = "\x1b[2J\x1b]0;title\x07 \x9b31m \u202egnp.exe \r\n2026-01-01T00:00:00Z INFO forged \x7f"
    with pytest.raises(DeliveryRejectedError) as caught:
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert str(caught.value).isprintable()
    assert "\\x1b[2J" in str(caught.value)


def test_netrc_credentials_are_not_sent(server: EventEndpoint, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text(f"machine 127.0.0.1 login someone password {SECRET}\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert "Authorization" not in server.requests[0][0]


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


def test_stop_request_ends_retry_after(server: EventEndpoint) -> None:
    asked = threading.Event()
    server.behaviour = script(503)
    server.headers = {"Retry-After": "25"}
    threading.Timer(0.5, asked.set).start()
    started = time.monotonic()
    with stop_waits_when(asked.is_set), pytest.raises(DeliveryError, match="asked to be tried later"):
        DeliveryEndpoint(server.url, RETRY).send(EVENT)
    assert time.monotonic() - started < 10
    assert len(server.requests) == 1
