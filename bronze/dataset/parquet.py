"""The parquet file of a partition: a writer that streams row groups of the table in `bronze.dataset.schema`.

The same ledgers give the same bytes. Row groups are cut by raw bytes (not rows), so memory stays flat
whatever the partition size; where they are cut depends on the ledgers alone.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from bronze.dataset.schema import COLUMNS, COMPRESSIONS
from bronze.dataset.sink import HashingSink
from bronze.ledger.close_meta import CloseMeta

#: Raw bytes of close metas after which a row group ends. Readers decompress a row group to get at one ledger, and parse
#: the footer, which grows with the number of row groups: at this size both cost about the same for 10,000 ledgers.
ROW_GROUP_BYTES = 16 * 1024 * 1024
#: A page ends with the first ledger that makes it this large, so that ledgers of the present size have a
#: page each and one of them can be read without its neighbours; small columns never get that far.
_PAGE_BYTES = 64 * 1024
_ZSTD_LEVEL = 3
_TIMESTAMP = pa.timestamp("ms", "UTC")
_TYPES = {str(kind): kind for kind in (pa.int32(), pa.int64(), pa.string(), pa.binary(), _TIMESTAMP)}

SCHEMA = pa.schema([pa.field(column.name, _TYPES[column.type], nullable=not column.required) for column in COLUMNS])


@dataclass(frozen=True, slots=True)
class PartitionLabels:
    """The columns that are the same in every row of a partition."""

    bronze_version: str
    era_id: str
    network: str


class RowGroup:
    """The rows of the next row group but for their raw bytes, which lie in the reader's buffer."""

    def __init__(self, labels: PartitionLabels) -> None:
        self._labels = labels
        self.metas: list[CloseMeta] = []
        self._digests: list[str] = []
        self._offsets = array.array("i", [0])

    def __len__(self) -> int:
        return len(self.metas)

    @property
    def raw_bytes(self) -> int:
        """Raw bytes of the ledgers added."""
        return self._offsets[-1]

    @property
    def is_full(self) -> bool:
        """Whether the row group ends here."""
        return self.raw_bytes >= ROW_GROUP_BYTES

    def add(self, meta: CloseMeta, xdr: memoryview) -> None:
        """Append the ledger `meta`, whose close meta is `xdr`, right behind the one before it."""
        self._digests.append(hashlib.sha256(xdr).hexdigest())
        self._offsets.append(self._offsets[-1] + len(xdr))
        self.metas.append(meta)

    def batch(self, raw: memoryview) -> pa.RecordBatch:
        """The rows as Arrow arrays; `raw` (all close metas back to back) is not copied."""
        metas, offsets = self.metas, self._offsets
        rows = len(metas)
        lengths = [offsets[row + 1] - offsets[row] for row in range(rows)]
        columns = [
            pa.array([meta.sequence for meta in metas], pa.int64()),
            pa.array([meta.ledger_hash.hex() for meta in metas], pa.string()),
            pa.array([meta.previous_ledger_hash.hex() for meta in metas], pa.string()),
            pa.array([meta.close_time * 1000 for meta in metas], _TIMESTAMP),
            pa.array([meta.protocol_version for meta in metas], pa.int32()),
            pa.array([meta.total_coins for meta in metas], pa.int64()),
            pa.array([meta.fee_pool for meta in metas], pa.int64()),
            pa.array([meta.tx_set_hash.hex() for meta in metas], pa.string()),
            pa.array([meta.tx_count for meta in metas], pa.int32()),
            pa.array([meta.operation_count for meta in metas], pa.int32()),
            pa.Array.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(raw)]),
            pa.array(lengths, pa.int32()),
            pa.array(self._digests, pa.string()),
            pa.repeat(self._labels.bronze_version, rows),
            pa.repeat(self._labels.era_id, rows),
            pa.repeat(self._labels.network, rows),
            pa.nulls(rows, _TIMESTAMP),
        ]
        return pa.RecordBatch.from_arrays(columns, schema=SCHEMA)


class TableWriter:
    """Writes row groups as one parquet file into a sink; close it for the footer.

    As a context manager it writes nothing more once an error leaves it.
    """

    def __init__(self, sink: HashingSink, compression: str) -> None:
        if compression not in COMPRESSIONS:
            raise ValueError(f"compression {compression!r} is not one of {', '.join(COMPRESSIONS)}")
        self._sink = sink
        self._file = pa.PythonFile(sink, mode="w")
        self._writer = pq.ParquetWriter(
            self._file,
            SCHEMA,
            version="2.6",
            data_page_version="1.0",
            compression=compression,
            compression_level=_ZSTD_LEVEL if compression == "zstd" else None,
            # Dictionaries and min/max values of unique hashes and raw bytes would only cost room.
            use_dictionary=["protocol_version", "bronze_version", "era_id", "network"],
            write_statistics=["ledger_sequence", "close_time"],
            # Page limits are looked at after every row; the page size decides.
            write_batch_size=1,
            data_page_size=_PAGE_BYTES,
            write_page_index=True,
            store_schema=False,
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Write `batch` as one row group."""
        self._writer.write_batch(batch, row_group_size=batch.num_rows)

    def close(self) -> None:
        """Write the footer."""
        self._writer.close()
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        # pyarrow's writer writes its footer whenever it is collected, long after the sink's target was given up.
        self._sink.detach()
        with contextlib.suppress(Exception):  # the error that led here is the one to be told
            self._writer.close()
        self._writer.is_open = False
