"""One partition, from lake files to the bytes of its parquet file: read, decode, walk, verify, link, write.

The lake files are decoded one behind the other into one buffer that is used again for every row group;
Arrow sees slices of it. Memory is bounded by a row group and the largest object, not by the partition.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from bronze.dataset.manifest import LedgerLinks
from bronze.dataset.parquet import ROW_GROUP_BYTES, PartitionLabels, RowGroup, TableWriter
from bronze.dataset.sink import HashingSink
from bronze.errors import DataError, LakeError, RunStoppedError, VerificationError
from bronze.ingest.decoder import FileDecoder, ParallelDecoder, max_compressed_size
from bronze.lake.lake import Lake
from bronze.lake.prefetch import REQUESTS, ObjectPrefetcher, Read
from bronze.lake.zstd_frame import DecodeBuffer
from bronze.ledger.close_meta import BATCH_HEADER_BYTES, CloseMeta, VerifyLevel
from bronze.ledger.hashes import check_hashes, check_link
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.stellar import FIRST_LEDGER

#: Room for objects of the usual size behind a full row group; larger ones make the buffer grow.
_SLACK = 8 * 1024 * 1024
_MAX_INT32 = 2**31 - 1
_MAX_CLOSE_TIME = (2**63 - 1) // 1000


@dataclass(frozen=True, slots=True)
class EncodedPartition:
    """What was written of a partition; `files` and `raw_bytes` count what was read for it."""

    row_count: int
    raw_bytes: int
    files: int
    ledgers: LedgerLinks


class PartitionEncoder:
    """Encodes partitions of one lake, one at a time (not for several threads at once).

    Args:
        verify: how much of each ledger is recomputed.
        compression: of the parquet file: ``zstd``, ``snappy`` or ``none``.
        max_object: most bytes that one lake file may decode to.
        threads: threads that work on one partition: with more than one, lake files are decoded ahead.
        read_ahead: requests to a lake that is not on this machine, at once; 0: chosen.
        stopped: asked before each lake file whether to give up.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        verify: VerifyLevel,
        compression: str,
        max_object: int,
        threads: int = 1,
        read_ahead: int = 0,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._lake = lake
        self._verify = verify
        self._compression = compression
        self._stopped = stopped
        capacity = BATCH_HEADER_BYTES + ROW_GROUP_BYTES + _SLACK
        self._decoder = FileDecoder(lake, verify, capacity=capacity, max_object=max_object)
        self._ahead = ParallelDecoder(lake, verify, max_object=max_object, threads=threads - 1) if threads > 1 else None
        self._fetch = None
        if lake.is_remote:
            self._fetch = ObjectPrefetcher(lake, most=max_compressed_size(max_object), requests=read_ahead or REQUESTS)
        #: Whether `encode` was called since `prefetch`.
        self._encoded = False

    def close(self) -> None:
        """End the threads that read and decode ahead."""
        for ahead in (self._ahead, self._fetch):
            if ahead is not None:
                ahead.close()

    def prefetch(self, partition: Partition) -> None:
        """Ask a distant lake for what `encode` of `partition` reads first; that is to be called next, or not at all.

        Where the last partition was not encoded after all, this one may not be either, and nothing is asked for. What
        was asked for it is given up: be it not needed, or what failed along with the destination and is tried again.
        """
        if self._fetch is not None:
            if self._encoded and not self._stopped():
                self._fetch.start(map(self._lake.key, self._read_starts(partition)))
            else:
                self._fetch.give_up()
        self._encoded = False

    def encode(self, era: Era, partition: Partition, files: Iterable[int], sink: HashingSink) -> EncodedPartition:
        """Write the parquet file of `partition` into `sink`.

        Args:
            files: first ledgers of the names of the lake files that hold the partition, ascending.

        Raises:
            DataError: a file or a ledger is not what it must be; names the object, the ledger and both values.
            Stopped: the run was asked to stop.
        """
        self._encoded = True
        self._check_stop(era, partition)
        expected = self._lake.file_starts(partition.start, partition.end)
        handed = list(files)
        if handed != list(expected):
            raise LakeError(
                f"partition {era.chain} {partition} was handed {len(handed)} lake files, expected the {len(expected)}"
                f" from {expected.start} to {expected.stop - 1}"
            )
        self._decoder.shrink()
        with TableWriter(sink, self._compression) as writer:
            rows = _Rows(era, partition, writer, self._decoder.arena)
            self._read_into(rows, era, partition, expected)
            return rows.finish(len(expected))

    def _read_starts(self, partition: Partition) -> list[int]:
        """First ledgers of the lake files that are read for `partition`, ascending.

        They are those that hold it and, where it begins with a file, the one before, to link to.
        """
        starts = self._lake.file_starts(partition.start, partition.end)
        first = max(partition.start, FIRST_LEDGER)
        links = starts.start == first > FIRST_LEDGER
        return [self._lake.layout.file_start(first - 1), *starts] if links else list(starts)

    def _read_into(self, rows: _Rows, era: Era, partition: Partition, starts: range) -> None:
        wanted = range(rows.next_ledger, partition.end + 1)
        everything = self._read_starts(partition)
        # Closed at once when an error leaves it, so that no thread writes into a buffer that is used again.
        with ExitStack() as stack:
            reads = stack.enter_context(closing(self._reads(everything)))
            previous = self._before(everything[0], next(reads)) if len(everything) > len(starts) else None
            files = stack.enter_context(closing(self._files(rows, starts, reads)))
            for start, (view, metas) in zip(starts, files, strict=True):
                self._check_stop(era, partition)
                try:
                    for meta in metas:
                        if meta.sequence < wanted.start:
                            previous = self._trusted(meta)
                        elif meta.sequence < wanted.stop:
                            rows.expect(meta)
                            self._check(era, meta, previous)
                            rows.add(meta, view)
                            previous = meta
                    last = min(self._lake.layout.file_end(start), partition.end)
                    if rows.next_ledger <= last:
                        raise LakeError(
                            f"holds ledgers {metas[0].sequence}-{metas[-1].sequence}, but its name says that ledger"
                            f" {rows.next_ledger} is there too"
                        )
                except DataError as error:
                    raise error.at(f"object {self._lake.describe(self._lake.key(start))}") from error.__cause__

    def _files(
        self, rows: _Rows, starts: range, reads: Generator[Read | None, None, None]
    ) -> Generator[tuple[memoryview, Sequence[CloseMeta]], None, None]:
        """The decoded files in order: right behind the rows in their buffer, or in buffers of their own."""
        if self._ahead is not None:
            yield from self._ahead.files(starts, reads)
            return
        for start, read in zip(starts, reads, strict=True):
            metas = self._decoder.decode(start, rows.at, read)
            yield self._decoder.arena.view, metas

    def _reads(self, starts: Sequence[int]) -> Generator[Read | None, None, None]:
        if self._fetch is None:
            yield from itertools.repeat(None, len(starts))
        else:
            yield from self._fetch.reads(map(self._lake.key, starts))

    def _before(self, start: int, read: Read | None) -> CloseMeta | None:
        """The ledger before the partition, to link to, when the lake's file `start` has it and its header holds.

        Where it does not, the partition that it belongs to fails by itself.
        """
        try:
            return self._trusted(self._decoder.decode(start, read=read)[-1])
        except DataError:
            return None

    def _trusted(self, meta: CloseMeta) -> CloseMeta | None:
        try:
            check_hashes(meta, VerifyLevel.HEADER)
        except VerificationError:
            return None
        return meta

    def _check_stop(self, era: Era, partition: Partition) -> None:
        if self._stopped():
            raise RunStoppedError(f"partition {era.chain} {partition} was given up: the run was asked to stop")

    def _check(self, era: Era, meta: CloseMeta, previous: CloseMeta | None) -> None:
        check_hashes(meta, self._verify)
        if previous is not None:
            check_link(previous.ledger_hash, meta)
        low, high = era.protocol_min, era.protocol_max
        protocol = meta.protocol_version
        if (low is not None and protocol < low) or (high is not None and protocol > high):
            raise VerificationError(
                f"ledger {meta.sequence} is of protocol {protocol}, era {era.era_id!r} allows"
                f" {'any' if low is None else low} to {'any' if high is None else high}"
            )
        if protocol > _MAX_INT32 or meta.close_time > _MAX_CLOSE_TIME:
            raise VerificationError(
                f"ledger {meta.sequence} has protocol {protocol} and close time {meta.close_time}, which no column can"
                f" hold (at most {_MAX_INT32} and {_MAX_CLOSE_TIME})"
            )


