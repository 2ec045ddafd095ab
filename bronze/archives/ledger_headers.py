"""The ledger headers in a checkpoint's ``ledger`` file: hashed, and checked to be one linked run.

A record is a LedgerHeaderHistoryEntry: the hash of the header, the header, an extension that is zero.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from hashlib import sha256

from bronze.archives.checkpoint_files import first_of, records
from bronze.errors import ArchiveError

_HASH_BYTES, _WORD = 32, struct.Struct(">I")
#: LedgerHeader up to its upgrades: version, previous hash, transaction set hash, close time.
_BEFORE_UPGRADES = struct.Struct(">I32s32sQ")
_MAX_UPGRADES, _MAX_UPGRADE_BYTES = 6, 128
#: Bytes before the signature's length, of each extension of a StellarValue (CAP-34, CAP-83).
_BEFORE_SIGNATURE = {1: 36, 2: 68 + 36}
_MAX_SIGNATURE_BYTES = 64
#: Between StellarValue and ledgerSeq: the hashes of results and buckets.
_BEFORE_SEQUENCE = 64


def read_headers(data: bytes, checkpoint: int) -> Mapping[int, bytes]:
    """The hash (32 bytes) of each ledger that the file of `checkpoint` is about.

    Args:
        data: the decompressed file.

    Raises:
        ArchiveError: it is not the whole run of headers, or one of them does not match its hash, or its predecessor.
    """
    found: dict[int, bytes] = {}
    expected, previous_hash = first_of(checkpoint), b""
    for record in records(data):
        if expected > checkpoint:
            raise ArchiveError(f"it has records behind ledger {checkpoint}")
        stored, header = bytes(record[:_HASH_BYTES]), record[_HASH_BYTES : -_WORD.size]
        try:
            sequence, stated_previous = _sequence_and_previous(header)
            extension = _WORD.unpack(record[-_WORD.size :])[0]
        except struct.error:
            raise ArchiveError(f"the record of ledger {expected} is too short") from None
        if sequence != expected:
            raise ArchiveError(f"it has ledger {sequence} where ledger {expected} is expected")
        if extension:
            raise ArchiveError(f"the record of ledger {sequence} has the unknown extension {extension}")
        computed = sha256(header).digest()
        if computed != stored:
            raise ArchiveError(
                f"the hash of ledger {sequence} is stored as {stored.hex()}, its header gives {computed.hex()}"
            )
        if previous_hash and stated_previous != previous_hash:
            raise ArchiveError(
                f"ledger {sequence} names {stated_previous.hex()} as the hash of the ledger before,"
                f" which is {previous_hash.hex()}"
            )
        found[sequence] = previous_hash = computed
        expected += 1
    if expected <= checkpoint:
        raise ArchiveError(f"it ends before ledger {expected}, expected ledgers up to {checkpoint}")
    return found


def _sequence_and_previous(header: memoryview) -> tuple[int, bytes]:
    """Number and previous hash of a ledger header. Raises ``struct.error`` when it is too short."""
    _, previous, _, _ = _BEFORE_UPGRADES.unpack_from(header, 0)
    at = _BEFORE_UPGRADES.size
    (upgrades,) = _WORD.unpack_from(header, at)
    at += _WORD.size
    if upgrades > _MAX_UPGRADES:
        raise ArchiveError(f"a header has {upgrades} upgrades, at most {_MAX_UPGRADES} are allowed")
    for _ in range(upgrades):
        at = _behind_bytes(header, at, _MAX_UPGRADE_BYTES)
    (extension,) = _WORD.unpack_from(header, at)
    at += _WORD.size
    if extension:
        if extension not in _BEFORE_SIGNATURE:
            raise ArchiveError(f"a header has a value with the unknown extension {extension}: upgrade bronze-copier")
        at = _behind_bytes(header, at + _BEFORE_SIGNATURE[extension], _MAX_SIGNATURE_BYTES)
    (sequence,) = _WORD.unpack_from(header, at + _BEFORE_SEQUENCE)
    return sequence, previous


def _behind_bytes(header: memoryview, at: int, max_bytes: int) -> int:
    """The position behind the opaque<> at `at`."""
    (length,) = _WORD.unpack_from(header, at)
    if length > max_bytes:
        raise ArchiveError(f"a header has a field of {length} bytes, at most {max_bytes} are allowed")
    padded: int = at + _WORD.size + (length + 3 & ~3)
    return padded
