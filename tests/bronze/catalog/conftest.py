"""Rows and queries that the tests of the catalog share.

Begin at ``catalog`` (a Catalog on an empty database of a real PostgreSQL server); ``lineage(start, end)`` makes a row,
``record`` records rows of the era ERA, ``rows`` queries the server.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from bronze.catalog.catalog import Catalog
from bronze.catalog.lineage import Lineage
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import ERA, PRODUCER, hex_hash
from tests.support.postgres_server import database, postgres

__all__ = ["database", "postgres"]


def lineage(start: int, end: int, content: str = "a", event: str = "e", **changes: Any) -> Lineage:
    made = Lineage(
        partition=Partition(start, end),
        row_count=end - start + 1,
        byte_size=1000,
        checksum=f"sha256:{hex_hash((start, end, content))}",
        event_hash=f"sha256:{hex_hash((start, end, content, event))}" if event else "",
        storage_path=f"{ERA.chain}/{PRIMARY_TABLE}/range={start}-{end}",
        storage_uri=f"file:///data/range={start}-{end}/part-{start}-{end}.parquet",
        producer=PRODUCER,
        source_type="local",
        source_location="/lake",
    )
    return dataclasses.replace(made, **changes)


def rows(dsn: str, query: str) -> list[Any]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def everything(dsn: str) -> dict[str, list[Any]]:
    """All rows of all tables, with their system columns: a row that was written again shows."""
    tables = ("_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes")
    return {table: rows(dsn, f"SELECT xmin::text, * FROM {table} ORDER BY id") for table in tables}


@pytest.fixture
def catalog(database: str) -> Iterator[Catalog]:
    with Catalog(database, "tests") as made:
        yield made


def record(catalog: Catalog, *made: Lineage) -> None:
    for row in made:
        catalog.record(ERA, PRIMARY_TABLE, row)
