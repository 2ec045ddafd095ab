"""The HTTP server of a run: what each address answers, to whatever is asked."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from prometheus_client import CollectorRegistry, Gauge

from bronze import measurements as m
from bronze.errors import ConfigError
from pipeline.telemetry.run_progress import ChainProgress
from pipeline.telemetry.run_state import RunState
from pipeline.telemetry.server import serve
from tests.support.clock import Clock


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(clock: Clock) -> RunState:
    return RunState(clock=clock, now=clock)


@pytest.fixture
def address(state: RunState) -> Iterator[tuple[str, int]]:
    registry = CollectorRegistry()
    Gauge("things", "Of the test.", registry=registry).set(7)
    with serve("127.0.0.1", 0, path="/metrics", registry=registry, state=state, stalled_after_s=60) as at:
        yield at


def ask(address: tuple[str, int], path: str, method: str = "GET") -> tuple[int, str, int]:
    """Status, body and stated length."""
    connection = http.client.HTTPConnection(*address, timeout=10)
    try:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode(), int(answer.headers.get("Content-Length", -1))
    finally:
        connection.close()


def test_addresses_follow_the_run(address: tuple[str, int], state: RunState, clock: Clock) -> None:
    assert ask(address, "/ready")[0] == 503
    state.plan([ChainProgress(chain=("net", "e", "v"), planned=1, planned_ledgers=10)])
    assert [ask(address, path)[0] for path in ("/ready", "/live", "/health", "/health?verbose=1")] == [200] * 4
    assert "things 7.0" in ask(address, "/metrics")[1]
    clock.time = 60
    assert [ask(address, path)[0] for path in ("/ready", "/live", "/health")] == [200, 503, 503]


@pytest.mark.parametrize("path", ["/", "/health/", "/metrics/x", "/../etc/passwd", "/" + "x" * 5000])
def test_other_paths_are_not_there(path: str, address: tuple[str, int]) -> None:
    status, body, _ = ask(address, path)
    assert (status, body) == (404, "there is nothing here: /metrics, /health, /live, /ready\n")


@pytest.mark.parametrize("path", ["/metrics", "/health", "/live", "/nothing"])
def test_head_gets_headers_alone(path: str, address: tuple[str, int]) -> None:
    status, body, length = ask(address, path)
    assert ask(address, path, "HEAD") == (status, "", length)
    assert length == len(body.encode())


def test_other_methods_and_nonsense_are_refused(address: tuple[str, int]) -> None:
    assert ask(address, "/health", "DELETE")[0] == 501
    with socket.create_connection(address, timeout=10) as client:
        client.sendall(b"\x16\x03\x01 nonsense\r\n\r\n")
        assert b"400" in client.recv(1000)
    assert ask(address, "/live")[0] == 200


def test_health_masks_secrets_of_errors(address: tuple[str, int], state: RunState) -> None:
    error = {"error": "https://me:hunter22@host/x answered 500", "error_type": "DeliveryError"}
    state(m.Measurement(m.EVENT_FAILED, 1, error))
    status, body, _ = ask(address, "/health")
    assert (status, json.loads(body)["last_error"]) == (503, "DeliveryError: https://me:***@host/x answered 500")


def test_address_in_use_is_refused(address: tuple[str, int], state: RunState) -> None:
    again = serve(*address, path="/m", registry=CollectorRegistry(), state=state, stalled_after_s=60)
    with pytest.raises(ConfigError, match=r"127\.0\.0\.1:\d+ cannot be listened on: Address already in use"), again:
        pass
