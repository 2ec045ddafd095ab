"""The parquet file of a partition: a writer of row groups with the columns of `bronze.dataset.schema`.

The same partition gives the same bytes. Where row groups end depends on the number of ledgers in the partition and on
their raw bytes alone; a limit of raw bytes keeps memory use from growing with the partition.
"""

from __future__ import annotations

import array
import contextlib
import hashlib
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from bronze.dataset.manifest import LedgerLinks, parse_ledger_links
from bronze.dataset.schema import COLUMNS, COMPRESSIONS
from bronze.dataset.sink import HashingSink
from bronze.ledger.close_meta import CloseMeta
from bronze.storage.store import BinaryReader

#: A partition has at most so many row groups, unless `MAX_ROW_GROUP_BYTES` ends them earlier. The footer, which every
#: reader parses, has 1.3 KB for each, 126 KB in all. To read one ledger, readers without a page index decompress its
#: row group, so row groups are not larger than that makes them (docs/performance.md).
_ROW_GROUPS = 96
#: Raw bytes of close metas that a row group has at least: the cost of small ones is the footer's, for every reader.
MIN_ROW_GROUP_BYTES = 16 * 1024 * 1024
#: Raw bytes of close metas after which a row group ends, however few its rows are: a writer holds them in memory.
#: Partitions of 10,000 ledgers of 1.4 MB do not reach it.
MAX_ROW_GROUP_BYTES = 144 * 1024 * 1024
#: A page ends with the first ledger that makes it this large. Ledgers of the present size have a page each, so that
#: one of them can be read without its neighbours; small columns never reach it.
_PAGE_BYTES = 64 * 1024
_ZSTD_LEVEL = 3
#: The columns that link a partition to its neighbours.
_LINK_COLUMNS = ["ledger_sequence", "ledger_hash", "previous_ledger_hash"]
#: Rows of a page, at most and at least. Readers with a page index skip by pages of `ledger_sequence`: to read one
#: ledger they decompress all that are in its page, not much more than `_MAX_READ_BYTES`. Smaller pages slow down scans
#: of the small columns, so there are 8 rows in a page only from 768 KB a ledger on, and 4 from 1.5 MB on.
_MAX_PAGE_ROWS, _MIN_PAGE_ROWS = 16, 4
_MAX_READ_BYTES = 12 * 1024 * 1024
#: Of the bloom filters, one for each row group, by which readers find a ledger by its hash: the most hashes that one is
#: made for (it is folded to what its rows need, 256 bytes for 100), and the share of others that it lets pass.
_HASH_FILTER = {"ndv": 8192, "fpp": 0.001}
_TIMESTAMP = pa.timestamp("us", "UTC")
_TYPES = {str(kind): kind for kind in (pa.int32(), pa.int64(), pa.string(), pa.binary(), _TIMESTAMP)}

SCHEMA = pa.schema([pa.field(column.name, _TYPES[column.type], nullable=not column.required) for column in COLUMNS])


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionLabels:
    """The columns that have the same value in every row of a partition."""

    bronze_version: str
    era_id: str
    network: str


