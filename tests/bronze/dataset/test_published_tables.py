"""What a notebook does with a destination: open it by its URL, list it, read one ledger, query it."""

from __future__ import annotations

import duckdb
import pytest

from bronze.dataset import open_tables
from bronze.errors import ObjectNotFoundError, StateError
from bronze.storage.local import LocalStore
from bronze.verify import Level, PartitionCheck
from tests.bronze.conftest import GRID, Workspace


def test_notebook_reads_and_verifies_by_url(published: Workspace) -> None:
    (table,) = open_tables(f"{published.data}/bronze")
    assert list(table.partitions) == GRID
    glob = f"{published.data}/bronze/**/*.parquet"
    for ledger in (2, 17, 61):
        xdr = table.read_ledger(ledger)
        query = "select xdr_bytes from read_parquet(?) where ledger_sequence = ?"
        assert duckdb.execute(query, [glob, ledger]).fetchall() == [(xdr,)]
    manifest = table.manifest(GRID[1])
    assert manifest is not None
    assert manifest.row_count == 10
    check = PartitionCheck(dataset=table.dataset, era=table.era, level=Level.ROWS)
    assert [check.check(one).findings for one in table.partitions] == [()] * 6


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
    import pyarrow.parquet as pq

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
