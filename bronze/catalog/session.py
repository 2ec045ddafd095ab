"""One connection to a PostgreSQL server, on which every wait is bounded and nothing is left behind.

Whatever a connection is set to is set for one transaction (``SET LOCAL``): behind a pooler in transaction mode the next
transaction may run on another connection, and what stays set on this one is another client's.
"""

from __future__ import annotations

import os
import re
import socket
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from psycopg2.extensions import cursor as Cursor

from bronze.errors import CatalogError, CatalogUnavailableError
from bronze.redact import clean

Result = TypeVar("Result")

_CONNECT_TIMEOUT_SECONDS = 5
#: Added to the server's own time limit before the connection to a server that does not answer is cut.
_GRACE_SECONDS = 5.0
#: How long the end of a transaction is waited for that only holds locks.
_FINISH_SECONDS = 1.0
#: The question that libpq adds to a refused connection; it would read as part of the sentence behind it.
_HINT = re.compile(r"\s*Is the server running [^?]*\?")
#: What PgBouncer says to the beginning of a transaction in this mode; not always before it closes the connection.
_STATEMENT_POOLING = "statement pooling mode"


class ConnectionLostError(Exception):
    """There is no connection, or it was lost; the message says why, without secrets."""


class ServerSession:
    """A connection that is opened with `open`. Not to be shared by threads.

    Args:
        parameters: of libpq; they take precedence over the defaults here.
        secrets: texts that must not be shown.
        name: application name, shown in the server's list of connections.
        timeout_seconds: how long a statement, a lock or an answer may take.
    """

    def __init__(
        self, parameters: Mapping[str, str], secrets: Collection[str], name: str, timeout_seconds: float
    ) -> None:
        self._parameters = parameters
        self._secrets = frozenset(secrets)
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._connection: psycopg2.extensions.connection | None = None
        self._timed_out = False
        #: Whether nothing has been done yet on the connection.
        self._is_new = False

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, as far as is known."""
        return self._connection is not None

    def open(self) -> None:
        """Connect; text is exchanged as UTF-8, whatever the database's encoding, the DSN and the environment say.

        Raises:
            ConnectionLostError: there is no connection to be had.
            CatalogError: the server or a pooler insists on another encoding.
        """
        self.close()
        defaults: dict[str, Any] = {
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "application_name": self._name,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        # In the connection's first message: the driver does not notice the encoding that a statement sets.
        forced = {"client_encoding": "UTF8"}
        self._timed_out, self._is_new = False, True
        try:
            connection = psycopg2.connect(**(defaults | dict(self._parameters) | forced))
            connection.set_session(isolation_level="READ COMMITTED")  # said with each BEGIN, not set for the session
        except (psycopg2.Error, UnicodeError) as error:
            raise ConnectionLostError(self._describe(error)) from None
        self._connection = connection
        if connection.encoding != "UTF8":
            self.close()
            raise CatalogError(f"the catalog's connection exchanges text as {connection.encoding}, not as UTF-8")

    def close(self) -> None:
        """Close the connection; a transaction that is open ends, and its locks with it."""
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None

    def finish(self) -> None:
        """End an open transaction, then `close`: its locks are free when this returns, if the server answers at all."""
        connection = self._connection
        if connection is not None:
            with suppress(psycopg2.Error), self._watchdog(connection, _FINISH_SECONDS):
                connection.rollback()
        self.close()

    def run(self, work: Callable[[Cursor], Result]) -> Result:
        """Run `work` in one transaction.

        Raises:
            ConnectionLostError: there is no connection, or it is lost.
            CatalogUnavailableError: no answer in time.
            CatalogError: the server refused a statement.
        """
        with self._errors_named() as connection, connection, connection.cursor() as cursor:
            self._set_timeouts(cursor)
            return work(cursor)

    def run_unfinished(self, work: Callable[[Cursor], Result]) -> Result:
        """Run `work` in a transaction that stays open, and keeps its locks, until `close`; the next call continues it.

        Raises:
            ConnectionLostError, CatalogUnavailableError, CatalogError: as in `run`.
        """
        with self._errors_named() as connection, connection.cursor() as cursor:
            if connection.info.transaction_status == psycopg2.extensions.TRANSACTION_STATUS_IDLE:
                self._set_timeouts(cursor)
                self._allow_idling(cursor, connection.server_version)
            return work(cursor)

    def _runs_statements_only(self) -> bool:
        """Whether a connection that was lost at once is lost with each transaction, and with nothing else."""
        if not self._is_new or self._timed_out:
            return False
        self._is_new = False
        survived = []
        for statement in ("SELECT 1", "BEGIN", "SELECT 1"):
            with suppress(psycopg2.Error, ConnectionLostError, CatalogError):
                self.open()
                connection = self._connection
                assert connection is not None
                connection.autocommit = True
                with self._watchdog(connection), connection.cursor() as cursor:
                    for each in (statement, "SELECT 1"):
                        cursor.execute(each)
                survived.append(statement)
        self.close()
        return survived == ["SELECT 1", "SELECT 1"] and not self._timed_out

    def _set_timeouts(self, cursor: Cursor) -> None:
        timeout_ms = max(1, round(self._timeout_seconds * 1000))
        cursor.execute(
            f"SET LOCAL statement_timeout = {timeout_ms}; SET LOCAL lock_timeout = {timeout_ms};"
            f" SET LOCAL idle_in_transaction_session_timeout = {timeout_ms}"
        )

    @staticmethod
    def _allow_idling(cursor: Cursor, server_version: int) -> None:
        """Let the transaction last; the keepalives end that of a machine that is gone in minutes rather than hours."""
        cursor.execute(
            "SET LOCAL idle_in_transaction_session_timeout = 0; SET LOCAL tcp_keepalives_idle = 30;"
            " SET LOCAL tcp_keepalives_interval = 10; SET LOCAL tcp_keepalives_count = 3"
        )
        if server_version >= 170000:
            cursor.execute("SET LOCAL transaction_timeout = 0")

    @contextmanager
    def _errors_named(self) -> Iterator[psycopg2.extensions.connection]:
        """The connection, watched; errors of the driver become those of this module, without secrets."""
        connection = self._connection
        if connection is None:
            raise ConnectionLostError("there is no connection")
        try:
            with self._watchdog(connection):
                yield connection
            self._is_new = False
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            message = self._describe(error)
            if _STATEMENT_POOLING in message or (connection.closed and self._runs_statements_only()):
                raise CatalogError(
                    "the catalog is behind a pooler in statement mode, which runs no transactions: connect through its"
                    f" session or transaction mode, or to the server itself ({message})"
                ) from None
            if connection.closed:
                raise ConnectionLostError(message) from None
            raise CatalogUnavailableError(f"the catalog could not run a statement: {message}") from None
        except psycopg2.Error as error:
            raise CatalogError(f"the catalog refused a statement: {self._describe(error)}") from None
        except UnicodeError as error:
            raise CatalogError(f"the catalog's text cannot be converted: {error}") from None

    @contextmanager
    def _watchdog(self, connection: psycopg2.extensions.connection, seconds: float | None = None) -> Iterator[None]:
        """Cut the connection when the server does not answer at all: libpq itself waits for ever."""
        try:
            handle = socket.socket(fileno=os.dup(connection.fileno()))
        except psycopg2.InterfaceError:  # closed already: the first statement reports it
            yield
            return

        def cut() -> None:
            self._timed_out = True
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        self._timed_out = False
        timer = threading.Timer(self._timeout_seconds + _GRACE_SECONDS if seconds is None else seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            handle.close()

    def _describe(self, error: Exception) -> str:
        """The message of the driver or the server, on one line and without secrets."""
        if self._timed_out:
            return (
                f"no answer within {self._timeout_seconds + _GRACE_SECONDS:.0f} s (behind a pooler: each copier needs"
                " two of its connections, and one more for each worker)"
            )
        return _HINT.sub("", clean(str(error), self._secrets)) or type(error).__name__
