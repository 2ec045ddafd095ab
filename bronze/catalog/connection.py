"""A connection to the catalog's PostgreSQL server that is opened when needed, and again when it was lost.

It makes the tables that are missing, holds the advisory locks of chains, and bounds every wait: for a
connection, for a statement, for a lock, and for a server that does not answer at all.
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
from bronze.redact import redact, secrets_in

Result = TypeVar("Result")

_CONNECT_SECONDS = 5
#: A copier that was killed may have the lock for as long as the server takes to notice; nobody waits longer.
_LOCK_MS = 2000
#: Beyond the server's own time limit, before a server that stopped altogether is given up.
_GRACE_SECONDS = 5.0
#: Any number, the same in every copier: two that start at once make the tables one after the other.
_SCHEMA_LOCK = 0x62726F6E7A65
_TABLES = ("_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes", "_meta_coverage")


class CatalogConnection:
    """One session with the server at `dsn`. Not to be shared by threads.

    Args:
        dsn: libpq's connection string or URL; what it states goes before the limits set here. Never shown.
        name: what the server's list of connections shows.
        patience: seconds that a statement, a lock or an answer may take.

    Raises:
        ConfigError: `dsn` is no connection string.
    """

    def __init__(self, dsn: str, name: str, patience: float) -> None:
        self._parameters = _parsed(dsn)
        self._secrets = _secrets(dsn, self._parameters)
        self._name = name
        self._patience = patience
        self._connection: psycopg2.extensions.connection | None = None
        self._chains: dict[str, None] = {}
        self._silent = False

    def transaction(self, work: Callable[[Cursor], Result]) -> Result:
        """Do `work` in one transaction; once more on a new connection when the one at hand turns out to be lost.

        `work` must be safe to repeat: the answer to a commit may be what was lost.

        Raises:
            CatalogUnavailableError: no connection, or no answer in time; may pass.
            CatalogError: the server refused a statement.
            ConflictError: the connection was lost and another copier has taken the lock of a chain held here.
        """
        if self._connection is not None:
            try:
                return self._once(self._connection, work)
            except _Lost:
                self._drop()
        try:
            return self._once(self._opened(), work)
        except _Lost as lost:
            self._drop()
            raise CatalogUnavailableError(f"the catalog cannot be reached: {lost}") from None

    def lock(self, chain: str) -> None:
        """Take the chain's advisory lock, until `close` or the end of the process; taken again with a new connection.

        Raises:
            ConflictError: another copier has it.
            CatalogUnavailableError, CatalogError: as of `transaction`.
        """
        if chain not in self._chains:
            self.transaction(lambda cursor: _lock(cursor, chain))
            self._chains[chain] = None

    def close(self) -> None:
        """Close the connection; its locks end. The next call opens another one, without locks."""
        self._chains.clear()
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            with suppress(psycopg2.Error):
                self._connection.close()
        self._connection = None

    def _opened(self) -> psycopg2.extensions.connection:
        defaults: dict[str, Any] = {
            "connect_timeout": _CONNECT_SECONDS,
            "application_name": self._name,
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }
        try:
            connection: psycopg2.extensions.connection = psycopg2.connect(**(defaults | self._parameters))
        except psycopg2.Error as error:
            self._silent = False
            raise _Lost(self._said(error)) from None
        self._connection = connection
        try:
            self._once(connection, self._limit)
            self._once(connection, self._prepare)
        except BaseException:
            self._drop()
            raise
        return connection

    def _limit(self, cursor: Cursor) -> None:
        patience = max(1, round(self._patience * 1000))
        # Statements rather than the connection's `options`: those are the operator's (a search path, say), and poolers
        # refuse them. The server must notice a copier whose machine is gone, or its locks would stay for hours.
        for name, value in (
            ("client_encoding", "'UTF8'"),
            ("default_transaction_isolation", "'read committed'"),
            ("statement_timeout", patience),
            ("lock_timeout", patience),
            ("idle_in_transaction_session_timeout", patience),
            ("tcp_keepalives_idle", 30),
            ("tcp_keepalives_interval", 10),
            ("tcp_keepalives_count", 3),
        ):
            cursor.execute(f"SET {name} = {value}")

    def _prepare(self, cursor: Cursor) -> None:
        _make_schema(cursor)
        for chain in self._chains:
            _lock(cursor, chain)

    def _once(self, connection: psycopg2.extensions.connection, work: Callable[[Cursor], Result]) -> Result:
        try:
            with self._watched(connection), connection, connection.cursor() as cursor:
                return work(cursor)
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            if connection.closed:
                raise _Lost(self._said(error)) from None
            raise CatalogUnavailableError(f"the catalog could not do it: {self._said(error)}") from None
        except psycopg2.Error as error:
            raise CatalogError(f"the catalog refused a statement: {self._said(error)}") from None

    @contextmanager
    def _watched(self, connection: psycopg2.extensions.connection) -> Iterator[None]:
        """Cut the connection off when the server does not answer at all: libpq itself waits for ever."""
        try:
            handle = socket.socket(fileno=os.dup(connection.fileno()))
        except psycopg2.InterfaceError:  # closed already, as the first statement will say
            yield
            return

        def cut() -> None:
            self._silent = True
            with suppress(OSError):
                handle.shutdown(socket.SHUT_RDWR)

        self._silent = False
        timer = threading.Timer(self._patience + _GRACE_SECONDS, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
            timer.join()
            handle.close()

    def _said(self, error: psycopg2.Error) -> str:
        """What the driver or the server said, on one line and without secrets."""
        if self._silent:
            return f"no answer within {self._patience + _GRACE_SECONDS:.0f} s"
        return " ".join(redact(str(error), self._secrets).split()) or type(error).__name__


class _Lost(Exception):
    """There is no connection (any more); says why, without secrets."""


def _lock(cursor: Cursor, chain: str) -> None:
    key = int.from_bytes(hashlib.sha256(f"bronze-copier {chain}".encode()).digest()[:8], "big", signed=True)
    cursor.execute("SELECT set_config('lock_timeout', %s, true)", (f"{_LOCK_MS}ms",))
    try:
        cursor.execute("SELECT pg_advisory_lock(%s)", (key,))
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
        raise ConflictError(
            f"another copier commits to the chain {chain} at this time (it has the catalog's lock): run again when it"
            " has ended"
        ) from None


def _make_schema(cursor: Cursor) -> None:
    """Make what is missing. Where everything is there, no right to make tables is needed."""
    if _has_schema(cursor):
        return
    cursor.execute("SELECT pg_advisory_xact_lock(%s)", (_SCHEMA_LOCK,))
    if _has_schema(cursor):  # made by another copier meanwhile
        return
    try:
        cursor.execute(resources.files("bronze.catalog").joinpath("schema.sql").read_text(encoding="utf-8"))
    except psycopg2.errors.InsufficientPrivilege as error:
        raise CatalogError(
            f"the catalog's tables are not complete and this role may not make them"
            f" ({' '.join(str(error).split())}): run once as a role that may, or as the tables' owner"
        ) from None


def _has_schema(cursor: Cursor) -> bool:
    cursor.execute(
        "SELECT count(*) = %s AND bool_or(EXISTS (SELECT FROM pg_attribute WHERE attrelid = to_regclass(name)"
        " AND attname = 'pas_event_hash' AND NOT attisdropped))"
        " FROM unnest(%s) AS name WHERE to_regclass(name) IS NOT NULL",
        (len(_TABLES), list(_TABLES)),
    )
    return bool(one(cursor)[0])


def one(cursor: Cursor) -> tuple[Any, ...]:
    """The next row, which must be there."""
    row = cursor.fetchone()
    assert row is not None
    return row


def _parsed(dsn: str) -> dict[str, str]:
    # An @ in a URL's password: Go's parser, which the older copier used, takes the last one for the separator.
    dsn = re.sub(
        r"^(postgres(?:ql)?://)([^/?#]*)(?=@)", lambda match: match[1] + match[2].replace("@", "%40"), dsn.strip()
    )
    try:
        parameters = {name: str(value) for name, value in psycopg2.extensions.parse_dsn(dsn).items()}
    except psycopg2.Error:  # its message quotes the part it did not understand
        parameters = {"port": "?"}
    # A port that is none is what libpq makes of a password with a / in it, and it would quote that too.
    if not re.fullmatch(r"[\d,]*", parameters.get("port", "")):
        raise ConfigError(
            "catalog.postgres_dsn is no connection string: expected postgresql://user:password@host:port/database (with"
            " @ : / ? # and % of the password percent-encoded) or host=... user=... password=... dbname=..."
        )
    return parameters


def _secrets(dsn: str, parameters: dict[str, str]) -> frozenset[str]:
    known = secrets_in(dsn) | {parameters[name] for name in ("password", "sslpassword") if name in parameters}
    # Where a password was taken for something else, its pieces turn up as host names and the like.
    return known | {piece for secret in known for piece in re.split(r"[@:/?#]", secret)}
