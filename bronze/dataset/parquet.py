"""The table ``ledgers_lcm_raw``: its schema, and a writer that streams row groups of it.

The same ledgers give the same bytes. Row groups are cut by raw bytes (not rows), so memory stays flat
whatever the partition size; where they are cut depends on the ledgers alone.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import pyarrow as pa
import pyarrow.parquet as pq

from bronze.ledger.close_meta import CloseMeta

PRIMARY_TABLE = "ledgers_lcm_raw"
COMPRESSIONS = ("zstd", "snappy", "none")
#: Raw bytes of close metas after which a row group ends. Readers decompress a row group to get at one ledger, and parse
#: the footer, which grows with the number of row groups: at this size both cost about the same for 10,000 ledgers.
ROW_GROUP_BYTES = 16 * 1024 * 1024
#: A page ends with the first ledger that makes it this large, so that ledgers of the present size have a
#: page each and one of them can be read without its neighbours; small columns never get that far.
_PAGE_BYTES = 64 * 1024
_ZSTD_LEVEL = 3

SCHEMA = pa.schema(
    [
        pa.field("ledger_sequence", pa.int64(), nullable=False),
        pa.field("ledger_hash", pa.string(), nullable=False),
        pa.field("previous_ledger_hash", pa.string(), nullable=False),
        pa.field("close_time", pa.timestamp("ms", "UTC"), nullable=False),
        pa.field("protocol_version", pa.int32(), nullable=False),
        pa.field("total_coins", pa.int64(), nullable=False),
        pa.field("fee_pool", pa.int64(), nullable=False),
        pa.field("tx_set_hash", pa.string(), nullable=False),
        pa.field("tx_count", pa.int32(), nullable=False),
        pa.field("operation_count", pa.int32(), nullable=False),
        pa.field("xdr_bytes", pa.binary(), nullable=False),
        pa.field("xdr_byte_length", pa.int32(), nullable=False),
        pa.field("xdr_sha256", pa.string(), nullable=False),
        pa.field("bronze_version", pa.string(), nullable=False),
        pa.field("era_id", pa.string(), nullable=False),
        pa.field("network", pa.string(), nullable=False),
        pa.field("ingested_at", pa.timestamp("ms", "UTC")),
    ]
)


def schema_text() -> str:
    """The schema, one line a column: its name, type and whether it is required. The same on every machine."""
    return "\n".join(f"{field.name} {field.type}{'' if field.nullable else ' required'}" for field in SCHEMA)


class Sink(Protocol):
    """Where the file's bytes go."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`; return its length."""
        ...


class HashingSink:
    """Passes bytes on to `target` and keeps their SHA-256 and number.

    As much of a binary file as pyarrow asks for.
    """

    def __init__(self, target: Sink) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Hash `data` and pass it on."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        return self._target.write(view)

    def tell(self) -> int:
        """How many bytes came so far."""
        return self.size

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        """End of the file; the target stays open, its owner publishes it."""
        self.closed = True

    def detach(self) -> None:
        """Pass nothing on any more."""
        self._target = NullSink()

    @property
    def checksum(self) -> str:
        """``sha256:`` and the digest in hex of all bytes so far."""
        return f"sha256:{self._hash.hexdigest()}"


class NullSink:
    """A sink that keeps nothing."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Say that all was written."""
        return len(data)


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
            pa.array([meta.close_time * 1000 for meta in metas], pa.timestamp("ms", "UTC")),
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
            pa.nulls(rows, pa.timestamp("ms", "UTC")),
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
