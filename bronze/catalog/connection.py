"""A session with the catalog's PostgreSQL server, opened when needed and opened again when it was lost.

It creates missing tables, holds the advisory locks of chains, and bounds every wait: for a connection, for a
statement, for a lock, and for a server that does not answer at all.
"""

from __future__ import annotations

import hashlib
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import resources
from typing import Any, TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2.extensions import cursor as Cursor

from bronze.errors import CatalogError, CatalogUnavailableError, ConfigError, ConflictError
from bronze.redact import clean, secrets_in

Result = TypeVar("Result")

_CONNECT_TIMEOUT_SECONDS = 5
#: The server may take this long to notice that a copier was killed, and to release its lock; nobody waits longer.
_LOCK_TIMEOUT_MS = 2000
#: Added to the server's own time limit before the connection to a server that does not answer is cut.
_GRACE_SECONDS = 5.0
#: Any number, the same in every copier: copiers that start at once create the tables one after the other.
_SCHEMA_LOCK = 0x62726F6E7A65
_TABLES = ("_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes", "_meta_coverage")


class CatalogConnection:
    """One session with the server at `dsn`. Not to be shared by threads.

    Args:
        dsn: libpq's connection string or URL; its own settings take precedence over the defaults here. Never shown.
        name: application name, shown in the server's list of connections.
        timeout_seconds: how long a statement, a lock or an answer may take.

    Raises:
        ConfigError: `dsn` is not a connection string.
    """

    def __init__(self, dsn: str, name: str, timeout_seconds: float) -> None:
        self._parameters = _parse_dsn(dsn)
        self._secrets = _secrets(dsn, self._parameters)
        self._name = name
        self._timeout_seconds = timeout_seconds
        self._connection: psycopg2.extensions.connection | None = None
        self._locked_chains: dict[str, None] = {}
        self._timed_out = False

    def transaction(self, work: Callable[[Cursor], Result]) -> Result:
        """Run `work` in one transaction, and once more on a new connection when the open one turns out to be lost.

        `work` must be safe to repeat: the answer to a commit may be what was lost.

        Raises:
            CatalogUnavailableError: no connection, or no answer in time; transient.
            CatalogError: the server refused a statement.
            ConflictError: the connection was lost and another copier has taken the lock of a chain held here.
        """
        if self._connection is not None:
            try:
                return self._run_transaction(self._connection, work)
            except _ConnectionLost:
                self._disconnect()
        try:
            return self._run_transaction(self._connect(), work)
        except _ConnectionLost as lost:
            self._disconnect()
            raise CatalogUnavailableError(f"the catalog cannot be reached: {lost}") from None

    def lock(self, chain: str) -> None:
        """Take the chain's advisory lock, until `close` or the end of the process; a new connection takes it again.

        Raises:
            ConflictError: another copier holds it.
            CatalogUnavailableError, CatalogError: as in `transaction`.
        """
        if chain not in self._locked_chains:
            self.transaction(lambda cursor: _lock(cursor, chain))
            self._locked_chains[chain] = None

    def close(self) -> None:
        """Close the connection; its locks end. The next call opens another one, without locks."""
        self._locked_chains.clear()
        self._disconnect()

    def _disconnect(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None

    def _connect(self) -> psycopg2.extensions.connection:
        defaults: dict[str, Any] = {
            "connect_timeout": _CONNECT_TIMEOUT_SECONDS,
            "application_name": self._name,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        try:
            connection: psycopg2.extensions.connection = psycopg2.connect(**(defaults | self._parameters))
        except psycopg2.Error as error:
            self._timed_out = False
            raise _ConnectionLost(self._describe(error)) from None
        self._connection = connection
        try:
            self._run_transaction(connection, self._set_session_timeouts)
            self._run_transaction(connection, self._create_tables_and_lock)
        except BaseException:
            self._disconnect()
            raise
        return connection

    def _set_session_timeouts(self, cursor: Cursor) -> None:
        timeout_ms = max(1, round(self._timeout_seconds * 1000))
        # Statements rather than the connection's `options`: those belong to the operator (a search path, say), and
        # poolers refuse them. The keepalives release the locks of a copier whose machine is gone, in minutes rather
        # than hours.
        for name, value in (
            ("client_encoding", "'UTF8'"),
            ("default_transaction_isolation", "'read committed'"),
            ("statement_timeout", timeout_ms),
            ("lock_timeout", timeout_ms),
            ("idle_in_transaction_session_timeout", timeout_ms),
            ("tcp_keepalives_idle", 30),
            ("tcp_keepalives_interval", 10),
            ("tcp_keepalives_count", 3),
        ):
            cursor.execute(f"SET {name} = {value}")

    def _create_tables_and_lock(self, cursor: Cursor) -> None:
        _create_tables(cursor)
        for chain in self._locked_chains:
            _lock(cursor, chain)

    def _run_transaction(self, connection: psycopg2.extensions.connection, work: Callable[[Cursor], Result]) -> Result:
        try:
            with self._watchdog(connection), connection, connection.cursor() as cursor:
                return work(cursor)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if connection.closed:
                raise _ConnectionLost(self._describe(error)) from None
            raise CatalogUnavailableError(f"the catalog could not run a statement: {self._describe(error)}") from None
        except psycopg2.Error as error:
            raise CatalogError(f"the catalog refused a statement: {self._describe(error)}") from None

    @contextmanager
    def _watchdog(self, connection: psycopg2.extensions.connection) -> Iterator[None]:
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
        timer = threading.Timer(self._timeout_seconds + _GRACE_SECONDS, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            handle.close()

    def _describe(self, error: psycopg2.Error) -> str:
        """The message of the driver or the server, on one line and without secrets."""
        if self._timed_out:
            return f"no answer within {self._timeout_seconds + _GRACE_SECONDS:.0f} s"
        return clean(str(error), self._secrets) or type(error).__name__


class _ConnectionLost(Exception):
    """There is no connection, or it was lost; the message says why, without secrets."""


def _lock(cursor: Cursor, chain: str) -> None:
    key = int.from_bytes(hashlib.sha256(f"bronze-copier {chain}".encode()).digest()[:8], "big", signed=True)
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{_LOCK_TIMEOUT_MS}ms",))
    try:
        cursor.execute("SELECT pg_advisory_lock(%s)", (key,))
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
        raise ConflictError(
            f"another copier is committing to the chain {chain} (it holds the catalog's lock): run again when it"
            " has ended"
        ) from None


def _create_tables(cursor: Cursor) -> None:
    """Create the tables that are missing. Where none is missing, no right to create tables is needed."""
    if _has_schema(cursor):
        return
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    if _has_schema(cursor):  # created by another copier meanwhile
        return
    try:
        cursor.execute(resources.files("bronze.catalog").joinpath("schema.sql").read_text(encoding="utf-8"))
    except psycopg2.errors.InsufficientPrivilege as error:
        raise CatalogError(
            f"the catalog's tables are incomplete and this role may not create them"
            f" ({' '.join(str(error).split())}): run once as a role that may, or as the tables' owner"
        ) from None


def _has_schema(cursor: Cursor) -> bool:
    cursor.execute(
        "SELECT count(*) = %s AND bool_or(EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(name)"
        " AND attname = 'pas_event_hash' AND NOT attisdropped))"
        " FROM unnest(%s) AS name WHERE to_regclass(name) IS NOT NULL",
        (len(_TABLES), list(_TABLES)),
    )
    row = cursor.fetchone()
    assert row is not None
    return bool(row[0])


def _parse_dsn(dsn: str) -> dict[str, str]:
    # With an @ in a URL's password, Go's parser, which the older copier used, separates the host at the last one.
    dsn = re.sub(
        r"^(postgres(?:ql)?://)([^/?#]*)(?=@)", lambda match: match[1] + match[2].replace("@", "%40"), dsn.strip()
    )
    try:
        parameters = {name: str(value) for name, value in psycopg2.extensions.parse_dsn(dsn).items()}
    except psycopg2.Error:  # its message quotes the part it did not understand
        parameters = {"port": "?"}
    # libpq takes the rest of a password with a / in it for the port, and would quote it.
    if not re.fullmatch(r"[\d,]*", parameters.get("port", "")):
        raise ConfigError(
            "catalog.postgres_dsn is not a connection string: expected postgresql://user:password@host:port/database"
            " (with @ : / ? # and % of the password percent-encoded) or host=... user=... password=... dbname=..."
        )
    return parameters


def _secrets(dsn: str, parameters: dict[str, str]) -> frozenset[str]:
    known = secrets_in(dsn) | {parameters[name] for name in ("password", "sslpassword") if name in parameters}
    # Where part of a password was parsed as something else, it turns up in messages as a host name and the like.
    return known | {piece for secret in known for piece in re.split(r"[@:/?#]", secret)}
