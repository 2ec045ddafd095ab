"""Read a lake object's decompressed bytes: a LedgerCloseMetaBatch (SEP-54), or one bare LedgerCloseMeta.

Begin at ``read_object``. It checks that every byte is well-formed XDR (``bronze.xdr``) and
computes the hashes, which ``bronze.ledger.hashes`` compares with the stored ones.
"""

from __future__ import annotations

import enum
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from bronze.errors import NewerFormatError, VerificationError, XdrError
from bronze.stellar import FIRST_LEDGER
from bronze.xdr import Walker, new_walker, table
from bronze.xdr.trace import NEWER_VERSIONS

Buffer = bytes | bytearray | memoryview

#: The close metas of a batch begin this far behind its start: startSequence, endSequence and their count.
BATCH_HEADER_BYTES = 12

_BATCH = "LedgerCloseMetaBatch"
_BATCH_HEADER = struct.Struct(">III")
_WORD = struct.Struct(">I")
#: LedgerHeader up to its upgrades, and what follows its StellarValue.
_HEADER = struct.Struct(">I32s32sQ")
_HEADER_TAIL = struct.Struct(">32s32xIqq")
_HASH_SIZE, _COUNT_SIZE = 32, 4
_STELLAR_VALUE_BASIC, _STELLAR_VALUE_EMPTY_TX_SET = 0, 2
#: Numbers that `CloseMeta.invocations` has of each contract invocation.
INVOCATION_MARKS = table.SLOTS - table.SUCCESS
#: The highest version of LedgerCloseMeta that is known.
_NEWEST_VERSION = 2

_local = threading.local()


class VerifyLevel(enum.StrEnum):
    """Which hashes of a ledger are computed and checked."""

    FULL = "full"
    """The ledger hash, the transaction set hash and the result hash."""
    HEADER = "header"
    """The ledger hash alone: for archives merged by tools that leave the others wrong."""


@dataclass(frozen=True, slots=True)
class BatchHeader:
    """The first 12 bytes of a LedgerCloseMetaBatch; `start` and `end` are inclusive ledgers."""

    start: int
    end: int
    count: int


@dataclass(frozen=True, slots=True)
class CloseMeta:
    """One ledger read from a buffer. Spans are byte positions in that buffer, ends exclusive.

    Attributes:
        start, end: span of the LedgerCloseMeta.
        version: of the LedgerCloseMeta: 0, 1 or 2.
        close_time: unix time in seconds, unsigned 64 bits.
        ledger_hash: as stored next to the header; all hashes are 32 bytes.
        total_coins, fee_pool: stroops, signed 64 bits.
        tx_count: transactions in the set.
        operation_count: operations of all envelopes in the set, the inner ones of fee bumps included.
        empty_tx_set: whether the header declares the transaction set empty (CAP-83).
        computed_ledger_hash: what the stored hash has to equal, see ``bronze.ledger.hashes``.
        computed_tx_set_hash, computed_result_hash: likewise; None when read with ``VerifyLevel.HEADER``.
        tx_set_previous_hash: the ledger before, as the transaction set names it.
        header_at: position of the LedgerHeader.
        value_ext_at, value_end: position of the extension of its StellarValue, and end of the value.
        last_tx: span of the last transaction in the set, without its signatures; None in an empty set.
        unsigned_results: of a ledger without a signed StellarValue, what the result hash is taken over; else empty.
        invocations: positions of each successful contract invocation, `INVOCATION_MARKS` numbers one after the
            other: of the hash in its result; of its return value's start in meta of version 3, and of version 4
            (where an optional's flag comes first), and its end; of its events' start and end.
    """

    start: int
    end: int
    version: int
    sequence: int
    protocol_version: int
    close_time: int
    ledger_hash: bytes
    previous_ledger_hash: bytes
    tx_set_hash: bytes
    result_hash: bytes
    total_coins: int
    fee_pool: int
    tx_count: int
    operation_count: int
    empty_tx_set: bool
    computed_ledger_hash: bytes
    computed_tx_set_hash: bytes | None
    computed_result_hash: bytes | None
    tx_set_previous_hash: bytes
    header_at: int
    value_ext_at: int
    value_end: int
    last_tx: tuple[int, int] | None
    unsigned_results: bytes
    invocations: Sequence[int]


