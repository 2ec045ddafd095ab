"""A real HTTP endpoint for audit events that injects faults."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

#: What the endpoint does with the n-th request (from 0): "ok", a status, "hang", "close", "late" (stores the event and
#: never responds), "trickle" (response headers that never end), "trickle-body" (an error body that never ends).
Behaviour = Callable[[int], "str | int"]


def script(*steps: str | int) -> Behaviour:
    """One step for each request, then "ok"."""
    return lambda number: steps[number] if number < len(steps) else "ok"


class EventEndpoint:
    """Listens on loopback; keeps every request's headers and body in `requests`, accepted events in `taken`.

    Attributes:
        behaviour: may be changed at any time.
        headers, text: sent with every response whose behaviour is a status.
    """

    def __init__(self, behaviour: Behaviour = lambda _: "ok") -> None:
        self.behaviour = behaviour
        self.headers: dict[str, str] = {}
        self.text = ""
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.paths: list[str] = []
        self.taken: list[dict[str, Any]] = []
        self._taken_at: list[tuple[str, dict[str, Any]]] = []
        #: Called for each request at a path with its number there (from 0), before and after the event is stored.
        self.watchers: dict[str, Callable[[int, str], None]] = {}
        self._lock = threading.Lock()
        self._released = threading.Event()
        endpoint = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                with suppress(ConnectionError):  # the client closed the connection
                    endpoint._handle(self)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self._server.server_port)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/events"

    def _handle(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        with self._lock:
            number = len(self.requests)
            self.requests.append((dict(request.headers), body))
            watcher, here = self.watchers.get(request.path), self.paths.count(request.path)
            self.paths.append(request.path)
            what = self.behaviour(number)
            if watcher:
                watcher(here, "before")
            if what in ("ok", "late"):
                self.taken.append(json.loads(body))
                self._taken_at.append((request.path, self.taken[-1]))
            if watcher:
                watcher(here, "after")
        if what == "close":
            request.close_connection = True
            return
        if what in ("hang", "late"):
            self._released.wait(60)
            return
        if what == "trickle":
            request.wfile.write(b"HTTP/1.0 200 OK\r\nX-Slow: ")
            self._trickle(request)
            return
        request.send_response(500 if what == "trickle-body" else what if isinstance(what, int) else 200)
        text = self.text.encode() if isinstance(what, int) else b""
        for name, value in self.headers.items() if isinstance(what, int) else ():
            request.send_header(name, value)
        if what == "trickle-body":
            request.end_headers()
            self._trickle(request)
            return
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text)

    def open_connections(self) -> int:
        """Connections that clients hold open, as the kernel tells."""
        port = f":{self.port:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[2].endswith(port) and row[3] == "01" for row in rows)

    def _trickle(self, request: BaseHTTPRequestHandler) -> None:
        while not self._released.wait(0.05):
            request.wfile.write(b"x")
            request.wfile.flush()

    def taken_at(self, path: str) -> list[dict[str, Any]]:
        """The events accepted at one path, in order of arrival."""
        with self._lock:
            return [event for where, event in self._taken_at if where == path]

    def event_ids(self) -> list[str]:
        """The ids of the accepted events, each once, in order of first arrival."""
        return list(dict.fromkeys(event["event_id"] for event in self.taken))

    def close(self) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
