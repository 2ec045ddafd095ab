"""One whole zstd frame and nothing but it: what is decoded, and every class of damage."""

from __future__ import annotations

import struct
import tracemalloc
from collections.abc import Callable

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bronze.errors import FrameError
from bronze.lake.zstd_frame import DecodeBuffer, frame_end

MAGIC = b"\x28\xb5\x2f\xfd"
MAX = 1 << 20
RAW, RLE, COMPRESSED, RESERVED = range(4)
TEXT = b"".join(b"ledger %d of the sample, " % number for number in range(60))
NOISE = bytes(value * value % 251 for value in range(300_000))  # several blocks


def frame(content: bytes, *, checksum: bool = True, sized: bool = True, window_log: int = 17) -> bytes:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        3, window_log=window_log, write_checksum=checksum, write_content_size=sized
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters)
    if sized:
        return compressor.compress(content)
    stream = compressor.compressobj()
    return stream.compress(content) + stream.flush()


def block(kind: int, size: int, content: bytes = b"", *, last: bool = False) -> bytes:
    return struct.pack("<I", size << 3 | kind << 1 | last)[:3] + content


def by_hand(*blocks: bytes, descriptor: int = 0, header: bytes = b"\x38") -> bytes:
    """A frame of these blocks: no checksum, no size, a window of 128 KiB unless the header says otherwise."""
    return MAGIC + bytes([descriptor]) + header + b"".join(blocks)


def decode(data: bytes, max_object: int = MAX, capacity: int = 16) -> bytes:
    arena = DecodeBuffer(capacity, max_object)
    end = arena.decode(data, 0)  # `view` may be another one from here on
    return bytes(arena.view[:end])


@pytest.mark.parametrize("content", [b"", b"x", TEXT, NOISE], ids=["empty", "one byte", "one block", "blocks"])
@pytest.mark.parametrize("sized", [True, False])  # Galexie states the size of small ledgers only
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("window_log", [10, 17, 23])  # Galexie's window is 8 MiB
def test_what_was_compressed_comes_out(content: bytes, sized: bool, checksum: bool, window_log: int) -> None:
    assert decode(frame(content, checksum=checksum, sized=sized, window_log=window_log)) == content


def test_empty_blocks_in_the_middle_end_nothing() -> None:
    empty = block(RAW, 0) * 50_000
    assert (
        decode(by_hand(block(RAW, 2, b"ab"), empty, block(RLE, 3, b"c"), empty, block(RAW, 0, last=True))) == b"abccc"
    )