class RowGroup:
    """The rows of a row group in progress, without their raw bytes, which stay in the reader's buffer.

    Args:
        partition_rows: rows of the whole partition; they decide where the row group ends.

    Attributes:
        metas: the ledgers added so far, in order.
    """

    def __init__(self, labels: PartitionLabels, partition_rows: int) -> None:
        self._labels = labels
        self._min_rows = -(-partition_rows // _ROW_GROUPS)
        self.metas: list[CloseMeta] = []
        self._digests: list[str] = []
        self._offsets = array.array("i", [0])

    def __len__(self) -> int:
        return len(self.metas)

    @property
    def raw_bytes(self) -> int:
        """Raw bytes of the ledgers added so far."""
        return self._offsets[-1]

    @property
    def is_full(self) -> bool:
        """Whether the row group is to end here.

        It has its share of the partition's rows and `MIN_ROW_GROUP_BYTES`, or it has `MAX_ROW_GROUP_BYTES`.
        """
        size = self.raw_bytes
        return size >= MAX_ROW_GROUP_BYTES or (size >= MIN_ROW_GROUP_BYTES and len(self.metas) >= self._min_rows)

    def add(self, meta: CloseMeta, xdr: memoryview) -> None:
        """Append the ledger `meta`, whose close meta is `xdr`; in `batch` its bytes follow those of the one before."""
        self._digests.append(hashlib.sha256(xdr).hexdigest())
        self._offsets.append(self._offsets[-1] + len(xdr))
        self.metas.append(meta)

    def batch(self, raw: memoryview) -> pa.RecordBatch:
        """The rows as Arrow arrays.

        Args:
            raw: the close metas of all ledgers added, back to back; it is not copied.
        """
        metas, offsets = self.metas, self._offsets
        rows = len(metas)
        lengths = [offsets[row + 1] - offsets[row] for row in range(rows)]
        columns = [
            pa.array([meta.sequence for meta in metas], pa.int64()),
            pa.array([meta.ledger_hash.hex() for meta in metas], pa.string()),
            pa.array([meta.previous_ledger_hash.hex() for meta in metas], pa.string()),
            pa.array([meta.close_time * 1_000_000 for meta in metas], _TIMESTAMP),
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
    """Writes row groups as one parquet file into a sink; `close` writes the footer.

    As a context manager it does not close itself, and writes nothing more once an error leaves the block.

    Raises:
        ValueError: `compression` is not one of `COMPRESSIONS`.
    """

    def __init__(self, sink: HashingSink, compression: str) -> None:
        if compression not in COMPRESSIONS:
            raise ValueError(f"compression {compression!r} is not one of {', '.join(COMPRESSIONS)}")
        self._sink = sink
        self._compression = compression
        self._file = pa.PythonFile(sink, mode="w")
        self._writer: pq.ParquetWriter | None = None

    def write(self, batch: pa.RecordBatch) -> None:
        """Write `batch` as one row group."""
        if self._writer is None:
            self._writer = self._open(page_rows(batch))
        self._writer.write_batch(batch, row_group_size=batch.num_rows)

    def close(self) -> None:
        """Write the footer."""
        writer = self._writer or self._open(_MAX_PAGE_ROWS)
        writer.close()
        self._file.close()

    def _open(self, rows_of_page: int) -> pq.ParquetWriter:
        return pq.ParquetWriter(
            self._file,
            SCHEMA,
            version="2.6",
            data_page_version="1.0",
            compression=self._compression,
            compression_level=_ZSTD_LEVEL if self._compression == "zstd" else None,
            # Dictionaries and min/max values of unique hashes and of raw bytes would only cost space.
            use_dictionary=["protocol_version", "bronze_version", "era_id", "network"],
            write_statistics=["ledger_sequence", "close_time"],
            # Check the page size after every row.
            write_batch_size=1,
            data_page_size=_PAGE_BYTES,
            max_rows_per_page=rows_of_page,
            write_page_index=True,
            bloom_filter_options={"ledger_hash": _HASH_FILTER},
            store_schema=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            return
        # pyarrow's writer writes its footer when it is collected, long after the sink's target was abandoned.
        self._sink.detach()
        if self._writer is not None:
            with contextlib.suppress(Exception):  # the error that led here is the one to report
                self._writer.close()
            self._writer.is_open = False


def page_rows(first_group: pa.RecordBatch) -> int:
    """Rows of a page in the file whose first row group is `first_group`: they follow from the mean size of a ledger."""
    rows, raw_bytes = _MAX_PAGE_ROWS, sum(first_group.column("xdr_byte_length").to_pylist())
    while rows > _MIN_PAGE_ROWS and rows * raw_bytes > first_group.num_rows * _MAX_READ_BYTES:
        rows //= 2
    return rows


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What the footer of a parquet file says.

    Attributes:
        rows: number of rows.
        schema_differences: how its columns differ from those of this table, a part of a sentence each.
    """

    rows: int
    schema_differences: tuple[str, ...]


#: Types that columns of older files have: of version 0.1 (milliseconds), and of the Go copier.
_OLDER_TYPES = {
    "ledger_sequence": ("uint64",),
    "protocol_version": ("uint32",),
    "close_time": ("timestamp[ms, tz=UTC]",),
    "ingested_at": ("timestamp[ms, tz=UTC]",),
}


def read_footer(source: BinaryReader) -> Footer:
    """Read the footer of a partition's parquet file.

    Args:
        source: the parquet file; stays open.

    Raises:
        ValueError: it is not a parquet file.
        OSError: reading failed, or the file is damaged.
    """
    try:
        with pq.ParquetFile(source) as file:
            rows, found = file.metadata.num_rows, file.schema_arrow
    except pa.ArrowException as error:
        raise ValueError(str(error)) from error
    expected = [column.name for column in COLUMNS]
    if found.names != expected:
        return Footer(rows=rows, schema_differences=(f"has the columns {found.names}, expected {expected}",))
    differences = [
        f"has the column {column.name} of type {found.field(column.name).type}, expected {column.type}"
        for column in COLUMNS
        if str(found.field(column.name).type) not in (column.type, *_OLDER_TYPES.get(column.name, ()))
    ]
    return Footer(rows=rows, schema_differences=tuple(differences))


def read_compression(source: BinaryReader) -> str:
    """The compression of a parquet file's first column, in lower case as Parquet calls it (``uncompressed``: none).

    Args:
        source: the parquet file; stays open.

    Raises:
        ValueError: it is not a parquet file, or has no rows.
        OSError: reading failed, or the file is damaged.
    """
    try:
        with pq.ParquetFile(source) as file:
            return str(file.metadata.row_group(0).column(0).compression).lower()
    except (pa.ArrowException, IndexError, RuntimeError) as error:
        raise ValueError(str(error)) from error


def read_ledger_links(source: BinaryReader) -> LedgerLinks:
    """Read what links a partition to its neighbours from the first and last row of its parquet file.

    Args:
        source: the parquet file; stays open.

    Raises:
        ValueError: it is not a parquet file, or does not have these columns, rows or values.
        OSError: reading failed, or the file is damaged.
    """
    try:
        first, last = _read_end_rows(source, _LINK_COLUMNS)
        return parse_ledger_links(
            {
                "first": first["ledger_sequence"],
                "last": last["ledger_sequence"],
                "previous_hash": first["previous_ledger_hash"],
                "first_hash": first["ledger_hash"],
                "last_hash": last["ledger_hash"],
            }
        )
    except (pa.ArrowException, TypeError, IndexError, KeyError) as error:
        raise ValueError(str(error)) from error


def read_protocol_versions(source: BinaryReader) -> tuple[int, int]:
    """The protocol versions of the first and of the last ledger of a parquet file; reads one small column.

    Args:
        source: the parquet file; stays open.

    Raises:
        ValueError: it is not a parquet file, or does not have this column, or rows.
        OSError: reading failed, or the file is damaged.
    """
    try:
        first, last = _read_end_rows(source, ["protocol_version"])
        return int(first["protocol_version"]), int(last["protocol_version"])
    except (pa.ArrowException, TypeError, IndexError, KeyError) as error:
        raise ValueError(str(error)) from error


def _read_end_rows(source: BinaryReader, columns: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The first and the last row of a parquet file; columns that it lacks are left out."""
    with pq.ParquetFile(source) as file:
        # A few rows: handing them to threads takes longer than reading them.
        groups = [
            file.read_row_group(group, columns=columns, use_threads=False)
            for group in (0, file.metadata.num_row_groups - 1)
        ]
    return groups[0].slice(length=1).to_pylist()[0], groups[1].to_pylist()[-1]
