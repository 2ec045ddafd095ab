"""Databases whose encoding is not UTF-8: rows are written as they are, or refused by name."""

from __future__ import annotations

import itertools
import os
from contextlib import closing

import psycopg2
import pytest

from bronze.catalog.catalog import Catalog
from bronze.catalog.connection import CatalogConnection
from bronze.catalog.session import ServerSession
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import CatalogError, is_transient
from bronze.partitioning.partition import Partition
from tests.bronze.catalog.conftest import lineage, record
from tests.bronze.conftest import ERA
from tests.support.postgres_server import PostgresServer

pytestmark = pytest.mark.timeout(120)
_NUMBERS = itertools.count()


def database_in(postgres: PostgresServer, encoding: str) -> str:
    """An empty database in `encoding`; its connection URL."""
    name = f"encoded{os.getpid()}_{next(_NUMBERS)}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    return postgres.dsn(name)


def as_utf8(dsn: str, column: str, table: str) -> list[str]:
    with closing(psycopg2.connect(dsn, client_encoding="UTF8")) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} ORDER BY ledger_start")
        return [text for (text,) in cursor.fetchall()]


@pytest.mark.parametrize("asked", ["", "?client_encoding=LATIN1", "?client_encoding=SQL_ASCII"])
@pytest.mark.parametrize(
    ("encoding", "text"), [("UTF8", "ü日"), ("LATIN1", "ü"), ("SQL_ASCII", "ü日"), ("EUC_JP", "日"), ("WIN1252", "€")]
)
def test_text_is_written_whatever_the_encoding(
    postgres: PostgresServer, encoding: str, text: str, asked: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = database_in(postgres, encoding)
    monkeypatch.setenv("PGCLIENTENCODING", "LATIN1")
    with Catalog(dsn + asked, "tests") as catalog:
        record(catalog, lineage(2, 11, storage_uri=text), lineage(12, 21))
        record(catalog, lineage(2, 11, storage_uri=text))
    assert as_utf8(dsn, "storage_uri", "_meta_lineage") == [text, lineage(12, 21).storage_uri]


def test_text_beyond_the_encoding_is_refused(postgres: PostgresServer) -> None:
    with Catalog(database_in(postgres, "LATIN1"), "tests") as catalog:
        with pytest.raises(CatalogError, match=r"refused a statement: .*no equivalent in encoding .LATIN1") as caught:
            record(catalog, lineage(2, 11, storage_uri="file:///日/x"))
        assert not is_transient(caught.value)
        record(catalog, lineage(12, 21))
        assert list(catalog.recorded(ERA, PRIMARY_TABLE)) == [Partition(12, 21)]


@pytest.mark.parametrize(
    ("encoding", "kept"),
    [("UTF8", "→ ü €"), ("LATIN1", r"\u2192 ü \u20ac"), ("SQL_ASCII", "→ ü €"), ("WIN1252", r"\u2192 ü €")],
)
def test_failure_message_fits_every_encoding(postgres: PostgresServer, encoding: str, kept: str) -> None:
    dsn = database_in(postgres, encoding)
    with Catalog(dsn, "tests") as catalog:
        catalog.record_failure(ERA, PRIMARY_TABLE, Partition(2, 11), "→ ü €")
    assert as_utf8(dsn, "error_message", "_meta_quality") == [kept]


def test_foreign_bytes_in_rows_are_a_catalog_error(postgres: PostgresServer) -> None:
    dsn = database_in(postgres, "SQL_ASCII")
    with Catalog(dsn, "tests") as catalog:
        record(catalog, lineage(2, 11))
        postgres.execute(
            "UPDATE _meta_datasets SET schema_hash = convert_from(decode('fffe', 'hex'), 'SQL_ASCII')",
            dsn.rpartition("/")[2],
        )
        with pytest.raises(CatalogError, match="invalid byte sequence"):
            catalog.register(ERA, PRIMARY_TABLE)


def test_unencodable_text_is_a_catalog_error(database: str) -> None:
    connection = CatalogConnection(database, "tests", 5)
    with pytest.raises(CatalogError, match="text cannot be converted"):
        connection.transaction(lambda cursor: cursor.execute("SELECT %s", ("\udc80",)))
    connection.transaction(lambda cursor: cursor.execute("SELECT 1"))
    connection.close()


def test_other_encoding_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pooler that ignores what the first message asks for."""

    class Connection:
        encoding = "LATIN1"

        def set_session(self, **_: object) -> None: ...

        def close(self) -> None: ...

    monkeypatch.setattr(psycopg2, "connect", lambda **_: Connection())
    with pytest.raises(CatalogError, match="exchanges text as LATIN1, not as UTF-8"):
        ServerSession({}, (), "test", 1.0).open()
