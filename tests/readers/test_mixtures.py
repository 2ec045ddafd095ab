"""Files of older programs beside ours in one table: what docs/reading.md says that each engine makes of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.readers.engine import Engine

#: Rows, sum of the sequences, first close time, rows whose ingested_at is null.
ASK = {
    "duckdb": """
import duckdb
columns = "count(*), sum(ledger_sequence)::INT, epoch(min(close_time)), countif(ingested_at IS NULL)"
found = duckdb.execute(f"SELECT {columns} FROM '{folder}/*/*.parquet'").fetchone()
""",
    "pyarrow": """
import pyarrow.compute as pc
import pyarrow.dataset as ds
rows = ds.dataset(folder, format="parquet").to_table(columns=["ledger_sequence", "close_time", "ingested_at"])
summed, first = pc.sum(rows["ledger_sequence"]).as_py(), pc.min(rows["close_time"]).as_py()
found = (rows.num_rows, summed, first, rows["ingested_at"].null_count)
""",
    "clickhouse": """
import chdb
columns = "count(), sum(ledger_sequence), toUnixTimestamp(min(close_time)), countIf(ingested_at IS NULL)"
answer = chdb.query(f"SELECT {columns} FROM file('{folder}/*/*.parquet', Parquet)", "TSV")
found = [int(one) for one in answer.bytes().split()]
""",
    "polars": """
import polars as pl
rows = pl.scan_parquet(f"{folder}/*/*.parquet")
found = rows.select(pl.len(), pl.sum("ledger_sequence"), pl.min("close_time")).collect().row(0)
""",
    "datafusion": """
from datafusion import SessionContext
context = SessionContext()
context.register_parquet("ledgers", folder)
found = list(context.sql("SELECT count(*), sum(ledger_sequence), min(close_time) FROM ledgers").to_pylist()[0].values())
""",
    "delta": """
import shutil
from deltalake import Field, Schema, convert_to_deltalake
from deltalake.schema import PrimitiveType
copy = shutil.copytree(folder, "/tmp/lakehouse/delta")
convert_to_deltalake(copy, partition_by=Schema([Field("range", PrimitiveType("string"))]), partition_strategy="hive")
found = []
""",
}
ROWS, SUM = 26, sum(range(8, 34))
REFUSES = {"polars": "SchemaError", "datafusion": "Fail to merge schema field", "delta": "Fail to merge schema field"}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mixture", ["go", "old"])
@pytest.mark.parametrize("name", ["duckdb", "pyarrow"])
def test_mixture_is_read_right(engine: Engine, mixtures: Path, mixture: str, name: str) -> None:
    found = engine.run(f"folder = {str(mixtures / mixture)!r}", ASK[name], wanted="found")["found"]
    assert found == [ROWS, SUM, engine.table.many[2], 10 if mixture == "go" else ROWS]


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("mixture", "nulls"), [("old", ROWS), ("go", 10), ("go-last", 0)])
def test_clickhouse_may_turn_null_into_1970(engine: Engine, mixtures: Path, mixture: str, nulls: int) -> None:
    """The file that it looks at first decides whether `ingested_at` may be null."""
    found = engine.run(f"folder = {str(mixtures / mixture)!r}", ASK["clickhouse"], wanted="found")["found"]
    assert found == [ROWS, SUM, engine.table.many[2], nulls]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("mixture", ["go", "old"])
@pytest.mark.parametrize("name", REFUSES)
def test_mixture_is_refused(engine: Engine, mixtures: Path, mixture: str, name: str) -> None:
    code = ASK[name].replace("\n", "\n    ")
    guarded = f"try:\n    pass\n{code}\nexcept BaseException as error:\n    found = [type(error).__name__ + str(error)]"
    found = engine.run(f"folder = {str(mixtures / mixture)!r}", guarded, wanted="found")["found"]
    assert REFUSES[name] in found[0]
