"""The catalog's connection: opened when needed, opened again when it was lost, and holder of the locks of chains.

It also creates missing tables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from importlib import resources
from typing import TypeVar

import psycopg2
import psycopg2.errors
import psycopg2.extensions
from psycopg2.extensions import cursor as Cursor

from bronze.catalog.chain_locks import ChainLocks
from bronze.catalog.session import ConnectionLostError, ServerSession
from bronze.errors import CatalogError, CatalogUnavailableError, ConfigError
from bronze.redact import redact, secrets_in

Result = TypeVar("Result")

#: Any number, the same in every copier: copiers that start at once create the tables one after the other.
_SCHEMA_LOCK = 0x62726F6E7A65
_TABLES = ("_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes", "_meta_coverage")


class _UndoneError(Exception):
    """Ends a transaction so that nothing of it stays; its argument is the result."""


class CatalogConnection:
    """The connection to the server at `dsn`, and a second one while locks are held. Not to be shared by threads.

    Args:
        dsn: libpq's connection string or URL; its own settings take precedence over the defaults here. Never shown.
        name: application name, shown in the server's list of connections.
        timeout_seconds: how long a statement, a lock or an answer may take.

    Raises:
        ConfigError: `dsn` is not a connection string.
    """

    def __init__(self, dsn: str, name: str, timeout_seconds: float) -> None:
        parameters = _parse_dsn(dsn)
        secrets = _secrets(dsn, parameters)
        self._where = redact(_display_name(parameters), secrets)
        self._session = ServerSession(parameters, secrets, name, timeout_seconds)
        self._locks = ChainLocks(ServerSession(parameters, secrets, name, timeout_seconds))

    @property
    def where(self) -> str:
        """``host:port/database``; several hosts are separated by commas."""
        return self._where

    def transaction(self, work: Callable[[Cursor], Result]) -> Result:
        """Run `work` in one transaction, and once more on a new connection when the open one turns out to be lost.

        `work` must be safe to repeat: the answer to a commit may be what was lost.

        Raises:
            CatalogUnavailableError: no connection, or no answer in time; transient.
            CatalogError: the server refused a statement.
            ConflictError: a connection was lost and another copier has taken the lock of a chain held here.
        """
        try:
            self._locks.ensure()
            if self._session.is_open:
                try:
                    return self._session.run(work)
                except ConnectionLostError:
                    self._session.close()
            self._connect()
            return self._session.run(work)
        except ConnectionLostError as lost:
            self._session.close()
            raise _unavailable(lost) from None

    def try_and_undo(self, work: Callable[[Cursor], Result]) -> Result:
        """Run `work` on a new connection, in a transaction that is rolled back; missing tables are there for it only.

        Raises:
            CatalogUnavailableError, CatalogError: as in `transaction`.
        """

        def trial(cursor: Cursor) -> None:
            _create_tables(cursor)
            raise _UndoneError(work(cursor))

        try:
            self._session.open()
            self._session.run(trial)
        except _UndoneError as undone:
            result: Result = undone.args[0]
            return result
        except ConnectionLostError as lost:
            raise _unavailable(lost) from None
        finally:
            self._session.close()
        raise AssertionError("the trial was not undone")

    def lock(self, chain: str) -> None:
        """Take the chain's advisory lock, until `close` or the end of the process; when it was lost it is taken again.

        Raises:
            ConflictError: another copier holds it.
            CatalogUnavailableError, CatalogError: as in `transaction`.
        """
        try:
            self._locks.take(chain)
        except ConnectionLostError as lost:
            raise _unavailable(lost) from None

    def close(self) -> None:
        """Close the connections; the locks end. The next call opens another one, without locks."""
        self._locks.close()
        self._session.close()

    def _connect(self) -> None:
        self._session.open()
        try:
            self._session.run(_create_tables)
        except BaseException:
            self._session.close()
            raise


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


def _display_name(parameters: dict[str, str]) -> str:
    hosts = (parameters.get("host") or parameters.get("hostaddr") or os.environ.get("PGHOST") or "local socket").split(
        ","
    )
    ports = (parameters.get("port") or os.environ.get("PGPORT") or "5432").split(",")
    ports = ports * len(hosts) if len(ports) == 1 else ports
    servers = ",".join(f"{host}:{port or 5432}" for host, port in zip(hosts, ports, strict=False))
    return f"{servers}/{parameters.get('dbname') or parameters.get('user') or ''}"


def _secrets(dsn: str, parameters: dict[str, str]) -> frozenset[str]:
    known = secrets_in(dsn) | {parameters[name] for name in ("password", "sslpassword") if name in parameters}
    # Where part of a password was parsed as something else, it turns up in messages as a host name and the like.
    return known | {piece for secret in known for piece in re.split(r"[@:/?#]", secret)}


def _unavailable(lost: ConnectionLostError) -> CatalogUnavailableError:
    """The error for `lost`: a server that answers is told from one that does not."""
    is_answer = "FATAL:" in str(lost)
    return CatalogUnavailableError(
        f"the catalog {'refuses the connection' if is_answer else 'cannot be reached'}: {lost}"
    )
