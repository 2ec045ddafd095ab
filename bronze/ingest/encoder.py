"""Encode one partition, from lake files to the bytes of its parquet file: read, decode, walk, verify, link, write.

Memory is bounded by a row group and the largest lake file, not by the partition.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import ExitStack, closing
from dataclasses import replace

from bronze.authenticity.authenticator import Authenticator
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.dataset.parquet import MAX_ROW_GROUP_BYTES, TableWriter
from bronze.dataset.sink import HashingSink
from bronze.errors import DataError, LakeError, RunStoppedError, VerificationError
from bronze.ingest.decoder import FileDecoder, ParallelDecoder, max_compressed_size
from bronze.ingest.rows import EncodedPartition, PartitionRows
from bronze.lake.lake import Lake
from bronze.lake.prefetch import REQUESTS, ObjectPrefetcher, Read
from bronze.ledger.close_meta import BATCH_HEADER_BYTES, CloseMeta, VerifyLevel
from bronze.ledger.hashes import check_hashes, check_link
from bronze.measurements import LEDGER_READ, report
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.stellar import FIRST_LEDGER

#: Room for lake files of the usual size behind a full row group; larger ones make the buffer grow.
_SLACK = 8 * 1024 * 1024
#: Seconds after which a partition reports how far it is read, and asks whether to stop, which needs a system call.
_INTERVAL_S = 0.1
_MAX_INT32 = 2**31 - 1
_MAX_CLOSE_TIME = (2**63 - 1) // 1_000_000


class PartitionEncoder:
    """Encodes partitions of one lake, one at a time (not for several threads at once).

    Args:
        verify: which hashes of each ledger are recomputed and compared.
        compression: of the parquet file: ``zstd``, ``snappy`` or ``none``.
        max_object: most bytes that one lake file may decode to.
        authenticity: which proofs that the ledgers are the network's own are checked; None: none.
        threads: threads that work on one partition: with more than one, lake files are decoded ahead.
        read_ahead: requests at once to a lake on another machine; 0: a default.
        stopped: asked before a partition and ten times a second while it is read whether to stop.
    """

    def __init__(
        self,
        lake: Lake,
        *,
        verify: VerifyLevel,
        compression: str,
        max_object: int,
        authenticity: AuthenticityPolicy | None = None,
        threads: int = 1,
        read_ahead: int = 0,
        stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self.lake = lake
        self.verify = verify
        # The hashes of transaction sets, and those that contract events are compared with, are checked in full
        # verification only.
        if authenticity is not None and verify is not VerifyLevel.FULL:
            authenticity = replace(authenticity, events=CheckMode.OFF, sets_are_verified=False)
        self._authenticity = authenticity
        self._compression = compression
        self._stopped = stopped
        self._decoder = FileDecoder(lake, verify, max_object=max_object)
        self._buffer = self._decoder.new_buffer(BATCH_HEADER_BYTES + MAX_ROW_GROUP_BYTES + _SLACK)
        self._parallel_decoder = None
        if threads > 1:
            self._parallel_decoder = ParallelDecoder(lake, verify, max_object=max_object, threads=threads - 1)
        self._prefetcher = None
        if lake.is_remote:
            self._prefetcher = ObjectPrefetcher(
                lake, max_bytes=max_compressed_size(max_object), requests=read_ahead or REQUESTS
            )
        #: Whether `encode` was called since `prefetch`.
        self._encoded = False

    def close(self) -> None:
        """End the threads that read and decode ahead."""
        for ahead in (self._parallel_decoder, self._prefetcher):
            if ahead is not None:
                ahead.close()

    def prefetch(self, partition: Partition) -> None:
        """Request from a remote lake what `encode` of `partition` reads first; call that next, or not at all.

        When the previous partition was not encoded after all, because it was published already or its dataset could not
        be reached, this one may not be either: then nothing is requested. Unused requests of before are given up.
        """
        if self._prefetcher is not None:
            if self._encoded and not self._stopped():
                self._prefetcher.start(map(self.lake.key, self._read_starts(partition)))
            else:
                self._prefetcher.give_up()
        self._encoded = False

    def encode(self, era: Era, partition: Partition, files: Iterable[int], sink: HashingSink) -> EncodedPartition:
        """Write the parquet file of `partition` into `sink`.

        Args:
            files: first ledgers of the names of the lake files that hold the partition, ascending.

        Raises:
            DataError: a file or a ledger is not what it has to be; names the object, the ledger and both values.
            RunStoppedError: the run was asked to stop.
        """
        self._encoded = True
        self._check_stop(era, partition)
        expected = self.lake.file_starts(partition.start, partition.end)
        given = list(files)
        if given != list(expected):
            raise LakeError(
                f"partition {era.chain} {partition} was given {len(given)} lake files, expected the {len(expected)}"
                f" from {expected.start} to {expected.stop - 1}"
            )
        with TableWriter(sink, self._compression) as writer:
            rows = PartitionRows(era, partition, writer, self._buffer)
            authenticator = Authenticator(self._authenticity) if self._authenticity is not None else None
            self._read_into(rows, era, partition, expected, authenticator)
            encoded = rows.finish(len(expected))
        return replace(encoded, authenticity=authenticator.findings()) if authenticator is not None else encoded

    def _read_starts(self, partition: Partition) -> list[int]:
        """First ledgers of the lake files that are read for `partition`, ascending.

        They are those that hold it and, where it begins with a file, the one before, to link to.
        """
        starts = self.lake.file_starts(partition.start, partition.end)
        first = max(partition.start, FIRST_LEDGER)
        links = starts.start == first > FIRST_LEDGER
        return [self.lake.layout.file_start(first - 1), *starts] if links else list(starts)

    def _read_into(
        self,
        rows: PartitionRows,
        era: Era,
        partition: Partition,
        starts: range,
        authenticator: Authenticator | None,
    ) -> None:
        wanted = range(rows.next_ledger, partition.end + 1)
        read_starts = self._read_starts(partition)
        # Closed at once when an error leaves it, so that no thread writes into a buffer that is used again.
        with ExitStack() as stack:
            reads = stack.enter_context(closing(self._reads(read_starts)))
            previous, next_report_at = None, time.monotonic() + _INTERVAL_S
            if len(read_starts) > len(starts):
                previous = self._preceding_ledger(rows, read_starts[0], next(reads))
            files = stack.enter_context(closing(self._files(rows, starts, reads)))
            for start, (view, metas) in zip(starts, files, strict=True):
                try:
                    for meta in metas:
                        if meta.sequence < wanted.start:
                            previous = self._if_header_hash_holds(meta)
                        elif meta.sequence < wanted.stop:
                            rows.expect(meta)
                            self._check_ledger(era, meta, previous)
                            if authenticator is not None:
                                authenticator.check(meta, view)
                            rows.add(meta, view)
                            previous = meta
                    last = min(self.lake.layout.file_end(start), partition.end)
                    if rows.next_ledger <= last:
                        raise LakeError(
                            f"holds ledgers {metas[0].sequence}-{metas[-1].sequence}, but its name says that it also"
                            f" holds ledger {rows.next_ledger}"
                        )
                except DataError as error:
                    raise error.at(f"object {self.lake.describe_found(self.lake.key(start))}") from error.__cause__
                if time.monotonic() >= next_report_at:
                    next_report_at = time.monotonic() + _INTERVAL_S
                    report(LEDGER_READ, rows.next_ledger - 1, raw_bytes=rows.raw_bytes)
                    self._check_stop(era, partition)

    def _files(
        self, rows: PartitionRows, starts: range, reads: Generator[Read | None, None, None]
    ) -> Generator[tuple[memoryview, Sequence[CloseMeta]], None, None]:
        """The decoded files in order: right behind the rows, or in parallel in buffers of their own."""
        if self._parallel_decoder is not None:
            yield from self._parallel_decoder.files(starts, reads)
            return
        for start, read in zip(starts, reads, strict=True):
            yield rows.decode(self._decoder, start, read)

    def _reads(self, starts: Sequence[int]) -> Generator[Read | None, None, None]:
        if self._prefetcher is None:
            yield from itertools.repeat(None, len(starts))
        else:
            yield from self._prefetcher.reads(map(self.lake.key, starts))

    def _preceding_ledger(self, rows: PartitionRows, start: int, read: Read | None) -> CloseMeta | None:
        """The ledger before the partition, to link to, when the lake file `start` has it and its header hash holds.

        Where it does not, the partition that the ledger belongs to fails by itself.
        """
        try:
            _, metas = rows.decode(self._decoder, start, read)
        except DataError:
            return None
        return self._if_header_hash_holds(metas[-1])

    def _if_header_hash_holds(self, meta: CloseMeta) -> CloseMeta | None:
        try:
            check_hashes(meta, VerifyLevel.HEADER)
        except VerificationError:
            return None
        return meta

    def _check_stop(self, era: Era, partition: Partition) -> None:
        if self._stopped():
            raise RunStoppedError(f"partition {era.chain} {partition} was not finished: the run was asked to stop")

    def _check_ledger(self, era: Era, meta: CloseMeta, previous: CloseMeta | None) -> None:
        check_hashes(meta, self.verify)
        if previous is not None:
            check_link(previous.ledger_hash, meta)
        low, high = era.protocol_min, era.protocol_max
        protocol = meta.protocol_version
        if (low is not None and protocol < low) or (high is not None and protocol > high):
            raise VerificationError(
                f"ledger {meta.sequence} has protocol {protocol}, era {era.era_id!r} allows"
                f" {'any' if low is None else low} to {'any' if high is None else high}"
            )
        if protocol > _MAX_INT32 or meta.close_time > _MAX_CLOSE_TIME:
            raise VerificationError(
                f"ledger {meta.sequence} has protocol {protocol} and close time {meta.close_time}, which the columns"
                f" cannot hold (at most {_MAX_INT32} and {_MAX_CLOSE_TIME})"
            )
