"""The code on docs/reading.md, each block run by the engine that it is for."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.readers.engine import Engine, block

#: Words of the block of each engine.
ENGINES = {
    "DuckDB": "one = duckdb.execute(",
    "Polars": "import polars",
    "pyarrow": "iter_batches(16",
    "DataFusion": "import SessionContext",
    "ClickHouse": "import chdb",
}
#: Of the session that both blocks for Spark share.
SPARK = (
    'spark = SparkSession.builder.config("spark.sql.session.timeZone", "UTC").getOrCreate()',
    "spark.jars.packages",
)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", ENGINES)
def test_engine_answers_as_the_page_says(engine: Engine, name: str) -> None:
    assert engine.run(block(ENGINES[name])) == {"one": engine.table.one, "many": engine.table.many}


@pytest.mark.timeout(120)
def test_pyarrow_reads_all_in_small_batches(engine: Engine) -> None:
    largest = engine.run(block(ENGINES["pyarrow"]), wanted="largest")["largest"]
    assert largest > 1000


@pytest.mark.timeout(120)
def test_iceberg_in_python_opens_one_file(engine: Engine) -> None:
    found = engine.run(block("pyiceberg.catalog.sql"), wanted="one opened")
    assert found == {"one": engine.table.one, "opened": 1}


@pytest.mark.timeout(120)
def test_ducklake_takes_the_files_as_they_are(engine: Engine) -> None:
    code = block("INSTALL ducklake").replace("INSTALL ducklake; ", "")  # it comes from PyPI here
    extension = "from duckdb_extensions import import_extension\nimport_extension('ducklake')"
    found = engine.run(extension, code, ducklake=True)
    assert found == {"one": engine.table.one, "many": engine.table.many}


@pytest.mark.timeout(120)
def test_delta_takes_a_copy(engine: Engine) -> None:
    assert engine.run(block("convert_to_deltalake"), wanted="one") == {"one": engine.table.one}
    assert not (engine.table.folder / "_delta_log").exists()


@pytest.mark.timeout(120)
def test_range_appears_where_the_page_says(engine: Engine) -> None:
    """`SELECT *` has an 18th column in some engines."""
    code = """
import chdb, duckdb, polars
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from datafusion import SessionContext
files, context = f"{table}/*/*.parquet", SessionContext()
context.register_parquet("ledgers", table)
described = chdb.query(f"DESCRIBE TABLE file('{files}', Parquet)", "TSV").bytes().decode()
setting = "SETTINGS use_hive_partitioning = 0"
without = chdb.query(f"DESCRIBE TABLE file('{files}', Parquet) {setting}", "TSV").bytes().decode()
found = json.dumps({
    "duckdb": duckdb.sql(f"FROM '{files}'").columns[17:],
    "duckdb without": duckdb.sql(f"FROM read_parquet('{files}', hive_partitioning = false)").columns[17:],
    "clickhouse": [line.split()[0] for line in described.splitlines()][17:],
    "clickhouse without": [line.split()[0] for line in without.splitlines()][17:],
    "read_table": pq.read_table(table).column_names[17:],
    "read_table without": pq.read_table(table, partitioning=None).column_names[17:],
    "dataset": ds.dataset(table, format="parquet").schema.names[17:],
    "polars": polars.scan_parquet(files).collect_schema().names()[17:],
    "datafusion": context.sql("SELECT * FROM ledgers").schema().names[17:],
})
"""
    found = json.loads(engine.run("import json", code, wanted="found")["found"])
    shown = {"duckdb", "clickhouse", "read_table"}
    assert found == {name: ["range"] if name in shown else [] for name in found}
    assert len(found) == 9


@pytest.mark.timeout(120)
def test_pattern_over_eras_counts_each_ledger_once(engine: Engine) -> None:
    code = """
