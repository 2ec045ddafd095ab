"""A real Prometheus server that scrapes one address, as a child process; without it tests are skipped."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

#: Longest wait for the server, in seconds.
_TIMEOUT_S = 30.0


def free_port() -> int:
    """A port of loopback at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def get(url: str) -> tuple[int, str]:
    """Status and body of a GET request."""
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def need(program: str) -> str:
    """The path of `prometheus` or `promtool`; skips the test without it."""
    path = shutil.which(program)
    if path is None:
        pytest.skip("these tests need Prometheus: apt-get install prometheus")
    return path


@dataclass(frozen=True)
class Prometheus:
    """A running server."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The samples that an expression has now. Raises AssertionError when the server refuses it."""
        status, body = get(f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}")
        found = json.loads(body)
        assert (status, found["status"]) == (200, "success"), f"{expression}: {body}"
        result: list[dict[str, Any]] = found["data"]["result"]
        return result

    def value(self, expression: str) -> float | None:
        """The only sample's value; None when there is none."""
        found = self.query(expression)
        return float(found[0]["value"][1]) if found else None


@contextmanager
def prometheus(folder: Path, target: str, rules: Path) -> Iterator[Prometheus]:
    """A server that scrapes ``http://{target}/metrics`` five times a second and evaluates `rules`."""
    program, port = need("prometheus"), free_port()
    folder.mkdir()
    (folder / "prometheus.yml").write_text(
        f"global: {{scrape_interval: 200ms, evaluation_interval: 1s}}\nrule_files: [{rules}]\n"
        f"scrape_configs: [{{job_name: copier, static_configs: [{{targets: ['{target}']}}]}}]\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [
                program,
                f"--config.file={folder}/prometheus.yml",
                f"--storage.tsdb.path={folder}/data",
                f"--web.listen-address=127.0.0.1:{port}",
            ],
            stdout=log,
            stderr=log,
        )
    server = Prometheus(f"http://127.0.0.1:{port}")
    try:
        deadline = time.monotonic() + _TIMEOUT_S
        while not _is_ready(server):
            assert process.poll() is None, (folder / "log").read_text()
            assert time.monotonic() < deadline, "Prometheus does not get ready"
            time.sleep(0.05)
        yield server
    finally:
        process.terminate()
        process.wait()


def _is_ready(server: Prometheus) -> bool:
    try:
        return get(f"{server.url}/-/ready")[0] == 200
    except OSError:
        return False
