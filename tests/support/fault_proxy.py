"""An HTTP proxy that injects faults. Requests pass unchanged, so their signatures stay valid."""

from __future__ import annotations

import http.client
import random
import re
import threading
import time
from contextlib import closing
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal, Self
from urllib.parse import unquote

from tests.support.http_server import RequestHandler, Server

#: "busy": respond 503 without forwarding.  "drop": close the connection without forwarding.  "lost": forward, then
#: close the connection instead of responding.  "lost-busy": forward, then respond 503.  "truncate": send half of the
#: response's body, then close the connection.  "slow": wait `seconds` before forwarding.  "hold": before forwarding,
#: wait until the fault is released.  "hold-answer": forward, then wait so before responding.
Kind = Literal["busy", "drop", "lost", "lost-busy", "truncate", "slow", "hold", "hold-answer"]
#: Longest wait for a release.
_HOLD_LIMIT_S = 240.0


@dataclass
class Fault:
    """Applies to the next `times` requests whose "METHOD target" matches `pattern`, after the first `skip` of them.

    Attributes:
        is_held: set when a request is held.
        is_released: to be set by the test, which lets that request go on.
    """

    kind: Kind
    pattern: str = ""
    times: int = 1
    skip: int = 0
    seconds: float = 0.0
    is_held: threading.Event = field(default_factory=threading.Event)
    is_released: threading.Event = field(default_factory=threading.Event)

    def hold(self) -> None:
        """Wait until the test releases it."""
        self.is_held.set()
        self.is_released.wait(_HOLD_LIMIT_S)

    def applies_to(self, request: str) -> bool:
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
        faults: the first that applies to a request is used; may be changed at any time.
        log: "METHOD target" of each request, with the fault that was injected.
    """

    def __init__(self, port: int) -> None:
        self.faults: list[Fault] = []
        self.log: list[tuple[str, Kind | None]] = []
        self._server_port = port
        self._lock = threading.Lock()
        self._storm: tuple[random.Random, float, tuple[Kind, ...]] | None = None
        handler = type("BoundHandler", (_Handler,), {"proxy": self})
        self._server = Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def storm(self, seed: int, share: float, *kinds: Kind) -> None:
        """Inject one of `kinds` into each request with the probability `share`; `seed` makes it repeatable."""
        self._storm = (random.Random(seed), share, kinds)

    def calm(self) -> None:
        """Remove all faults and clear the log."""
        self._storm = None
        self.faults.clear()
        self.log.clear()

    def judge(self, request: str) -> Fault | None:
        """The fault that applies to a request, if any; logs the request."""
        with self._lock:
            fault = next((fault for fault in self.faults if fault.applies_to(request)), None)
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


class _Handler(RequestHandler):
    proxy: FaultProxy

    def handle_request(self) -> None:
        body = self.read_body()
        if body is None:
            self.close_connection = True
            return None
        fault = self.proxy.judge(f"{self.command} {unquote(self.path)}")
        kind = fault.kind if fault else None
        if kind == "busy":
            return self._busy()
        if kind == "drop":
            self.close_connection = True
            return None
        if fault and fault.kind == "slow":
            time.sleep(fault.seconds)
        if fault and fault.kind == "hold":
            fault.hold()
        try:
            answer, data = self.proxy.forward(self, body)
        except OSError:  # the server closed the connection before it had read everything
            self.close_connection = True
            return None
        if fault and fault.kind == "hold-answer":
            fault.hold()
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

    def _busy(self) -> None:
        self.send_response_only(503, "Slow Down")
        self.send_header("Content-Length", "0")
        self.end_headers()
