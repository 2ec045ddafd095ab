"""Lake files decoded into ledgers: one at a time into a buffer, or in parallel ahead of the reader.

Decoding ahead costs one copy of each close meta and a few buffers; it pays when a partition has more than one core
to itself. With a partition for each core the threads would only compete for the cores.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress
from contextvars import copy_context

from bronze.errors import DataError, LakeError
from bronze.lake.lake import Lake
from bronze.lake.prefetch import Read
from bronze.lake.zstd_frame import DecodeBuffer
from bronze.ledger.close_meta import BATCH_HEADER_BYTES, CloseMeta, VerifyLevel, read_object
from bronze.stellar import FIRST_LEDGER

#: Bytes of a buffer for one lake file to begin with; it grows to the largest file.
_FILE_BYTES = 2 * 1024 * 1024
#: Decoded bytes that may wait for the reader, in addition to one file for each thread.
_MAX_WAITING_BYTES = 16 * 1024 * 1024


def max_compressed_size(max_object: int) -> int:
    """Most bytes that a lake file of at most `max_object` decoded bytes may have as stored: zstd adds little."""
    return max_object + max_object // 128 + 1024


class FileDecoder:
    """Reads, decodes and walks lake files. Threads may share one, each with a buffer of its own.

    Args:
        verify: which hashes of each ledger to compute.
        max_object: most bytes that one file may decode to.
    """

    def __init__(self, lake: Lake, verify: VerifyLevel, *, max_object: int) -> None:
        self._lake = lake
        self._verify = verify
        self._max_object = max_object
        #: Whether the last file held one ledger without a batch around it, as in archives made by other tools.
        self._single_ledger_files = False

    def new_buffer(self, capacity: int) -> DecodeBuffer:
        """A buffer to decode into, of `capacity` bytes to begin with."""
        return DecodeBuffer(capacity, self._max_object, start=BATCH_HEADER_BYTES)

    def decode(self, start: int, buffer: DecodeBuffer, read: Read | None = None) -> Sequence[CloseMeta]:
        """Decode the file named from `start` so that its first close meta lies right behind the content of `buffer`.

        The content stays as it is. The hashes of the ledgers are computed, not compared.

        Args:
            read: returns the file's bytes when they were requested ahead.

        Returns:
            The ledgers of the file, in order; their spans are positions in ``buffer.view``.

        Raises:
            DataError: the file is missing, damaged, or does not match its name; the message names the object.
        """
        key = self._lake.key(start)
        try:
            data = read() if read else self._lake.read(key, max_compressed_size(self._max_object))
            return self._decode(data, start, buffer, single=self._single_ledger_files)
        except DataError as error:
            raise error.at(f"object {self._lake.describe_found(key)}") from error.__cause__

    def _decode(self, data: memoryview, start: int, buffer: DecodeBuffer, *, single: bool) -> Sequence[CloseMeta]:
        at = buffer.end
        offset = at if single else at - BATCH_HEADER_BYTES
        # A batch's header is needed only until its ledgers are read: it may cover the end of the content until then.
        covered = bytes(buffer.view[offset:at])
        end = buffer.decode(data, offset)
        header, metas = read_object(buffer.view, offset, end, self._verify)
        buffer.view[offset:at] = covered
        if header is None and not single:
            self._single_ledger_files = True
            return self._decode(data, start, buffer, single=True)
        self._check_range(start, metas, in_batch=header is not None)
        return metas

    def _check_range(self, start: int, metas: Sequence[CloseMeta], *, in_batch: bool) -> None:
        """Check that the file named from `start` holds no ledger that its name does not say.

        Files at the ends of a lake may hold fewer than their names say: what the reader needs of that is missed later.
        """
        first, last = metas[0].sequence, metas[-1].sequence
        named_first, named_last = max(start, FIRST_LEDGER), self._lake.layout.file_end(start)
        if first < named_first or last > named_last:
            what = f"ledgers {first}-{last}" if in_batch else f"the bare ledger {first}"
            raise LakeError(f"holds {what}, but its name says {named_first}-{named_last}")


class ParallelDecoder:
    """Decodes files with `threads` threads ahead of the one reader, which takes them in order.

    Bounded by bytes: a file is begun only while the decoded ones that wait for the reader are small enough in sum.
    """

    def __init__(self, lake: Lake, verify: VerifyLevel, *, max_object: int, threads: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._decoder = FileDecoder(lake, verify, max_object=max_object)
        self._buffers = [self._decoder.new_buffer(_FILE_BYTES) for _ in range(2 * threads + 1)]

    def files(
        self, starts: range, reads: Generator[Read | None, None, None]
    ) -> Generator[tuple[memoryview, Sequence[CloseMeta]], None, None]:
        """The decoded files in order: a view that is valid until the next file is taken, and the ledgers in it.

        Args:
            starts: first ledgers of the files' names.
            reads: for each file what returns its bytes when it was requested ahead; closed at the end.

        Raises:
            DataError: as `FileDecoder.decode`, when it is the file's turn.
        """
        free = deque(self._buffers)
        in_flight: deque[tuple[DecodeBuffer, concurrent.futures.Future[Sequence[CloseMeta]]]] = deque()
        remaining = zip(starts, reads, strict=False)
        try:
            while True:
                while free and _decoded_bytes(in_flight) <= _MAX_WAITING_BYTES:
                    following = next(remaining, None)
                    if following is None:
                        break
                    start, read = following
                    buffer = free.popleft()
                    in_flight.append((buffer, self._decode_ahead(start, buffer, read)))
                if not in_flight:
                    return
                buffer, decoded = in_flight.popleft()
                metas = decoded.result()  # before its view is taken: the buffer may grow until then
                yield buffer.view, metas
                buffer.shrink()
                free.append(buffer)
        finally:
            # First: a decoder may wait for an object that is requested only once those of cancelled ones are taken.
            reads.close()
            for _, left in in_flight:
                if not left.cancel():  # it is running: its buffer is free when it has ended
                    with suppress(BaseException):
                        left.result()

    def _decode_ahead(
        self, start: int, buffer: DecodeBuffer, read: Read | None
    ) -> concurrent.futures.Future[Sequence[CloseMeta]]:
        return self._pool.submit(copy_context().run, self._decoder.decode, start, buffer, read)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


def _decoded_bytes(in_flight: deque[tuple[DecodeBuffer, concurrent.futures.Future[Sequence[CloseMeta]]]]) -> int:
    """Bytes of the decoded files that wait for the reader."""
    return sum(decoded.result()[-1].end for _, decoded in in_flight if decoded.done() and decoded.exception() is None)
