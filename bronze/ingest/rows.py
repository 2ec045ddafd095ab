"""The rows of one partition: ledgers in, row groups of the parquet file out.

A row group's raw bytes lie back to back in one buffer that is used again for the next row group, and Arrow reads them
there. Lake files are decoded right behind them, so that on the usual path no close meta is copied.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bronze.authenticity.findings import PartitionAuthenticity
from bronze.dataset.manifest import LedgerLinks
from bronze.dataset.parquet import PartitionLabels, RowGroup, TableWriter
from bronze.errors import VerificationError
from bronze.ingest.decoder import FileDecoder
from bronze.lake.prefetch import Read
from bronze.lake.zstd_frame import DecodeBuffer
from bronze.ledger.close_meta import CloseMeta
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedPartition:
    """What was written of a partition, and from what.

    Attributes:
        row_count: ledgers, a row each.
        raw_bytes: of their close metas, uncompressed.
        files: lake files that hold the partition.
        ledgers: what links the partition to its neighbours.
        authenticity: what was proven of its ledgers; None when nothing was checked.
    """

    row_count: int
    raw_bytes: int
    files: int
    ledgers: LedgerLinks
    authenticity: PartitionAuthenticity | None = None


class PartitionRows:
    """The rows of one partition on their way into its row groups.

    Args:
        writer: gets each row group when it is full.
        buffer: holds the raw bytes of the current row group; the rows alone use it until `finish`.

    Attributes:
        next_ledger: the ledger that has to be added next.
        raw_bytes: of the close metas that were added.
    """

    def __init__(self, era: Era, partition: Partition, writer: TableWriter, buffer: DecodeBuffer) -> None:
        self._labels = PartitionLabels(bronze_version=era.version_label, era_id=era.era_id, network=era.network)
        self._partition = partition
        self._chain = era.chain
        self._writer = writer
        self._buffer = buffer
        self._group = RowGroup(self._labels, partition.ledger_count)
        self._first: CloseMeta | None = None
        self._last: CloseMeta | None = None
        self.raw_bytes = 0
        self.next_ledger = partition.first_ledger
        buffer.shrink()

    def decode(
        self, decoder: FileDecoder, start: int, read: Read | None = None
    ) -> tuple[memoryview, Sequence[CloseMeta]]:
        """Decode the lake file named from `start` right behind the rows, where adding its ledgers copies nothing.

        Args:
            read: returns the file's bytes when they were requested ahead.

        Returns:
            The view that the ledgers' spans are positions in, valid until the next file is decoded; and the ledgers.

        Raises:
            DataError: as `FileDecoder.decode`.
        """
        metas = decoder.decode(start, self._buffer, read)
        return self._buffer.view, metas

    def expect(self, meta: CloseMeta) -> None:
        """Check that `meta` is the next ledger.

        Raises:
            VerificationError: it is another one.
        """
        if meta.sequence != self.next_ledger:
            raise VerificationError(f"ledger {meta.sequence} stands where ledger {self.next_ledger} is expected")

    def add(self, meta: CloseMeta, view: memoryview) -> None:
        """Append the ledger `meta`, whose span is a position in `view`: of `decode`, or of any other buffer."""
        xdr = self._buffer.append(view, meta.start, meta.end)
        self._group.add(meta, xdr)
        self.raw_bytes += len(xdr)
        self._first = self._first or meta
        self._last = meta
        self.next_ledger += 1
        if self._group.is_full:
            self._flush()

    def finish(self, files: int) -> EncodedPartition:
        """Write the last row group and the footer.

        Args:
            files: lake files that were read.

        Raises:
            VerificationError: ledgers of the partition are missing at its end.
        """
        first, last = self._first, self._last
        if first is None or last is None or self.next_ledger != self._partition.end + 1:
            raise VerificationError(
                f"partition {self._chain} {self._partition} would be short: it ends before ledger {self.next_ledger}"
            )
        if len(self._group):
            self._flush()
        self._writer.close()
        return EncodedPartition(
            row_count=last.sequence - first.sequence + 1,
            raw_bytes=self.raw_bytes,
            files=files,
            ledgers=LedgerLinks(
                first=first.sequence,
                last=last.sequence,
                previous_hash=first.previous_ledger_hash.hex(),
                first_hash=first.ledger_hash.hex(),
                last_hash=last.ledger_hash.hex(),
            ),
        )

    def _flush(self) -> None:
        self._writer.write(self._group.batch(self._buffer.content))
        self._group = RowGroup(self._labels, self._partition.ledger_count)
        self._buffer.clear()
