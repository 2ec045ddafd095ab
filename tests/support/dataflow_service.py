"""A stand-in of the REST API of Dataflow: keeps the jobs that are submitted, and says of each what a test wants.

Fixture, to be imported by a conftest or a test module:
    dataflow    the service, at ``http://localhost:PORT`` (Beam refuses other names)
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.http_server import RequestHandler, Server

_JOBS = re.compile(r"/v1b3/projects/([^/]+)/locations/([^/]+)/jobs(?:/([^/?]+))?(/\w+)?")


class DataflowService(Server):
    """Listens on loopback.

    Attributes:
        jobs: the requests that submitted jobs, as they came.
        state: of every job from now on.
        next_states: before that, one for each time that it is asked for; empty: the service refuses to answer.
        asked: how often the state of a job was asked for.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.jobs: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.state = "JOB_STATE_RUNNING"
        self.next_states: list[str] = []
        self.refuses = False
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server_port}"


class _Handler(RequestHandler):
    server: DataflowService

    def handle_request(self) -> None:
        body = self.read_body() or b""
        match = _JOBS.fullmatch(self.path.partition("?")[0])
        if match is None:
            return self.reply_json(404, {"error": {"code": 404, "message": f"no such path: {self.path}"}})
        job = {"id": "2026-11-25_00_00_00-1", "projectId": match[1], "location": match[2]}
        if self.command == "POST" and not match[3]:
            if self.server.refuses:
                return self.reply_json(
                    403, {"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}}
                )
            self.server.raw.append(body)
            self.server.jobs.append(json.loads(body))
            return self.reply_json(
                200, {**job, "name": self.server.jobs[-1].get("name"), "currentState": "JOB_STATE_PENDING"}
            )
        if match[4]:
            return self.reply_json(200, {})
        self.server.asked += 1
        state = self.server.next_states.pop(0) if self.server.next_states else self.server.state
        if not state:
            return self.reply_json(403, {"error": {"code": 403, "message": "denied", "status": "PERMISSION_DENIED"}})
        return self.reply_json(200, {**job, "currentState": state})


@pytest.fixture
def dataflow() -> Iterator[DataflowService]:
    """See the module."""
    with DataflowService() as service:
        thread = threading.Thread(target=service.serve_forever, args=[0.05])
        thread.start()
        yield service
        service.shutdown()
        thread.join()
