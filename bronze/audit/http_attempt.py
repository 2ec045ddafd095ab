"""One HTTP request with a time limit for all of it, whose connection can be closed from outside.

The time limits of the HTTP client are for each piece of the answer: a server that sends a byte now and then holds a
request for ever. So each attempt has a thread of its own, which is waited for as long as the attempt may take; then its
connection is shut down, which ends the thread too. Only name resolution cannot be ended: the threads that are left in
it are counted for the whole process, and limited.
"""

from __future__ import annotations

import concurrent.futures
import re
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from bronze.redact import clean
from bronze.storage.certificates import REMEDY, ca_bundle, is_certificate_error

#: Statuses below 500 that are retried: request timeout, too early, too many requests.
RETRYABLE_STATUSES = frozenset({408, 425, 429})
#: Attempts of this process whose threads have not ended yet although they were given up.
MAX_ABANDONED_ATTEMPTS = 8
#: Errors of the client lie within each other; so many are looked into.
_MAX_NESTED_ERRORS = 8
#: How long the thread of an attempt may take to notice that its connection was closed.
_SECONDS_TO_END = 2.0

_abandoned: list[threading.Thread] = []
_abandoned_lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one attempt may take, in seconds.

    Attributes:
        connect: to connect to one address of the endpoint.
        read: between two pieces of the response.
        total: for the whole attempt, however much arrives.
    """

    connect: float = 5.0
    read: float = 10.0
    total: float = 20.0


class TooManyAbandonedError(Exception):
    """The process has given up as many attempts as it may, whose threads have not ended."""


class AttemptSession(requests.Session):
    """The session of one attempt, and so of one thread; `abort` may be called from another.

    Redirects are answers like any other, and ``~/.netrc`` is not read; the proxies and certificates that the
    environment names are honoured.
    """

    def __init__(self) -> None:
        super().__init__()
        self._sockets: list[socket.socket] = []
        self._lock = threading.Lock()
        self._aborted = False
        self.auth = _no_credentials
        self.verify = ca_bundle() or True
        adapter = _RememberingAdapter(self._remember)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: redirects are responses like any other; following one would read its body, however long."""

    def abort(self) -> None:
        """Shut the connection down, whatever it is doing; what is opened from now on too."""
        with self._lock:
            self._aborted = True
            for sock in self._sockets:
                _shut_down(sock)

    def close(self) -> None:
        """Close the session and its connections."""
        super().close()
        with self._lock:
            for sock in self._sockets:
                sock.close()
            self._sockets.clear()

    def _remember(self, sock: socket.socket) -> None:
        copy = sock.dup()  # the connection's own descriptor moves into the TLS socket
        with self._lock:
            self._sockets.append(copy)
            if self._aborted:
                _shut_down(copy)


def within(seconds: float, function: Callable[[AttemptSession], None]) -> None:
    """Call `function` in a thread of its own with a new session, and wait for it up to `seconds`.

    Raises:
        TimeoutError: it had not ended by then; its connection is closed.
        TooManyAbandonedError: threads of earlier attempts of this process have not ended.
        whatever `function` raises.
    """
    with _abandoned_lock:
        _abandoned[:] = [thread for thread in _abandoned if thread.is_alive()]
        if len(_abandoned) >= MAX_ABANDONED_ATTEMPTS:
            raise TooManyAbandonedError
    outcome: concurrent.futures.Future[None] = concurrent.futures.Future()
    session = AttemptSession()

    def run() -> None:
        try:
            with session:
                function(session)
            outcome.set_result(None)
        except BaseException as error:
            outcome.set_exception(error)

    # Not an executor's thread: the interpreter waits for those when it exits.
    thread = threading.Thread(target=run, name="delivery", daemon=True)
    thread.start()
    try:
        outcome.result(seconds)
    except concurrent.futures.TimeoutError:
        if outcome.done():  # in the very last moment, or `function` raised it
            return outcome.result()
        session.abort()
        thread.join(_SECONDS_TO_END)
        if thread.is_alive():
            with _abandoned_lock:
                _abandoned.append(thread)
        raise
    except BaseException:  # a signal
        session.abort()
        raise


#: What urllib3 puts before the words of the system.
_CLIENTS_WORDS = re.compile(
    r"^\w*Connection\(host=[^)]*\): (?:Failed to establish a new connection: )?(?:\[Errno -?\d+\] )?"
)


def failure_reason(error: BaseException, secrets: Iterable[str] = ()) -> str:
    """The innermost error's message as one line without `secrets`: the outer ones quote the URL."""
    for _ in range(_MAX_NESTED_ERRORS):
        inner = getattr(error, "reason", None) or next(iter(error.args), None)
        if not isinstance(inner, BaseException):
            break
        error = inner
    reason = _CLIENTS_WORDS.sub("", clean(str(error), secrets, short=True)) or type(error).__name__
    return f"{reason}; {REMEDY}" if is_certificate_error(reason) else reason


class _RememberingAdapter(HTTPAdapter):
    """Tells of each socket that is opened, before anything is sent on it."""

    def __init__(self, remember: Callable[[socket.socket], None]) -> None:
        self._remember_socket = remember
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> Any:
        pool: Any = super().get_connection_with_tls_context(*args, **kwargs)
        remember, base = self._remember_socket, pool.ConnectionCls

        class Connection(base):  # type: ignore[misc, valid-type]
            def _new_conn(self) -> socket.socket:
                sock: socket.socket = super()._new_conn()
                remember(sock)
                return sock

        pool.ConnectionCls = Connection
        return pool


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Send `request` as it is: without any setting the client would look for credentials in ``~/.netrc``."""
    return request


def _shut_down(sock: socket.socket) -> None:
    with suppress(OSError):  # not connected any more
        sock.shutdown(socket.SHUT_RDWR)