@given(st.binary(max_size=5000), st.booleans(), st.booleans())
def test_the_end_of_a_frame_is_found_whatever_follows(content: bytes, checksum: bool, sized: bool) -> None:
    data = frame(content, checksum=checksum, sized=sized)
    assert frame_end(data) == len(data)
    assert frame_end(data + data) == len(data)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        # nothing at all: pyarrow's stream would accept it
        (lambda data: b"", "object is empty"),
        # a byte more, as a botched upload leaves it; zstandard would ignore it
        (lambda data: data + b"\0", r"1 bytes follow the zstd frame, which ends at byte \d+ of \d+"),
        # two frames: a decoder may take the first only, or join both
        (lambda data: data + data, "bytes follow the zstd frame"),
        # a skippable frame behind, or before
        (lambda data: data + struct.pack("<II", 0x184D2A50, 3) + b"abc", "11 bytes follow the zstd frame"),
        (lambda data: struct.pack("<II", 0x184D2A50, 3) + b"abc" + data, "not a zstd frame: begins with 502a4d18"),
        # something else: gzip, the ledger itself, half a magic number
        (lambda data: b"\x1f\x8b\x08\x00" + data, "not a zstd frame: begins with 1f8b0800, expected 28b52ffd"),
        (lambda data: TEXT, "not a zstd frame"),
        (lambda data: MAGIC[:3], "not a zstd frame"),
        # the header
        (lambda data: data[:4] + bytes([data[4] | 8]) + data[5:], "reserved bit"),
        # a dictionary that nobody has
        (lambda data: by_hand(block(RAW, 1, b"x", last=True), descriptor=1, header=b"\x38\x07"), "corrupt zstd frame"),
        # blocks
        (lambda data: by_hand(block(RESERVED, 1, b"x", last=True)), "zstd block at byte 6 has the reserved type"),
        (lambda data: by_hand(block(RLE, 131_073, b"x", last=True)), "claims 131073 bytes, at most 131072"),
        (lambda data: by_hand(block(COMPRESSED, 4, b"\xff" * 4, last=True)), "corrupt zstd frame"),
        # a window of more than the decoder will ever hold
        (lambda data: by_hand(block(RAW, 1, b"x", last=True), header=b"\xf8"), "corrupt zstd frame"),
        # the header says 5 bytes, the blocks hold 2
        (lambda data: by_hand(block(RAW, 2, b"ab", last=True), descriptor=0x20, header=b"\x05"), "corrupt zstd frame"),
        # the checksum's last byte
        (lambda data: data[:-1] + bytes([data[-1] ^ 1]), "corrupt zstd frame"),
    ],
)
def test_damage_is_named(damage: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode(damage(frame(TEXT)))


@pytest.mark.parametrize("content", [TEXT, NOISE[:200_000]], ids=["one block", "blocks"])
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_every_truncation_is_refused(content: bytes, sized: bool, checksum: bool) -> None:
    data = frame(content, checksum=checksum, sized=sized)
    arena = DecodeBuffer(1 << 20, MAX)
    for length in range(len(data)):
        with pytest.raises(FrameError, match=r"truncated|empty|not a zstd frame"):
            arena.decode(data[:length], 0)


@pytest.mark.parametrize("sized", [True, False])
def test_no_changed_bit_changes_what_comes_out(sized: bool) -> None:
    data, arena = frame(TEXT, sized=sized), DecodeBuffer(1 << 20, MAX)
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                end = arena.decode(bytes(changed), 0)
            except FrameError:
                continue
            assert bytes(arena.view[:end]) == TEXT, f"bit {bit} of byte {at}"


@pytest.mark.parametrize("at", [0, 7, 3 * MAX])
@pytest.mark.parametrize("capacity", [0, 1, MAX - 1, MAX, MAX + 1, 4 * MAX])
def test_exactly_the_bound_is_allowed_and_one_byte_more_is_not(at: int, capacity: int) -> None:
    arena = DecodeBuffer(capacity, MAX)
    assert arena.decode(frame(bytes(MAX)), at) == at + MAX
    with pytest.raises(FrameError, match=f"decodes to more than {MAX} bytes"):
        arena.decode(frame(bytes(MAX + 1)), at)


@pytest.mark.parametrize(
    "bomb",
    [
        # 4 bytes for each 128 KiB: 1 GiB from 32 KiB
        by_hand(block(RLE, 131_072, b"x") * 8191, block(RLE, 131_072, b"x", last=True)),
        # the same as a compressor makes it, with and without its size in the header
        frame(bytes(64 * MAX)),
        frame(bytes(64 * MAX), sized=False),
        # a header that claims 2^62 bytes
        by_hand(block(RLE, 131_072, b"x") * 99, block(RLE, 9, b"x", last=True), descriptor=0xE0,
                header=struct.pack("<Q", 1 << 62)),
    ],
    ids=["rle", "sized", "unsized", "claims"],
)  # fmt: skip
def test_a_bomb_is_refused_in_little_memory(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(FrameError, match=f"decodes to more than {MAX} bytes|corrupt zstd frame"):
            decode(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4 * MAX


def test_the_buffer_grows_and_what_lay_before_stays() -> None:
    arena, at, expected = DecodeBuffer(8, MAX), 0, b""
    for number in range(40):
        content = bytes([number]) * (number * 997)
        at = arena.decode(frame(content), at)
        expected += content
        assert bytes(arena.view[:at]) == expected
    assert len(arena.buffer) < 2 * len(expected) + MAX


def test_a_slice_taken_before_the_buffer_grew_keeps_its_bytes() -> None:
    arena = DecodeBuffer(8, MAX)
    end = arena.decode(frame(TEXT), 0)
    before = arena.view[:end]
    arena.decode(frame(bytes(MAX)), end)
    assert bytes(before) == TEXT


def test_a_failure_leaves_the_bytes_before_and_the_arena_usable() -> None:
    arena = DecodeBuffer(8, MAX)
    end = arena.decode(frame(TEXT), 0)
    for bad in (frame(NOISE)[:-9], frame(NOISE)[:-1] + b"\0", frame(bytes(MAX + 1))):
        with pytest.raises(FrameError):
            arena.decode(bad, end)
    after = arena.decode(frame(NOISE), end)
    assert bytes(arena.view[:after]) == TEXT + NOISE


def test_no_room_up_to_where_the_frame_is_to_lie() -> None:
    arena = DecodeBuffer(4, MAX)
    arena.view[:4] = b"abcd"
    assert arena.decode(frame(b"xyz"), 100) == 103
    assert bytes(arena.view[:4]) + bytes(arena.view[100:103]) == b"abcdxyz"


@given(st.binary(max_size=60), st.data())
def test_move(content: bytes, data: st.DataObject) -> None:
    arena = DecodeBuffer(100, MAX)
    arena.view[: len(content)] = content
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    to = data.draw(st.integers(0, 100 - (end - start)))
    arena.move(start, end, to)
    assert bytes(arena.view[to : to + end - start]) == content[start:end]
