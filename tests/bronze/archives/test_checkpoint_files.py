"""Names and packing of an archive's files: what is damaged, or packed to do harm, is an error within its bounds."""

from __future__ import annotations

import gzip
import tracemalloc

import pytest

from bronze.archives.checkpoint_files import checkpoint_of, file_key, first_of, records, unpack
from bronze.errors import ArchiveError
from tests.support.made_archive import record

PACKED = record(b"header") * 3


@pytest.mark.parametrize(
    ("ledger", "first", "checkpoint"),
    [(1, 1, 63), (63, 1, 63), (64, 64, 127), (1410048, 1410048, 1410111), (0xFFFFFFFF, 0xFFFFFFC0, 0xFFFFFFFF)],
)
def test_checkpoint_covers_its_ledgers(ledger: int, first: int, checkpoint: int) -> None:
    assert (first_of(checkpoint_of(ledger)), checkpoint_of(ledger)) == (first, checkpoint)


def test_file_key_has_hexadecimal_directories() -> None:
    assert file_key("scp", 0xABCDEF3F) == "scp/ab/cd/ef/scp-abcdef3f.xdr.gz"


@pytest.mark.parametrize(
    "data",
    [
        gzip.compress(PACKED),
        gzip.compress(gzip.compress(PACKED)),
        gzip.compress(PACKED[:20]) + gzip.compress(PACKED[20:]),
        PACKED,
    ],
    ids=["gzip", "compressed-twice", "two-members", "decompressed-by-a-proxy"],
)
def test_packing_of_servers_is_accepted(data: bytes) -> None:
    assert unpack(data, len(gzip.compress(PACKED)) + len(PACKED)) == PACKED


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(PACKED)[:-1], "cut off"),
        (gzip.compress(PACKED)[:12], "cut off"),
        (gzip.compress(PACKED)[:-8] + bytes(8), "not whole gzip"),
        (gzip.compress(PACKED) + b"junk", "not whole gzip"),
        (gzip.compress(gzip.compress(gzip.compress(PACKED))), "more than 2 times"),
        (gzip.compress(b"") * 4097, "more than 4096 gzip members"),
    ],
    ids=["cut-end", "cut-middle", "wrong-crc", "junk-behind", "compressed-thrice", "many-members"],
)
def test_damaged_gzip_is_an_error(data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        unpack(data, 1 << 16)


@pytest.mark.parametrize("layers", [1, 2])
def test_bomb_ends_at_the_limit(layers: int) -> None:
    bomb = gzip.compress(bytes(100 << 20), compresslevel=1)
    for _ in range(layers - 1):
        bomb = gzip.compress(bomb)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="decompresses to more than 1048576 bytes"):
            unpack(bomb, 1 << 20)
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_records_are_taken_apart() -> None:
    assert [bytes(one)[32:-4] for one in records(PACKED)] == [b"header"] * 3


@pytest.mark.parametrize(
    "data",
    [PACKED[:-1], PACKED + b"\x80", PACKED + bytes(8), b"\xff\xff\xff\xff" + PACKED],
    ids=["cut-record", "cut-mark", "no-mark", "long-record"],
)
def test_broken_records_are_an_error(data: bytes) -> None:
    with pytest.raises(ArchiveError, match="no whole record"):
        list(records(data))
