"""Lake files decoded in order: into the caller's buffer, or ahead of need by threads of their own.

Ahead costs one copy of each close meta and a few buffers; it pays when a partition has more than one core
to itself. With a partition for each core it would only fight over them.
"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import suppress

from bronze.errors import DataError, LakeError
from bronze.lake.lake import Lake
from bronze.lake.prefetch import Read
from bronze.lake.zstd_frame import DecodeBuffer
from bronze.ledger.close_meta import BATCH_HEADER_BYTES, CloseMeta, VerifyLevel, read_object
from bronze.stellar import FIRST_LEDGER

#: A buffer for one lake file; it grows to the largest.
_FILE_BYTES = 2 * 1024 * 1024
#: Decoded bytes that may wait for their turn, beside one file for each thread.
_AHEAD_BYTES = 16 * 1024 * 1024


def max_compressed_size(max_object: int) -> int:
    """Bytes that a file of at most `max_object` decoded bytes may have as it is stored: zstd adds little at worst."""
    return max_object + max_object // 128 + 1024


class FileDecoder:
    """Reads, decodes and walks lake files, one at a time, into a buffer of its own.

    Args:
        capacity: bytes of the buffer to begin with.
        max_object: most bytes that one file may decode to.
    """

    def __init__(self, lake: Lake, verify: VerifyLevel, *, capacity: int = 0, max_object: int) -> None:
        self._lake = lake
        self._verify = verify
        self._capacity = capacity or _FILE_BYTES
        self._max_object = max_object
        self._single_ledger_files = False
        self.arena = DecodeBuffer(self._capacity, max_object)

    def decode(self, start: int, at: int = BATCH_HEADER_BYTES, read: Read | None = None) -> Sequence[CloseMeta]:
        """Decode the file named from `start` so that its first close meta comes to lie at `at`.

        Bytes before `at` stay. The hashes of the ledgers are computed, not compared.

        Args:
            read: gives the file's bytes when it was asked for ahead.

        Raises:
            DataError: the file is missing, damaged, or not what its name says; names the object.
        """
        key = self._lake.key(start)
        try:
            data = read() if read else self._lake.read(key, max_compressed_size(self._max_object))
            return self._decode(data, start, at)
        except DataError as error:
            raise error.at(f"object {self._lake.describe(key)}") from error.__cause__

    def shrink(self) -> None:
        """Give back what an unusually large file made the buffer grow by; what it holds is lost."""
        if len(self.arena.buffer) > 2 * self._capacity:
            self.arena = DecodeBuffer(self._capacity, self._max_object)

    def _decode(self, data: memoryview, start: int, at: int) -> Sequence[CloseMeta]:
        arena = self.arena
        offset = at if self._single_ledger_files else at - BATCH_HEADER_BYTES
        # The header of a batch is needed only until its close metas are read: it may lie on the ledger before.
        covered = bytes(arena.view[offset:at])
        end = arena.decode(data, offset)
        header, metas = read_object(arena.view, offset, end, self._verify)
        arena.view[offset:at] = covered
        if header is None and not self._single_ledger_files:
            self._single_ledger_files = True  # an archive of bare close metas: no header to make room for
            return self._decode(data, start, at)
        found = (header.start, header.end) if header else (metas[0].sequence, metas[0].sequence)
        named = (max(start, FIRST_LEDGER), self._lake.layout.file_end(start))
        # The files at the ends of a lake may hold less than their names say: what is wanted of that is missed later.
        if found[0] < named[0] or found[1] > named[1]:
            what = f"ledgers {found[0]}-{found[1]}" if header else f"the bare ledger {found[0]}"
            raise LakeError(f"holds {what}, but its name says {named[0]}-{named[1]}")
        return metas


class ParallelDecoder:
    """Decodes files by `threads` threads ahead of the one that takes them, in order.

    Bounded by bytes: a file is begun only while those that wait are small enough in sum.
    """

    def __init__(self, lake: Lake, verify: VerifyLevel, *, max_object: int, threads: int) -> None:
        self._pool = concurrent.futures.ThreadPoolExecutor(threads, thread_name_prefix="decode")
        self._decoders = [FileDecoder(lake, verify, max_object=max_object) for _ in range(2 * threads + 1)]

    def files(
        self, starts: range, reads: Generator[Read | None, None, None]
    ) -> Generator[tuple[memoryview, Sequence[CloseMeta]], None, None]:
        """The decoded files: a view that is valid until the next one is asked for, and the ledgers in it.

        Args:
            reads: for each file what gives its bytes when it was asked for ahead; closed at the end.

        Raises:
            DataError: as of `FileDecoder.decode`, when the file's turn comes.
        """
        free = deque(self._decoders)
        waiting: deque[tuple[FileDecoder, concurrent.futures.Future[Sequence[CloseMeta]]]] = deque()
        rest = zip(starts, reads, strict=False)
        try:
            while True:
                while free and _waiting_bytes(waiting) <= _AHEAD_BYTES:
                    following = next(rest, None)
                    if following is None:
                        break
                    start, read = following
                    decoder = free.popleft()
                    waiting.append((decoder, self._pool.submit(decoder.decode, start, read=read)))
                if not waiting:
                    return
                decoder, decoded = waiting.popleft()
                metas = decoded.result()  # before its view is taken: the buffer may grow until then
                yield decoder.arena.view, metas
                decoder.shrink()
                free.append(decoder)
        finally:
            # First: a decoder may wait for an object that is asked for only once those of cancelled ones are taken.
            reads.close()
            for _, left in waiting:
                if not left.cancel():  # it is running: its buffer is free when it has ended
                    with suppress(Exception):
                        left.result()

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


def _waiting_bytes(waiting: deque[tuple[FileDecoder, concurrent.futures.Future[Sequence[CloseMeta]]]]) -> int:
    return sum(decoded.result()[-1].end for _, decoded in waiting if decoded.done() and decoded.exception() is None)