import duckdb, polars
files = f"{bronze}/standalone/*/v1/ledgers_lcm_raw/*/*.parquet"
query = f"SELECT era_id, count(DISTINCT ledger_sequence) FROM '{files}' GROUP BY ALL ORDER BY ALL"
duck = duckdb.execute(query).fetchall()
counted = polars.scan_parquet(files).group_by("era_id").agg(polars.n_unique("ledger_sequence"))
found = [str(duck), str(counted.sort("era_id").collect().rows())]
"""
    expected = str([("e1", 26), ("e2", 38)])
    assert engine.run(code, wanted="found") == {"found": [expected, expected]}


@pytest.mark.timeout(400)
@pytest.mark.skipif(shutil.which("java") is None, reason="Java is not installed")
def test_spark_and_iceberg_read_right(engine: Engine, mixtures: Path) -> None:
    """One process for all that Spark is asked: it takes seconds to start."""
    iceberg = block("spark.jars.packages")
    packages = '"spark.jars.packages", "org.apache.iceberg:iceberg-spark-runtime-4.0_2.13:1.11.0"'
    assert packages in iceberg
    iceberg = iceberg.replace(packages, f'"spark.jars", {str(engine.readers.iceberg)!r}')
    code = """
def attempt(ask):
    try:
        return [str(value) for value in ask()]
    except Exception as error:
        return [next((word for word in WORDS if word in str(error)), str(error)[:300])]

WORDS = ["CONFLICTING_DIRECTORY_STRUCTURES", "CANNOT_MERGE_SCHEMAS", "Cannot use uint64"]
iceberg_one, iceberg_many = one, many
filtered = ledgers.where("close_time > timestamp'2020-01-01'").count(), ledgers.where("ledger_sequence < 16").count()
ingested = ledgers.selectExpr("count(ingested_at)").first()[0]
whole = attempt(lambda: [spark.read.parquet(bronze).count()])
pattern = spark.read.parquet(f"{bronze}/standalone/*/v1/ledgers_lcm_raw/*/*.parquet").count()
values = ("count(*)", "cast(sum(ledger_sequence) as long)", "year(min(close_time))", "count(ingested_at)")

def as_iceberg(name, folder):
    spark.sql(f"CREATE TABLE lakehouse.stellar.{name} ({columns}) USING iceberg PARTITIONED BY (range)")
    spark.sql(f"CALL lakehouse.system.add_files(table => 'stellar.{name}', source_table => '`parquet`.`{folder}`')")
    return spark.table(f"lakehouse.stellar.{name}").selectExpr(*values).first()

go, old = MIXTURES
go_spark = attempt(lambda: spark.read.parquet(go).selectExpr(*values).first())
go_merged = attempt(lambda: spark.read.option("mergeSchema", True).parquet(go).selectExpr(*values).first())
go_iceberg = attempt(lambda: as_iceberg("go", go))
old_spark = attempt(lambda: spark.read.parquet(old).selectExpr(*values).first())
old_iceberg = attempt(lambda: as_iceberg("old", old))
"""
    places = f"MIXTURES = {[str(mixtures / name) for name in ('go', 'old')]!r}"
    wanted = (
        "iceberg_one iceberg_many filtered ingested whole pattern go_spark go_merged go_iceberg old_spark old_iceberg"
    )
    found = engine.run(iceberg, places, code, block(SPARK[0]), wanted=f"one many {wanted}")
    one, many = engine.table.one, engine.table.many
    assert found == {
        "one": one,
        "many": many,
        "iceberg_one": one,
        "iceberg_many": many,
        "filtered": [26, 8],
        "ingested": 0,
        "whole": ["CONFLICTING_DIRECTORY_STRUCTURES"],
        "pattern": 64,
        "go_spark": ["26", "533", "2023", "16"],
        "go_merged": ["CANNOT_MERGE_SCHEMAS"],
        "go_iceberg": ["Cannot use uint64"],
        "old_spark": ["26", "533", "2023", "0"],
        "old_iceberg": ["26", "533", "1970", "0"],  # milliseconds taken for microseconds
    }