def read_close_meta(data: Buffer, start: int, end: int, verify: VerifyLevel = VerifyLevel.FULL) -> CloseMeta:
    """Read the one LedgerCloseMeta that begins at `start`; it may end before `end` (exclusive).

    Args:
        data: contiguous bytes.
        verify: which hashes to compute. They are not compared: see ``bronze.ledger.hashes.check_hashes``.

    Raises:
        XdrError: the bytes are not a well-formed LedgerCloseMeta; its offset is one of `data`.
    """
    view = memoryview(data)
    walker = _walker()
    marks = walker.walk(view, start, end)
    version: int = _WORD.unpack_from(view, start)[0]
    header, tx_set, tx_set_end = marks[table.HEADER], marks[table.TX_SET], marks[table.TX_SET_END]
    protocol_version, previous_ledger_hash, tx_set_hash, close_time = _HEADER.unpack_from(view, header)
    result_hash, sequence, total_coins, fee_pool = _HEADER_TAIL.unpack_from(view, marks[table.VALUE_END])
    value_ext = _WORD.unpack_from(view, marks[table.VALUE_EXT])[0]
    computed_tx_set_hash = computed_result_hash = None
    if verify is VerifyLevel.FULL:
        if version == 0:
            envelopes = tx_set + _HASH_SIZE + _COUNT_SIZE
            digest = sha256(view[tx_set : tx_set + _HASH_SIZE])
            digest.update(view[envelopes:tx_set_end])
        else:
            digest = sha256(view[tx_set:tx_set_end])
        computed_tx_set_hash = digest.digest()
        computed_result_hash = sha256(walker.results()).digest()
    return CloseMeta(
        start=start,
        end=marks[table.END],
        version=version,
        sequence=sequence,
        protocol_version=protocol_version,
        close_time=close_time,
        ledger_hash=bytes(view[header - _HASH_SIZE : header]),
        previous_ledger_hash=previous_ledger_hash,
        tx_set_hash=tx_set_hash,
        result_hash=result_hash,
        total_coins=total_coins,
        fee_pool=fee_pool,
        tx_count=marks[table.TX_COUNT],
        operation_count=marks[table.OPERATION_COUNT],
        empty_tx_set=value_ext == _STELLAR_VALUE_EMPTY_TX_SET,
        computed_ledger_hash=sha256(view[header : marks[table.HEADER_END]]).digest(),
        computed_tx_set_hash=computed_tx_set_hash,
        computed_result_hash=computed_result_hash,
        # GeneralizedTransactionSet: its version comes first.
        tx_set_previous_hash=bytes(view[tx_set : tx_set + _HASH_SIZE])
        if version == 0
        else bytes(view[tx_set + 4 : tx_set + 4 + _HASH_SIZE]),
        header_at=header,
        value_ext_at=marks[table.VALUE_EXT],
        value_end=marks[table.VALUE_END],
        last_tx=(marks[table.TX], marks[table.TX_DONE]) if marks[table.TX] else None,
        unsigned_results=bytes(walker.results()) if value_ext == _STELLAR_VALUE_BASIC else b"",
        invocations=walker.notes(),
    )


def read_batch_header(data: Buffer, start: int, end: int) -> BatchHeader | None:
    """Read the head of an object's bytes from `start` to `end` (exclusive).

    A bare LedgerCloseMeta begins with its version, 0 to 2; a batch with a ledger of 2 or more and one no
    smaller. Only 2 can be either: then in a bare one the version of its extension follows, 0 or 1.

    Returns:
        The batch's header, behind which (``BATCH_HEADER_BYTES``) its ledgers lie; None for a bare LedgerCloseMeta.

    Raises:
        NewerFormatError: it is a bare LedgerCloseMeta of a version that is not known.
        XdrError: it is neither; its offset is one of `data`.
        VerificationError: the batch does not hold as many ledgers as its range says.
    """
    if end - start < BATCH_HEADER_BYTES:
        reason = f"{BATCH_HEADER_BYTES} bytes are needed, {end - start} are left"
        raise XdrError(reason, offset=start, path=_BATCH)
    first, last, count = _BATCH_HEADER.unpack_from(data, start)
    if first < FIRST_LEDGER or (first == FIRST_LEDGER and last < FIRST_LEDGER):
        return None
    if last < first:
        reason = f"a batch from ledger {first} to {last}"
        # A bare LedgerCloseMeta begins with its version, and the version of its extension, which is 0 or 1.
        if last < FIRST_LEDGER and first <= _NEWEST_VERSION + NEWER_VERSIONS:
            reason = f"a LedgerCloseMeta of version {first}, or {reason}"
            raise NewerFormatError(reason, offset=start, path=table.ROOT)
        raise XdrError(reason, offset=start + 4, path=f"{_BATCH}.endSequence")
    if count != last - first + 1:
        raise VerificationError(f"a batch of ledgers {first}-{last} holds {count}, expected {last - first + 1}")
    return BatchHeader(first, last, count)


def read_object(
    data: Buffer, start: int, end: int, verify: VerifyLevel = VerifyLevel.FULL
) -> tuple[BatchHeader | None, list[CloseMeta]]:
    """Read all ledgers of an object's bytes from `start` to `end` (exclusive), in order.

    Args:
        data: contiguous bytes; spans of the ledgers are positions in it.
        verify: which hashes to compute. They are not compared: see ``bronze.ledger.hashes.check_hashes``.

    Returns:
        The batch's header, or None for a bare LedgerCloseMeta; and the ledgers, at least one.

    Raises:
        XdrError: the bytes are not exactly one well-formed batch or LedgerCloseMeta; its offset is counted
            from `start`, its path begins at the batch. `NewerFormatError` where a version is not known.
        VerificationError: a ledger is not the one that its place in the batch says.
    """
    metas: list[CloseMeta] = []
    batch, at = None, start
    try:
        batch = read_batch_header(data, start, end)
        if batch is None:
            metas.append(read_close_meta(data, start, end, verify))
        else:
            at += BATCH_HEADER_BYTES
            for sequence in range(batch.start, batch.end + 1):
                meta = read_close_meta(data, at, end, verify)
                if meta.sequence != sequence:
                    raise VerificationError(
                        f"a batch of ledgers {batch.start}-{batch.end} holds ledger {meta.sequence} "
                        f"where ledger {sequence} is expected"
                    )
                metas.append(meta)
                at = meta.end
    except XdrError as error:
        path = error.path
        if batch is not None:
            path = f"{_BATCH}.ledgerCloseMetas[{len(metas)}]{path.removeprefix(table.ROOT)}"
        raise type(error)(error.reason, offset=error.offset - start, path=path) from None
    if metas[-1].end != end:
        reason = f"{end - metas[-1].end} bytes follow the last ledger, {metas[-1].sequence}, expected 0"
        raise XdrError(reason, offset=metas[-1].end - start, path=table.ROOT if batch is None else _BATCH)
    return batch, metas


def _walker() -> Walker:
    """The walker of this thread, made on first use: its stack and scratch are used again for every ledger."""
    try:
        walker: Walker = _local.walker
    except AttributeError:
        walker = _local.walker = new_walker()
    return walker
