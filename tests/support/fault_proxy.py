"""A proxy for HTTP that misbehaves on demand. Requests pass unchanged, so their signatures stay valid."""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from contextlib import closing
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Literal, Self
from urllib.parse import unquote

#: "busy": 503 instead of asking the server.  "drop": the connection, before the server is asked.  "lost": the server
#: does what was asked, then the connection is dropped.  "lost-busy": likewise, then 503.  "truncate": half of the
#: answer's body, then the connection is dropped.  "slow": `seconds` before the server is asked.
Kind = Literal["busy", "drop", "lost", "lost-busy", "truncate", "slow"]


@dataclass
class Fault:
    """Befalls the next `times` requests whose "METHOD target" matches `pattern`, after `skip` of them."""

    kind: Kind
    pattern: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 0.0

    def befalls(self, request: str) -> bool:
        if self.times == 0 or not re.search(self.pattern, request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        self.times -= 1
        return True


class FaultProxy:
    """Listens on loopback for a server there.

    Attributes:
        faults: the first that befalls a request is used; may be changed at any time.
        log: "METHOD target" of each request, with the fault that befell it.
    """

    def __init__(self, port: int) -> None:
        self.faults: list[Fault] = []
        self.log: list[tuple[str, Kind | None]] = []
        self._server_port = port
        self._lock = threading.Lock()
        self._storm: tuple[random.Random, float, tuple[Kind, ...]] | None = None
        handler = type("BoundHandler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def storm(self, seed: int, share: float, *kinds: Kind) -> None:
        """Let one of `kinds` befall each request with the probability `share`, as `seed` has it."""
        self._storm = (random.Random(seed), share, kinds)

    def calm(self) -> None:
        """No faults from here on, and an empty log."""
        self._storm = None
        self.faults.clear()
        self.log.clear()

    def judge(self, request: str) -> Fault | None:
        """The fault that befalls a request."""
        with self._lock:
            fault = next((fault for fault in self.faults if fault.befalls(request)), None)
            if fault is None and self._storm is not None:
                rng, share, kinds = self._storm
                if rng.random() < share:
                    fault = Fault(rng.choice(kinds))
            self.log.append((request, fault.kind if fault else None))
            return fault

    def forward(self, request: _Handler, body: bytes) -> tuple[http.client.HTTPResponse, bytes]:
        with closing(http.client.HTTPConnection("127.0.0.1", self._server_port, timeout=60)) as connection:
            connection.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
            for name, value in request.headers.items():
                if name.lower() not in ("connection", "expect"):
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    proxy: FaultProxy

    def log_message(self, *_: object) -> None:
        pass

    def handle_any(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        fault = self.proxy.judge(f"{self.command} {unquote(self.path)}")
        kind = fault.kind if fault else None
        if kind == "busy":
            return self._busy()
        if kind == "drop":
            self.close_connection = True
            return None
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        try:
            answer, data = self.proxy.forward(self, body)
        except OSError:  # the server refused it before it had read it all
            self.close_connection = True
            return None
        if kind == "lost":
            self.close_connection = True
            return None
        if kind == "lost-busy":
            return self._busy()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(data)))
        self.end_headers()
        self.wfile.write(data[: len(data) // 2] if kind == "truncate" else data)
        if kind == "truncate":
            self.wfile.flush()
            self.close_connection = True
        return None

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    def _busy(self) -> None:
        self.send_response_only(503, "Slow Down")
        self.send_header("Content-Length", "0")
        self.end_headers()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: Any) -> None:
        pass  # connections are dropped on purpose
