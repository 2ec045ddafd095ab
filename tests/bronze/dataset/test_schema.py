"""The schema as plain data: its text, and that using it loads no pyarrow."""

from __future__ import annotations

import subprocess
import sys

from bronze.dataset.parquet import SCHEMA
from bronze.dataset.schema import COLUMNS, schema_text


def test_schema_text_matches_arrow_schema() -> None:
    assert schema_text().splitlines() == [
        f"{field.name} {field.type}{'' if field.nullable else ' required'}" for field in SCHEMA
    ]


def test_column_names_are_unique() -> None:
    assert len({column.name for column in COLUMNS}) == len(COLUMNS) == 17


def test_dataset_and_partitioning_load_no_pyarrow() -> None:
    program = (
        "import sys, bronze.dataset, bronze.dataset.publication, bronze.dataset.schema, bronze.partitioning;"
        "print(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = ran.stdout.split()
    assert "bronze.dataset.dataset" in loaded
    assert not {"pyarrow", "obstore", "boto3", "psycopg2", "requests", "apache_beam"} & set(loaded)
