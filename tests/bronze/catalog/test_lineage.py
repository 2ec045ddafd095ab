"""The catalog's row of a partition: what its summary and the run's context put into it."""

from __future__ import annotations

import subprocess
import sys

import pytest

from bronze.catalog.lineage import LineageContext
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import PRODUCER, summary

CONTEXT = LineageContext(
    table="ledgers", storage_root="s3://bucket/bronze/", source_type="archive", source_location="s3://lake"
)


def test_lineage_uri_is_root_path_and_file() -> None:
    uri = CONTEXT.uri("n/e/v1/ledgers/range=2-11", Partition(2, 11))
    assert uri == "s3://bucket/bronze/n/e/v1/ledgers/range=2-11/part-2-11.parquet"


@pytest.mark.parametrize("event_hash", ["", "sha256:" + "a" * 64])
def test_lineage_combines_summary_and_context(event_hash: str) -> None:
    published = summary(2, 11)
    row = CONTEXT.lineage(published, "path", event_hash)
    assert (row.partition, row.row_count, row.byte_size) == (Partition(2, 11), published.row_count, published.byte_size)
    assert (row.checksum, row.event_hash) == (published.checksum, event_hash)
    assert (row.storage_path, row.storage_uri) == ("path", CONTEXT.uri("path", Partition(2, 11)))
    assert (row.producer, row.source_type, row.source_location) == (PRODUCER, "archive", "s3://lake")


def test_lineage_imports_without_postgres_driver() -> None:
    program = "import sys; sys.modules['psycopg2'] = None; import bronze.catalog, bronze.catalog.lineage"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=50)
