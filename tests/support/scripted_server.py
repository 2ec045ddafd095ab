"""An HTTP server on loopback whose answers a test states, and that keeps what it was asked."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.http_server import RequestHandler, Server


@dataclass(frozen=True)
class Request:
    """What a client sent; names of headers in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What the server answers."""

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class ScriptedServer:
    """A running server: its address, and the requests it got."""

    url: str
    requests: list[Request]


@contextmanager
def running_server(
    answer: Callable[[Request], Answer], host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> Iterator[ScriptedServer]:
    """Serve what `answer` says until the end of the context; it may block, and is then left alone."""
    requests: list[Request] = []

    class Handler(RequestHandler):
        def handle_request(self) -> None:
            body = self.read_body() or b""
            headers = {name.lower(): value for name, value in self.headers.items()}
            requests.append(Request(self.command, self.path, headers, body))
            said = answer(requests[-1])
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(said.body)

    server = Server((host, 0), Handler)
    server.block_on_close = False
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield ScriptedServer(f"{'https' if tls else 'http'}://{host}:{server.server_port}", requests)
    finally:
        server.shutdown()
        server.server_close()
