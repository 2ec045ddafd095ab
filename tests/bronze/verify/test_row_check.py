"""Rows are checked against their own bytes; files of the older copier as far as they allow."""

from __future__ import annotations

import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bronze.errors import LakeError, UnreachableError
from bronze.verify.row_check import LedgerSource, RowCheck, RowProblem
from tests.bronze.conftest import GRID, Workspace

ONE = GRID[1]


def problems(at: Workspace, path: Path, source: LedgerSource | None = None) -> tuple[RowCheck, list[RowProblem]]:
    check = RowCheck(at.era, ONE, source=source)
    with path.open("rb") as file:
        return check, list(check.problems(file))


def older(path: Path) -> Path:
    """The file with the types of the older copier, its own count of operations, and the time of ingestion."""
    table = pq.ParquetFile(path).read()
    for name, kind in (("ledger_sequence", pa.uint64()), ("protocol_version", pa.uint32())):
        table = table.set_column(table.schema.get_field_index(name), name, table.column(name).cast(kind))
    when = pa.array([datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)] * table.num_rows, pa.timestamp("ms", "UTC"))
    table = table.set_column(table.schema.get_field_index("ingested_at"), "ingested_at", when)
    counts = pa.array([12345] * table.num_rows, pa.int32())
    table = table.set_column(table.schema.get_field_index("operation_count"), "operation_count", counts)
    other = path.with_name("older.parquet")
    pq.write_table(table, other)
    return other


def test_good_rows_have_no_problem(published: Workspace) -> None:
    check, found = problems(published, published.parquet(ONE))
    assert (found, check.rows, check.is_of_older_copier) == ([], 10, False)
    manifest = published.dataset.find_manifest(published.era, ONE)
    assert manifest is not None
    assert check.links == manifest.ledgers


def test_older_copiers_rows_are_checked(published: Workspace) -> None:
    path = older(published.parquet(ONE))
    check, found = problems(published, path)
    assert (found, check.is_of_older_copier) == ([], True)
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    rows[3]["tx_count"] += 1
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    _, found = problems(published, path)
    assert [(one.ledger, one.found.split()[0]) for one in found] == [(15, "tx_count")]


def test_rows_of_another_file_are_named(published: Workspace) -> None:
    _, found = problems(published, published.parquet(GRID[4]))
    assert [one.ledger for one in found] == list(range(12, 22))
    assert found[0] == RowProblem(ledger=12, found="ledger 42 in this row", expected="ledger 12")


def test_file_without_columns_is_refused(published: Workspace) -> None:
    path = published.parquet(ONE)
    pq.write_table(pq.ParquetFile(path).read().drop(["tx_count"]), path)
    with pytest.raises(ValueError, match="it has no column tx_count"):
        problems(published, path)


def test_time_of_ingestion_is_found(published: Workspace) -> None:
    """The column is null in every row: a time in it is nothing that the ledger says."""
    path = published.parquet(ONE)
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    rows[4]["ingested_at"] = datetime.datetime(2025, 1, 1, tzinfo=datetime.UTC)
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
    _, found = problems(published, path)
    assert found == [RowProblem(ledger=16, found="ingested_at is set", expected="null")]


def lake_of_rows(path: Path) -> dict[int, bytes]:
    return {row["ledger_sequence"]: row["xdr_bytes"] for row in pq.ParquetFile(path).read().to_pylist()}


def test_damaged_lake_object_costs_its_row_only(published: Workspace) -> None:
    path = published.parquet(ONE)
    lake = lake_of_rows(path)
    lake[18] = lake[18][:-1] + bytes([lake[18][-1] ^ 1])

    def source(ledger: int) -> bytes:
        if ledger == 14:
            raise LakeError("object 14 is missing from the lake")
        return lake[ledger]

    check, found = problems(published, path, source)
    assert [(one.ledger, one.is_source, one.is_unchecked) for one in found] == [(14, True, True), (18, True, False)]
    assert found[0].found == "cannot be compared with the lake: object 14 is missing from the lake"
    assert check.rows == 10


@pytest.mark.parametrize(("error", "asked"), [(LakeError("gone"), 5), (UnreachableError("down"), 1)])
def test_lake_that_fails_is_given_up(published: Workspace, error: Exception, asked: int) -> None:
    """The rows are still checked by themselves."""
    path = published.parquet(ONE)
    table = pq.ParquetFile(path).read()
    rows = table.to_pylist()
    rows[9]["tx_count"] += 1
    pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)

    def source(_: int) -> bytes:
        raise error

    _, found = problems(published, path, source)
    assert [one.is_unchecked for one in found] == [True] * asked + [False]
    assert found[asked - 1].found.endswith("; nor were the ledgers after it")
    assert found[-1].found.startswith("tx_count is")
