"""Check every row of a parquet file against the ledger in it, trusting no column.

Raw bytes are read where Arrow has them; nothing is copied but the small columns. Memory is bounded by a row group of
this program, or by the rows of one batch where a file has larger ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from bronze.authenticity.authenticator import Authenticator
from bronze.authenticity.findings import PartitionAuthenticity
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import DataError, StoreError
from bronze.ledger.close_meta import CloseMeta, VerifyLevel, read_close_meta
from bronze.ledger.hashes import check_hashes, check_link
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.store import BinaryReader
from bronze.waiting import stop_if_asked

#: Rows that are looked at together: at most so many, and of so many raw bytes, as far as the footer tells.
_BATCH_ROWS, _BATCH_BYTES = 32, 4 << 20
#: What is read from the file at once.
_READ_BYTES = 1 << 20
#: After so many wrong rows the rest of a file is not read: it is another file altogether.
MAX_PROBLEMS = 20
_MICROSECONDS = pa.timestamp("us", "UTC")
#: Columns in the order of `_derived`; ``xdr_bytes`` is read by itself.
_COLUMNS = (
    "ledger_sequence",
    "ledger_hash",
    "previous_ledger_hash",
    "close_time",
    "protocol_version",
    "total_coins",
    "fee_pool",
    "tx_set_hash",
    "tx_count",
    "operation_count",
    "xdr_byte_length",
    "xdr_sha256",
    "bronze_version",
    "era_id",
    "network",
)
_RAW = "xdr_bytes"
#: Null in every row, unless the file is of the older copier.
_INGESTED = "ingested_at"
#: Ledgers of a partition that the lake could not give: after so many it is not asked for the others.
_MAX_UNCOMPARED = 5

#: Returns the close meta of a ledger as the lake has it; raises `DataError` or `StoreError`.
LedgerSource = Callable[[int], bytes | memoryview]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowProblem:
    """What is wrong with one row.

    Attributes:
        ledger: the ledger that should be in this row.
        found, expected: as in `bronze.verify.finding.Finding`.
        is_source: whether the row differs from the lake; otherwise it is wrong by itself.
        is_unchecked: whether the lake's ledger could not be read, so that the row is compared with nothing.
    """

    ledger: int
    found: str
    expected: str = ""
    is_source: bool = False
    is_unchecked: bool = False


class RowCheck:
    """Checks the rows of one partition.

    Args:
        verify: which hashes of a ledger are recomputed.
        authenticator: checks that each ledger is the network's own; None: that is not checked.
        source: the lake to compare with; None for none.

    Attributes:
        is_of_older_copier: whether the types of the file are those of the older copier, whose ``operation_count`` has
            another meaning, and is not checked.
        rows, raw_bytes: rows seen, and the bytes of their close metas.
        links: what links the partition to its neighbours, by the bytes of its ledgers; None without a valid row.
    """

    def __init__(
        self,
        era: Era,
        partition: Partition,
        *,
        verify: VerifyLevel = VerifyLevel.FULL,
        authenticator: Authenticator | None = None,
        source: LedgerSource | None = None,
    ) -> None:
        self._labels = (era.version_label, era.era_id, era.network)
        self._partition = partition
        self._verify = verify
        self._authenticator = authenticator
        self._source = source
        self._uncompared = 0
        self._first: CloseMeta | None = None
        self._previous: CloseMeta | None = None
        self._next = partition.first_ledger
        self.is_of_older_copier = False
        self.rows = 0
        self.raw_bytes = 0

    @property
    def links(self) -> LedgerLinks | None:
        """See the class."""
        first, last = self._first, self._previous
        if first is None or last is None:
            return None
        return LedgerLinks(
            first=first.sequence,
            last=last.sequence,
            previous_hash=first.previous_ledger_hash.hex(),
            first_hash=first.ledger_hash.hex(),
            last_hash=last.ledger_hash.hex(),
        )

    @property
    def proven(self) -> PartitionAuthenticity | None:
        """What was proven of the ledgers so far; None where that is not checked."""
        return self._authenticator.findings() if self._authenticator is not None else None

    def problems(self, file: BinaryReader) -> Iterator[RowProblem]:
        """What is wrong with the rows of `file`, which stays open; at most `MAX_PROBLEMS`.

        Raises:
            ValueError: it is not a parquet file, or lacks columns.
            OSError: reading failed, or the file is damaged.
            RunStoppedError: the process was asked to stop.
        """
        return itertools.islice(self._problems(file), MAX_PROBLEMS)

    def _problems(self, file: BinaryReader) -> Iterator[RowProblem]:
        try:
            with pq.ParquetFile(file, buffer_size=_READ_BYTES, pre_buffer=False) as parquet:
                missing = {*_COLUMNS, _INGESTED, _RAW} - set(parquet.schema_arrow.names)
                if missing:
                    raise ValueError(f"it has no column {', '.join(sorted(missing))}")
                self.is_of_older_copier = parquet.schema_arrow.field("ledger_sequence").type == pa.uint64()
                rows = _batch_rows(parquet.metadata)
                for batch in parquet.iter_batches(rows, columns=[*_COLUMNS, _INGESTED, _RAW], use_threads=False):
                    stop_if_asked(f"checking ledger {self._next}")
                    yield from self._batch(batch)
        except pa.ArrowException as error:
            raise ValueError(str(error)) from error
        if self._next != self._partition.end + 1:
            yield RowProblem(
                ledger=self._next,
                found=f"the file ends after {self.rows} rows, before this ledger",
                expected=f"{self._partition.ledger_count} rows",
            )

    def _batch(self, batch: pa.RecordBatch) -> Iterator[RowProblem]:
        raw = batch.column(_RAW)
        if raw.type != pa.binary() or raw.null_count:
            raise ValueError(f"{_RAW} is of type {raw.type} and has {raw.null_count} nulls, expected binary and none")
        _, offsets, content = raw.buffers()
        bounds = memoryview(offsets).cast("i")[raw.offset : raw.offset + len(raw) + 1]
        data = memoryview(content).cast("B") if content is not None else memoryview(b"")
        times = batch.column("close_time").cast(_MICROSECONDS).cast(pa.int64()).to_pylist()
        columns = [times if name == "close_time" else batch.column(name).to_pylist() for name in _COLUMNS]
        ingested = batch.column(_INGESTED)
        if ingested.null_count != len(ingested) and not self.is_of_older_copier:
            at = ingested.is_valid().index(True).as_py()
            yield RowProblem(ledger=self._next + at, found=f"{_INGESTED} is set", expected="null")
        for (start, end), stated in zip(itertools.pairwise(bounds), zip(*columns, strict=True), strict=True):
            self.rows += 1
            yield from self._row(data, start, end, stated)
            self._next += 1

    def _row(self, data: memoryview, start: int, end: int, stated: tuple[Any, ...]) -> Iterator[RowProblem]:
        ledger = self._next
        self.raw_bytes += end - start
        if ledger > self._partition.end:
            yield RowProblem(ledger=ledger, found="a row after the last ledger of the partition", expected="no row")
            return
        try:
            meta = read_close_meta(data, start, end, self._verify)
            if meta.end != end:
                yield RowProblem(
                    ledger=ledger, found=f"{end - meta.end} bytes follow the ledger's XDR", expected="none"
                )
            check_hashes(meta, self._verify)
            if self._previous is not None:
                check_link(self._previous.ledger_hash, meta)
            if self._authenticator is not None:
                self._authenticator.check(meta, data)
        except DataError as error:
            yield RowProblem(ledger=ledger, found=str(error))
            self._previous = None  # what follows a row that is not a ledger cannot be linked to it
            yield from self._columns(ledger, _of_bytes(data[start:end], stated), stated)
            return
        if meta.sequence != ledger:
            yield RowProblem(ledger=ledger, found=f"ledger {meta.sequence} in this row", expected=f"ledger {ledger}")
        self._first = self._first or meta
        self._previous = meta
        yield from self._columns(ledger, self._derived(meta, data[start:end]), stated)
        if self._source is not None:
            yield from self._against_lake(self._source, ledger, data[start:end])

    def _against_lake(self, source: LedgerSource, ledger: int, xdr: memoryview) -> Iterator[RowProblem]:
        """Compare a row with the lake. What is wrong with the lake says nothing against the row."""
        try:
            if source(ledger) == xdr:
                return
            found, is_unchecked = "its bytes differ from those in the lake", False
        except (DataError, StoreError, OSError) as error:
            found, is_unchecked = f"cannot be compared with the lake: {error}", True
            self._uncompared += 1
            # Each row would wait for a store that does not answer.
            if self._uncompared == _MAX_UNCOMPARED or not isinstance(error, DataError):
                self._source = None
                found += "; nor were the ledgers after it"
        expected = "" if is_unchecked else "the same bytes"
        yield RowProblem(ledger=ledger, found=found, expected=expected, is_source=True, is_unchecked=is_unchecked)

    def _derived(self, meta: CloseMeta, xdr: memoryview) -> tuple[Any, ...]:
        """The values of `_COLUMNS` that follow from the ledger."""
        return (
            meta.sequence,
            meta.ledger_hash.hex(),
            meta.previous_ledger_hash.hex(),
            meta.close_time * 1_000_000,
            meta.protocol_version,
            meta.total_coins,
            meta.fee_pool,
            meta.tx_set_hash.hex(),
            meta.tx_count,
            meta.operation_count,
            len(xdr),
            sha256(xdr).hexdigest(),
            *self._labels,
        )

    def _columns(self, ledger: int, derived: tuple[Any, ...], stated: tuple[Any, ...]) -> Iterator[RowProblem]:
        if derived == stated:
            return
        for name, right, found in zip(_COLUMNS, derived, stated, strict=True):
            if found != right and not (name == "operation_count" and self.is_of_older_copier):
                yield RowProblem(ledger=ledger, found=f"{name} is {found!r}", expected=repr(right))


def _batch_rows(footer: pq.FileMetaData) -> int:
    """How many rows are looked at together."""
    groups = [footer.row_group(number) for number in range(min(footer.num_row_groups, 8))]
    rows = sum(group.num_rows for group in groups)
    size = sum(group.total_byte_size for group in groups)
    return max(1, min(_BATCH_ROWS, _BATCH_BYTES * rows // size)) if rows > 0 and size > 0 else 1


def _of_bytes(xdr: memoryview, stated: tuple[Any, ...]) -> tuple[Any, ...]:
    """`stated` with the columns that follow from the bytes alone, whatever they are."""
    at = _COLUMNS.index("xdr_byte_length")
    return (*stated[:at], len(xdr), sha256(xdr).hexdigest(), *stated[at + 2 :])
