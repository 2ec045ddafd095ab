"""What a notebook does with a destination: open it by its URL, list it, read one ledger, query it."""

from __future__ import annotations

import duckdb
import polars
import pyarrow.parquet as pq
import pytest

from bronze.dataset import open_tables
from bronze.errors import ObjectNotFoundError, StateError
from bronze.storage.local import LocalStore
from bronze.verify import Level, PartitionCheck
from tests.bronze.conftest import GRID, Workspace


def test_notebook_reads_and_verifies_by_url(published: Workspace) -> None:
    (table,) = open_tables(f"{published.data}/bronze")
    assert list(table.partitions) == GRID
    manifest = table.manifest(GRID[1])
    assert manifest is not None
    assert manifest.row_count == 10
    check = PartitionCheck(dataset=table.dataset, era=table.era, level=Level.ROWS)
    reports = polars.DataFrame(
        [(str(one), report.rows, len(report.findings)) for one in table.partitions if (report := check.check(one))],
        schema=["partition", "rows", "findings"],
        orient="row",
    )
    assert reports.select(polars.sum("rows", "findings")).row(0) == (60, 0)


def test_engines_and_api_read_the_same(published: Workspace) -> None:
    """What DuckDB and Polars read of a ledger is what the API reads and checks."""
    (table,) = open_tables(f"{published.data}/bronze")
    glob = f"{published.data}/bronze/**/*.parquet"
    frame = polars.scan_parquet(glob)
    for ledger in (2, 17, 61):
        xdr = table.read_ledger(ledger)
        query = "select xdr_bytes, sha256(xdr_bytes) = xdr_sha256 from read_parquet(?) where ledger_sequence = ?"
        assert duckdb.execute(query, [glob, ledger]).fetchall() == [(xdr, True)]
        row = frame.filter(polars.col("ledger_sequence") == ledger).select("xdr_bytes", "xdr_byte_length").collect()
        assert row.rows() == [(xdr, len(xdr))]
    counted = frame.select(polars.len(), polars.sum("tx_count"), polars.min("close_time")).collect().row(0)
    query = "select count(*), sum(tx_count)::bigint, min(close_time) at time zone 'UTC' from read_parquet(?)"
    found = duckdb.execute(query, [glob]).fetchone()
    assert found is not None
    assert (counted[0], counted[1], counted[2].replace(tzinfo=None)) == found


def test_engine_finds_what_verification_finds(published: Workspace) -> None:
    """A row with the bytes of another one, written by an engine."""
    path = published.parquet(GRID[1])
    rows = polars.read_parquet(path, hive_partitioning=False)
    forged = rows.with_columns(
        xdr_bytes=polars.when(polars.col("ledger_sequence") == 14).then(rows["xdr_bytes"][5]).otherwise("xdr_bytes")
    )
    pq.write_table(forged.to_arrow().cast(pq.read_schema(path)), path)
    (table,) = open_tables(f"{published.data}/bronze")
    query = "select ledger_sequence from read_parquet(?) where sha256(xdr_bytes) <> xdr_sha256"
    assert duckdb.execute(query, [str(path)]).fetchall() == [(14,)]
    check = PartitionCheck(dataset=table.dataset, era=table.era, level=Level.ROWS)
    found = check.check(GRID[1]).findings
    assert {one.ledger for one in found if one.level == Level.ROWS} == {14}


@pytest.mark.parametrize("ledger", [1, 62])
def test_ledger_outside_is_not_found(published: Workspace, ledger: int) -> None:
    (table,) = open_tables(f"{published.data}/bronze")
    with pytest.raises(ObjectNotFoundError, match=f"holds ledger {ledger}"):
        table.read_ledger(ledger)


def test_damaged_file_is_named(published: Workspace) -> None:
    path = published.parquet(GRID[1])
    path.write_bytes(b"PAR1" * 50)
    (table,) = open_tables(f"{published.data}/bronze")
    with pytest.raises(StateError, match=f"{path} cannot be read"):
        table.read_ledger(12)


def test_one_ledger_costs_part_of_file(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not the other row groups: in a file with many, most bytes stay unread."""
    path = published.parquet(GRID[1])
    pq.write_table(pq.ParquetFile(path).read(), path, row_group_size=1, compression="none")
    read = 0
    original = LocalStore.open_read

    class Counting:
        def __init__(self, file) -> None:
            self._file = file

        def __getattr__(self, name: str):
            return getattr(self._file, name)

        def read(self, size: int = -1) -> bytes:
            nonlocal read
            data = self._file.read(size)
            read += len(data)
            return data

    monkeypatch.setattr(LocalStore, "open_read", lambda self, key: Counting(original(self, key)))
    (table,) = open_tables(f"{published.data}/bronze")
    assert len(table.read_ledger(15)) > 0
    rows, footer = path.stat().st_size, 70_000
    assert read < max(rows / 2, footer)
