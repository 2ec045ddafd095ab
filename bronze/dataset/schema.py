"""The table of raw ledgers: its name, its columns, and the compressions it may have. Plain data, without pyarrow.

`bronze.dataset.parquet` writes the columns; the settings, the catalog and the command line need only this module.
"""

from __future__ import annotations

from typing import Final, NamedTuple

#: Name of the table, unless the configuration (``bronze.primary_table``) gives it another one.
PRIMARY_TABLE: Final = "ledgers_lcm_raw"
#: Compressions that a parquet file may have; the first is the default.
COMPRESSIONS: Final = ("zstd", "snappy", "none")


class Column(NamedTuple):
    """A column of the table; `type` is the Arrow type as Arrow spells it."""

    name: str
    type: str
    required: bool = True


#: The columns in the order of the parquet file. Times are in microseconds: Iceberg has no other unit, and its readers
#: on the JVM take milliseconds for microseconds. Version 0.1 wrote milliseconds.
COLUMNS: Final = (
    Column("ledger_sequence", "int64"),
    Column("ledger_hash", "string"),
    Column("previous_ledger_hash", "string"),
    Column("close_time", "timestamp[us, tz=UTC]"),
    Column("protocol_version", "int32"),
    Column("total_coins", "int64"),
    Column("fee_pool", "int64"),
    Column("tx_set_hash", "string"),
    Column("tx_count", "int32"),
    Column("operation_count", "int32"),
    Column("xdr_bytes", "binary"),
    Column("xdr_byte_length", "int32"),
    Column("xdr_sha256", "string"),
    Column("bronze_version", "string"),
    Column("era_id", "string"),
    Column("network", "string"),
    Column("ingested_at", "timestamp[us, tz=UTC]", required=False),
)


def schema_text() -> str:
    """The schema as the catalog's hash of it covers it: a line for each column, the same on every machine.

    >>> print(schema_text().splitlines()[0])
    ledger_sequence int64 required
    """
    return "\n".join(f"{name} {type_}{' required' if required else ''}" for name, type_, required in COLUMNS)
