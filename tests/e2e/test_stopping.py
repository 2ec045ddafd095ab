"""SIGTERM ends a run well within the 30 s of Kubernetes, also while a service does not answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.conftest import Copier, LakeFiles, finish

#: Seconds from the signal to the end.
LIMIT_S = 25.0


@pytest.fixture
def silent_service() -> Iterator[socket.socket]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)
        yield server


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """Four partitions."""
    return copier(sample(first=8, ledgers=16).root, ledger_start=8, ledger_end=23, partition_size=4)


def stop_while_waiting(copy: Copier, service: socket.socket) -> tuple[int, str, float]:
    """Start the copy, and stop it when it waits for `service`; its status, its log, and how long that took."""
    program = copy.start(
        "--summary", str(copy.root / "summary.json"), AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="secret"
    )
    connection, _ = service.accept()
    with connection:
        connection.recv(1)  # the request
        started = time.monotonic()
        os.kill(program.pid, signal.SIGTERM)
        ran = finish(program)
        return ran.status, ran.err, time.monotonic() - started


def test_silent_endpoint_does_not_delay_stop(copy: Copier, silent_service: socket.socket) -> None:
    copy.settings["pas"]["endpoint"] = f"http://127.0.0.1:{silent_service.getsockname()[1]}/events"
    status, log, seconds = stop_while_waiting(copy, silent_service)
    assert status == 128 + signal.SIGTERM, log
    assert seconds < LIMIT_S
    assert "Traceback" not in log
    summary = json.loads((copy.root / "summary.json").read_bytes())
    assert (summary["exit_status"], summary["result"]) == (status, "stopped")

    copy.settings["pas"]["endpoint"] = ""
    assert copy.run().status == 0
    assert copy.verified()


def test_silent_lake_does_not_delay_stop(copy: Copier, silent_service: socket.socket) -> None:
    copy.settings["source"] = {
        "mode": "s3",
        "s3_bucket": "lake",
        "s3_endpoint": f"http://127.0.0.1:{silent_service.getsockname()[1]}",
        "s3_region": "us-east-1",
    }
    status, log, seconds = stop_while_waiting(copy, silent_service)
    assert (status, "stopped by SIGTERM" in log) == (128 + signal.SIGTERM, True), log
    assert seconds < LIMIT_S
    assert copy.partitions() == []
