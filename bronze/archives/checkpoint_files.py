"""Names of a history archive's files, and how their bytes are packed: gzip, then records with a mark each.

An archive has a file of each category for each checkpoint: a ledger whose number plus one is a multiple of 64. It is
about the checkpoint and the 63 ledgers before (the first one: about ledgers 1 to 63).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator

from bronze.errors import ArchiveError

#: Ledgers from one checkpoint to the next.
CHECKPOINT_LEDGERS = 64
#: The file that says how far an archive reaches.
HISTORY_KEY = ".well-known/stellar-history.json"

_GZIP = b"\x1f\x8b"
#: An archive's file is gzip; a server that compresses what it sends adds another layer.
_MAX_LAYERS = 2
_LAST_FRAGMENT = 0x80000000
_MARK_BYTES = 4
#: Members of one gzip file; each has at least 18 bytes, and tools write one, or one for each flush.
_MAX_MEMBERS = 4096


def checkpoint_of(ledger: int) -> int:
    """The checkpoint whose files are about `ledger`.

    >>> checkpoint_of(63), checkpoint_of(64), checkpoint_of(1)
    (63, 127, 63)
    """
    return ledger | (CHECKPOINT_LEDGERS - 1)


def first_of(checkpoint: int) -> int:
    """The first ledger that the files of `checkpoint` are about.

    >>> first_of(63), first_of(127)
    (1, 64)
    """
    return max(1, checkpoint - CHECKPOINT_LEDGERS + 1)


def file_key(category: str, checkpoint: int) -> str:
    """The key of the file of `category` (``ledger``, ``scp``, ...) for `checkpoint`.

    >>> file_key("ledger", 0x1583ff)
    'ledger/00/15/83/ledger-001583ff.xdr.gz'
    """
    name = f"{checkpoint:08x}"
    return f"{category}/{name[0:2]}/{name[2:4]}/{name[4:6]}/{category}-{name}.xdr.gz"


def unpack(data: bytes, max_bytes: int) -> bytes:
    """The records of a file, decompressed; a file that the server compressed once more is accepted, a plain one too.

    Args:
        max_bytes: of the result, and of what lies between two layers; inclusive.

    Raises:
        ArchiveError: it is cut off, damaged, compressed too often, or decompresses to more.
    """
    for _ in range(_MAX_LAYERS):
        if not data.startswith(_GZIP):
            break
        data = _gunzip(data, max_bytes)
    if data.startswith(_GZIP):
        raise ArchiveError(f"it is compressed more than {_MAX_LAYERS} times")
    return data


def records(data: bytes) -> Iterator[memoryview]:
    """The records of decompressed `data`: behind a mark, which is their length with the highest bit set, each.

    Raises:
        ArchiveError: `data` is cut off, or has other bytes where a mark is expected.
    """
    view, at = memoryview(data), 0
    while at < len(view):
        mark = int.from_bytes(view[at : at + _MARK_BYTES], "big")
        start = at + _MARK_BYTES
        end = start + (mark & ~_LAST_FRAGMENT)
        if not mark & _LAST_FRAGMENT or end > len(view):
            raise ArchiveError(f"at byte {at} of its records there is no whole record (mark {mark:#010x})")
        yield view[start:end]
        at = end


def _gunzip(data: bytes, max_bytes: int) -> bytes:
    """The content of one gzip file, which may consist of several members."""
    out, members = bytearray(), 0
    while data:
        members += 1
        if members > _MAX_MEMBERS:
            raise ArchiveError(f"it consists of more than {_MAX_MEMBERS} gzip members")
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            out += member.decompress(data, max_bytes + 1 - len(out))
        except zlib.error as error:
            raise ArchiveError(f"it is not whole gzip data: {error}") from None
        if len(out) > max_bytes:
            raise ArchiveError(f"it decompresses to more than {max_bytes} bytes")
        if not member.eof:
            raise ArchiveError("its gzip data are cut off")
        data = member.unused_data
    return bytes(out)
