"""The HTTP server of a run: metrics for Prometheus, and its health for probes."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from bronze.errors import ConfigError
from bronze.redact import redact
from pipeline.telemetry.health import health, is_alive
from pipeline.telemetry.run_state import RunState

#: Seconds that a client may take for its request.
_TIMEOUT_S = 10.0


@contextmanager
def serve(
    host: str, port: int, *, path: str, registry: CollectorRegistry, state: RunState, stalled_after_s: float
) -> Iterator[tuple[str, int]]:
    """Serve metrics at `path`, and ``/health``, ``/live`` and ``/ready``, until the block ends; gives the address.

    Args:
        host: empty for all interfaces.

    Raises:
        ConfigError: the address is in use, or is not one of this machine.
    """

    def answer(handler: _Handler) -> None:
        wanted = handler.path.partition("?")[0]
        if wanted == path:
            encode, kind = choose_encoder(handler.headers.get("Accept", ""))
            handler.reply(200, encode(registry), kind)
        elif wanted == "/health":
            status, document = health(state.snapshot(), stalled_after_s=stalled_after_s)
            handler.reply(status, redact(json.dumps(document, indent=2)).encode() + b"\n", "application/json")
        elif wanted == "/live":
            alive = is_alive(state.snapshot(), stalled_after_s=stalled_after_s)
            handler.reply(200 if alive else 503, b"alive\n" if alive else b"stalled\n")
        elif wanted == "/ready":
            ready = state.is_planned
            handler.reply(200 if ready else 503, b"ready\n" if ready else b"not ready: the run is not planned yet\n")
        else:
            handler.reply(404, f"there is nothing here: {path}, /health, /live, /ready\n".encode())

    try:
        server = _server(host, port, answer)
    except OSError as error:
        raise ConfigError(
            f"metrics.address: {host or '*'}:{port} cannot be listened on: {error.strerror}; is another run serving its"
            " metrics there? Choose another address, or 0 as the port for any free one"
        ) from error
    thread = threading.Thread(target=server.serve_forever, args=(0.1,), name="metrics", daemon=True)
    thread.start()
    try:
        yield server.server_address[0], server.server_address[1]  # type: ignore[misc]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    """Answers GET and HEAD requests; the log of requests is left out."""

    timeout = _TIMEOUT_S
    answer: Callable[[_Handler], None]

    def do_GET(self) -> None:
        """Answer."""
        type(self).answer(self)

    do_HEAD = do_GET  # some monitors ask so

    def reply(self, status: int, body: bytes, kind: str = "text/plain; charset=utf-8") -> None:
        """Send a whole answer."""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are not logged."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def handle_error(self, *_: object) -> None:
        """A client that goes away is nothing to report."""


class _Server6(_Server):
    address_family = socket.AF_INET6


def _server(host: str, port: int, answer: Callable[[_Handler], None]) -> _Server:
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
    kind = _Server6 if ":" in host else _Server
    return kind((host, port), handler)
