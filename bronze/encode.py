"""One partition, from lake files to the bytes of its parquet file: read, decode, walk, verify, link, write.

The lake files are decoded one behind the other into one buffer that is used again for every row group;
Arrow sees slices of it. Memory is bounded by a row group and the largest object, not by the partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from bronze.close_meta import BATCH_HEADER_BYTES, CloseMeta, read_object
from bronze.eras import Era
from bronze.errors import DataError, LakeError, VerificationError
from bronze.frame import Arena
from bronze.grid import Partition
from bronze.lake import Lake
from bronze.lake_keys import FIRST_LEDGER
from bronze.manifest import Ledgers
from bronze.table import ROW_GROUP_BYTES, HashingSink, Labels, RowGroup, TableWriter
from bronze.verify import Verify, check_hashes, check_link

#: Room for objects of the usual size behind a full row group; larger ones make the buffer grow.
_SLACK = 8 * 1024 * 1024
_MAX_INT32 = 2**31 - 1
_MAX_CLOSE_TIME = (2**63 - 1) // 1000


@dataclass(frozen=True, slots=True)
class Encoded:
    """What was written of a partition; `files` and `raw_bytes` count what was read for it."""

    row_count: int
    raw_bytes: int
    files: int
    ledgers: Ledgers


class PartitionEncoder:
    """Encodes partitions of one lake, one at a time (not for several threads at once).

    Args:
        verify: how much of each ledger is recomputed.
        compression: of the parquet file: ``zstd``, ``snappy`` or ``none``.
        max_object: most bytes that one lake file may decode to.
    """

    def __init__(self, lake: Lake, *, verify: Verify, compression: str, max_object: int) -> None:
        self._lake = lake
        self._verify = verify
        self._compression = compression
        self._arena = Arena(BATCH_HEADER_BYTES + ROW_GROUP_BYTES + _SLACK, max_object)
        self._bare = False

    def encode(self, era: Era, partition: Partition, files: Iterable[int], sink: HashingSink) -> Encoded:
        """Write the parquet file of `partition` into `sink`.

        Args:
            files: first ledgers of the names of the lake files that hold the partition, ascending.

        Raises:
            DataError: a file or a ledger is not what it must be; names the object, the ledger and both values.
        """
        expected = self._lake.file_starts(partition.start, partition.end)
        handed = list(files)
        if handed != list(expected):
            raise LakeError(
                f"partition {era.chain} {partition} was handed {len(handed)} lake files, expected the {len(expected)}"
                f" from {expected.start} to {expected.stop - 1}"
            )
        with TableWriter(sink, self._compression) as writer:
            rows = _Rows(era, partition, writer, self._arena)
            self._read_into(rows, era, partition, expected)
            return rows.finish(len(expected))

    def _read_into(self, rows: _Rows, era: Era, partition: Partition, starts: range) -> None:
        wanted = range(rows.next_ledger, partition.end + 1)
        previous = self._before(wanted.start) if starts.start == wanted.start else None
        for start in starts:
            key = self._lake.key(start)
            try:
                for meta in self._decode(self._lake.read(key), rows.at, start):
                    if meta.sequence < wanted.start:
                        previous = self._trusted(meta)
                    elif meta.sequence < wanted.stop:
                        self._check(era, meta, previous)
                        rows.add(meta)
                        previous = meta
            except DataError as error:
                raise error.at(f"object {self._lake.describe(key)}") from error.__cause__

    def _decode(self, data: bytes, at: int, start: int) -> Sequence[CloseMeta]:
        """Decode a lake file so that its first close meta comes to lie at `at`; bytes before `at` stay."""
        arena = self._arena
        offset = at if self._bare else at - BATCH_HEADER_BYTES
        # The header of a batch is needed only until its close metas are read: it may lie on the ledger before.
        covered = bytes(arena.view[offset:at])
        end = arena.decode(data, offset)
        header, metas = read_object(arena.view, offset, end, self._verify)
        if header is None and not self._bare:
            self._bare = True  # an archive of bare close metas: no header to make room for
            arena.view[offset:at] = covered
            return self._decode(data, at, start)
        arena.view[offset:at] = covered
        found = (header.start, header.end) if header else (metas[0].sequence, metas[0].sequence)
        named = (max(start, FIRST_LEDGER), self._lake.layout.file_end(start))
        if found != named:
            raise LakeError(
                f"holds ledgers {found[0]}-{found[1]}, but its name says {named[0]}-{named[1]}"
                if header
                else f"holds the bare ledger {found[0]}, but its name says {named[0]}-{named[1]}"
            )
        return metas

    def _before(self, first: int) -> CloseMeta | None:
        """The ledger before `first`, to link to, when the lake has it and its header holds.

        Where it does not, the partition that it belongs to fails by itself.
        """
        if first <= FIRST_LEDGER:
            return None
        start = self._lake.layout.file_start(first - 1)
        try:
            data = self._lake.read(self._lake.key(start))
            return self._trusted(self._decode(data, BATCH_HEADER_BYTES, start)[-1])
        except DataError:
            return None

    def _trusted(self, meta: CloseMeta) -> CloseMeta | None:
        try:
            check_hashes(meta, Verify.HEADER)
        except VerificationError:
            return None
        return meta

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

    def __init__(self, era: Era, partition: Partition, writer: TableWriter, arena: Arena) -> None:
        self._labels = Labels(era.version_label, era.era_id, era.network)
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

    def add(self, meta: CloseMeta) -> None:
        if meta.sequence != self.next_ledger:
            raise VerificationError(f"ledger {meta.sequence} stands where ledger {self.next_ledger} is expected")
        if meta.start != self.at:
            self._arena.move(meta.start, meta.end, self.at)
        size = meta.end - meta.start
        self._group.add(meta, self._arena.view[self.at : self.at + size])
        self.at += size
        self._raw_bytes += size
        self._first = self._first or meta
        self._last = meta
        self.next_ledger += 1
        if self._group.is_full:
            self._flush()

    def finish(self, files: int) -> Encoded:
        """End the file."""
        first, last = self._first, self._last
        if first is None or last is None or self.next_ledger != self._partition.end + 1:
            raise VerificationError(
                f"partition {self._chain} {self._partition} would be short: it ends before ledger {self.next_ledger}"
            )
        if len(self._group):
            self._flush()
        self._writer.close()
        ledgers = Ledgers(
            first.sequence,
            last.sequence,
            first.previous_ledger_hash.hex(),
            first.ledger_hash.hex(),
            last.ledger_hash.hex(),
        )
        return Encoded(last.sequence - first.sequence + 1, self._raw_bytes, files, ledgers)

    def _flush(self) -> None:
        raw = self._arena.view[BATCH_HEADER_BYTES : BATCH_HEADER_BYTES + self._group.raw_bytes]
        self._writer.write(self._group.batch(raw))
        self._group = RowGroup(self._labels)
        self.at = BATCH_HEADER_BYTES