class _Rows:
    """The rows of a partition on their way into its row groups."""

    def __init__(self, era: Era, partition: Partition, writer: TableWriter, arena: DecodeBuffer) -> None:
        self._labels = PartitionLabels(era.version_label, era.era_id, era.network)
        self._partition = partition
        self._chain = era.chain
        self._writer = writer
        self._arena = arena
        self._group = RowGroup(self._labels)
        self._first: CloseMeta | None = None
        self._last: CloseMeta | None = None
        self._raw_bytes = 0
        #: Where the next close meta is to lie: right behind those of this row group.
        self.at = BATCH_HEADER_BYTES
        self.next_ledger = max(partition.start, FIRST_LEDGER)

    def expect(self, meta: CloseMeta) -> None:
        """Check that `meta` is the next ledger."""
        if meta.sequence != self.next_ledger:
            raise VerificationError(f"ledger {meta.sequence} stands where ledger {self.next_ledger} is expected")

    def add(self, meta: CloseMeta, view: memoryview) -> None:
        """Append the ledger `meta` of `view`, which is the rows' own buffer or another one."""
        size = meta.end - meta.start
        if view is not self._arena.view:
            self._arena.put(view[meta.start : meta.end], self.at)
        elif meta.start != self.at:
            self._arena.move(meta.start, meta.end, self.at)
        self._group.add(meta, self._arena.view[self.at : self.at + size])
        self.at += size
        self._raw_bytes += size
        self._first = self._first or meta
        self._last = meta
        self.next_ledger += 1
        if self._group.is_full:
            self._flush()

    def finish(self, files: int) -> EncodedPartition:
        """End the file."""
        first, last = self._first, self._last
        if first is None or last is None or self.next_ledger != self._partition.end + 1:
            raise VerificationError(
                f"partition {self._chain} {self._partition} would be short: it ends before ledger {self.next_ledger}"
            )
        if len(self._group):
            self._flush()
        self._writer.close()
        ledgers = LedgerLinks(
            first.sequence,
            last.sequence,
            first.previous_ledger_hash.hex(),
            first.ledger_hash.hex(),
            last.ledger_hash.hex(),
        )
        return EncodedPartition(last.sequence - first.sequence + 1, self._raw_bytes, files, ledgers)

    def _flush(self) -> None:
        raw = self._arena.view[BATCH_HEADER_BYTES : BATCH_HEADER_BYTES + self._group.raw_bytes]
        self._writer.write(self._group.batch(raw))
        self._group = RowGroup(self._labels)
        self.at = BATCH_HEADER_BYTES
