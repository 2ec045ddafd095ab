"""Read one ledger of a partition's parquet file without reading the others."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from bronze.storage.store import BinaryReader

_SEQUENCE, _RAW = "ledger_sequence", "xdr_bytes"
#: Rows that are decompressed at once.
_BATCH_ROWS = 8


def read_ledger(file: BinaryReader, ledger: int) -> bytes | None:
    """The close meta of `ledger` in a parquet file, which stays open; None when it has no row of that ledger.

    Reads the footer and the one row group whose statistics say that it holds the ledger, decompressed up to it.

    Raises:
        ValueError: it is not a parquet file with these columns, or it is damaged.
        OSError, StoreError: it cannot be read.
    """
    try:
        with pq.ParquetFile(file, pre_buffer=True) as parquet:
            column = parquet.schema_arrow.get_field_index(_SEQUENCE)
            if column < 0 or parquet.schema_arrow.get_field_index(_RAW) < 0:
                raise ValueError(f"it has no columns {_SEQUENCE} and {_RAW}")
            for group in range(parquet.metadata.num_row_groups):
                statistics = parquet.metadata.row_group(group).column(column).statistics
                is_told = statistics is not None and statistics.has_min_max
                if is_told and not statistics.min <= ledger <= statistics.max:
                    continue
                for rows in parquet.iter_batches(_BATCH_ROWS, row_groups=[group], columns=[_SEQUENCE, _RAW]):
                    at = pc.index(rows.column(_SEQUENCE), ledger).as_py()
                    if at >= 0:
                        found: bytes = rows.column(_RAW)[at].as_py()
                        return found
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the parquet reader's own errors have no number
        raise ValueError(str(error)) from error
    return None
