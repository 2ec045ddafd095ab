"""A published table of two eras, and the engines that read it; skipped where these are not installed.

Fixtures:
    table   what a run published, with the answers that are expected
    engine  runs the page's code on it
    mixtures the table with files of older programs in it
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from pipeline.sample.options import SampleOptions
from tests.e2e.conftest import era, new_copier, sample_lakes, small
from tests.readers.engine import Engine, Table, digest
from tests.support.readers import find_readers

__all__ = ["sample_lakes"]


@pytest.fixture(scope="session")
def table(sample_lakes: Callable[[SampleOptions], Path], tmp_path_factory: pytest.TempPathFactory) -> Table:
    lake = sample_lakes(small(first=8, ledgers=64))
    eras = [
        era("e1", ledger_start=8, ledger_end=33, partition_size=8),  # its last partition is a short one
        era("e2", ledger_start=34, ledger_end=71, partition_size=8),
    ]
    copy = new_copier(tmp_path_factory.mktemp("readers") / "copy", lake, eras=eras)
    assert copy.run().status == 0
    rows = pq.read_table(copy.folder("e1"), partitioning=None)
    ledger = 33
    wanted = rows.filter(pc.equal(rows["ledger_sequence"], ledger)).to_pylist()[0]
    return Table(
        bronze=copy.root / "data" / "bronze",
        folder=copy.folder("e1"),
        start=8,
        end=33,
        size=8,
        ledger=ledger,
        one=[wanted["ledger_hash"], digest(wanted["xdr_bytes"])],
        many=[26, pc.max(rows["tx_count"]).as_py(), pc.min(rows["close_time"]).as_py().timestamp()],
    )


@pytest.fixture
def engine(table: Table, tmp_path: Path) -> Engine:
    readers = find_readers()
    if readers is None:
        pytest.skip("the engines are not installed (python -m tests.support.readers)")
    return Engine(readers, table, tmp_path)


@pytest.fixture(scope="session")
def mixtures(table: Table, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Directories with the table, where files of older programs lie first or (``go-last``) last among its names."""
    folder = tmp_path_factory.mktemp("mixtures")
    for name, is_go, chosen in (("go", True, slice(2)), ("go-last", True, slice(2, None)), ("old", False, slice(2))):
        copy = shutil.copytree(table.folder, folder / name)
        for path in sorted(copy.glob("*/*.parquet"))[chosen]:
            write_as_older_program(path, is_go=is_go)
    return folder


def write_as_older_program(path: Path, *, is_go: bool) -> None:
    """Give a file the column types of version 0.1, or of the Go copier."""
    rows = pq.read_table(path, partitioning=None)
    types = {"close_time": pa.timestamp("ms", "UTC"), "ingested_at": pa.timestamp("ms", "UTC")}
    if is_go:
        types |= {"ledger_sequence": pa.uint64(), "protocol_version": pa.uint32()}
        ingested = pa.array([datetime(2025, 1, 1, tzinfo=UTC)] * len(rows), pa.timestamp("us", "UTC"))
        rows = rows.set_column(rows.column_names.index("ingested_at"), "ingested_at", ingested)
    may_be_null = () if is_go else ("ingested_at",)
    fields = [pa.field(one.name, types.get(one.name, one.type), one.name in may_be_null) for one in rows.schema]
    pq.write_table(rows.cast(pa.schema(fields)), path, compression="zstd")
