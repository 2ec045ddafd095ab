"""A whole zstd stream and nothing but it: what is decoded, and every class of damage."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from bronze.errors import FrameError
from bronze.lake.zstd_frame import MAX_PARTS, DecodeBuffer, frame_end

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


def skippable(content: bytes, *, kind: int = 0, size: int | None = None) -> bytes:
    return struct.pack("<II", 0x184D2A50 + kind, len(content) if size is None else size) + content


def decode(data: bytes, max_object: int = MAX, capacity: int = 16) -> bytes:
    buffer = DecodeBuffer(capacity, max_object)
    end = buffer.decode(data, 0)  # `view` may be another one from here on
    return bytes(buffer.view[:end])


class Peak:
    """The most memory that this process had inside the block above what it had before: ``growth``, in bytes.

    Of the kernel, since the buffer's memory is not Python's own: it counts when it is written.
    """

    def __enter__(self) -> Peak:
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        self._before = self._read("VmRSS")
        self.growth = 0
        return self

    def __exit__(self, *_: object) -> None:
        self.growth = self._read("VmHWM") - self._before

    @staticmethod
    def _read(name: str) -> int:
        (line,) = (one for one in Path("/proc/self/status").read_text().splitlines() if one.startswith(name))
        return int(line.split()[1]) << 10


def test_peak_counts_memory_of_buffers() -> None:
    with Peak() as peak:
        assert len(decode(frame(bytes(64 * MAX)), 64 * MAX)) == 64 * MAX
    assert peak.growth >= 64 * MAX


@pytest.mark.parametrize("content", [b"", b"x", TEXT, NOISE], ids=["empty", "one byte", "one block", "blocks"])
@pytest.mark.parametrize("sized", [True, False])  # Galexie states the size of small ledgers only
@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("window_log", [10, 17, 23])  # Galexie's window is 8 MiB
def test_compressed_content_is_decoded(content: bytes, sized: bool, checksum: bool, window_log: int) -> None:
    assert decode(frame(content, checksum=checksum, sized=sized, window_log=window_log)) == content


def test_empty_blocks_do_not_end_a_frame() -> None:
    empty = block(RAW, 0) * 50_000
    assert (
        decode(by_hand(block(RAW, 2, b"ab"), empty, block(RLE, 3, b"c"), empty, block(RAW, 0, last=True))) == b"abccc"
    )


@given(st.lists(st.tuples(st.binary(max_size=300), st.integers(-1, 15), st.booleans(), st.booleans())))
def test_several_frames_are_one_stream(parts: list[tuple[bytes, int, bool, bool]]) -> None:
    made = [
        skippable(content, kind=kind) if kind >= 0 else frame(content, checksum=checksum, sized=sized)
        for content, kind, checksum, sized in [*parts, (TEXT, -1, True, True)]
    ]
    assert decode(b"".join(made)) == b"".join(content for content, kind, *_ in parts if kind < 0) + TEXT
    assert decode(b"".join(made[::-1])) == TEXT + b"".join(content for content, kind, *_ in parts[::-1] if kind < 0)


def test_frames_of_many_blocks_are_one_stream() -> None:
    assert decode(frame(NOISE) + skippable(bytes(70_000)) + frame(NOISE, sized=False)) == NOISE + NOISE


@pytest.mark.parametrize(
    "part",
    [
        skippable(b""),
        by_hand(block(RAW, 0, last=True)),
        frame(b""),
        by_hand(block(RAW, 0) * 99, block(RAW, 0, last=True)),
    ],
    ids=["skippable", "empty", "checksummed", "of 100 blocks"],
)
def test_too_many_frames_are_refused(part: bytes) -> None:
    data = part * (MAX_PARTS // 100 + 1) * (1 if len(part) > 300 else 100) + frame(TEXT)
    with pytest.raises(FrameError, match=f"more than {MAX_PARTS} zstd blocks and frames"):
        decode(data)


def test_too_many_blocks_are_refused_at_once() -> None:
    data = by_hand(block(RAW, 0) * 20_000_000, block(RAW, 0, last=True))
    begin = time.process_time()
    with pytest.raises(FrameError, match=f"more than {MAX_PARTS} zstd blocks and frames up to byte"):
        decode(data)
    assert time.process_time() - begin < 5  # walking all of them takes 19 s


@given(st.binary(max_size=5000), st.booleans(), st.booleans())
def test_frame_end_is_found_whatever_follows(content: bytes, checksum: bool, sized: bool) -> None:
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
        # behind two frames, and behind a skippable one; half a magic number of another frame
        (lambda data: data + data + b"\0" * 7, r"7 bytes follow the zstd frame, which ends at byte \d+ of \d+"),
        (lambda data: data + skippable(b"abc") + b"\0", "1 bytes follow the zstd frame"),
        (lambda data: data + MAGIC[:3], "3 bytes follow the zstd frame"),
        # a second frame, and skippable ones, that are cut off
        (lambda data: data + data[:-1], r"truncated zstd frame: \d+ bytes, expected \d+"),
        (lambda data: data + MAGIC, "end inside the frame header"),
        (lambda data: data + skippable(b"abc")[:-1], r"truncated skippable zstd frame: \d+ bytes, expected \d+"),
        (lambda data: data + skippable(b"")[:-1], "truncated skippable zstd frame: .* end inside its header"),
        (lambda data: skippable(b"abc", size=0xFFFFFFFF) + data, "truncated skippable zstd frame"),
        # skippable frames alone, and magic numbers next to theirs
        (lambda data: skippable(b"abc") * 2, "no zstd frame but skippable ones"),
        (lambda data: struct.pack("<II", 0x184D2A60, 0) + data, "not a zstd frame: begins with 602a4d18"),
        # the second frame's reserved bit, its checksum
        (lambda data: data + data[:4] + bytes([data[4] | 8]) + data[5:], "reserved bit"),
        (lambda data: data + data[:-1] + bytes([data[-1] ^ 1]), "corrupt zstd frame"),
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
def test_damaged_frame_is_refused_with_reason(damage: Callable[[bytes], bytes], message: str) -> None:
    with pytest.raises(FrameError, match=message):
        decode(damage(frame(TEXT)))


@pytest.mark.parametrize("content", [TEXT, NOISE[:200_000]], ids=["one block", "blocks"])
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("checksum", [True, False])
def test_every_truncation_is_refused(content: bytes, sized: bool, checksum: bool) -> None:
    data = frame(content, checksum=checksum, sized=sized)
    buffer = DecodeBuffer(1 << 20, MAX)
    for length in range(len(data)):
        with pytest.raises(FrameError, match=r"truncated|empty|not a zstd frame"):
            buffer.decode(data[:length], 0)


@pytest.mark.parametrize("sized", [True, False])
def test_flipped_bits_never_change_decoded_content(sized: bool) -> None:
    data, buffer = frame(TEXT, sized=sized), DecodeBuffer(1 << 20, MAX)
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            try:
                end = buffer.decode(bytes(changed), 0)
            except FrameError:
                continue
            assert bytes(buffer.view[:end]) == TEXT, f"bit {bit} of byte {at}"


@pytest.mark.parametrize("at", [0, 7, 3 * MAX])
@pytest.mark.parametrize("capacity", [0, 1, MAX - 1, MAX, MAX + 1, 4 * MAX])
def test_decoded_size_limit_is_inclusive(at: int, capacity: int) -> None:
    buffer = DecodeBuffer(capacity, MAX)
    assert buffer.decode(frame(bytes(MAX)), at) == at + MAX
    with pytest.raises(FrameError, match=f"decodes to more than {MAX} bytes"):
        buffer.decode(frame(bytes(MAX + 1)), at)


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
def test_zstd_bomb_is_refused_in_little_memory(bomb: bytes) -> None:
    with Peak() as peak, pytest.raises(FrameError, match=f"decodes to more than {MAX} bytes|corrupt zstd frame"):
        decode(bomb)
    assert peak.growth < 4 * MAX


def test_bomb_of_blocks_never_doubles_memory() -> None:
    # the blocks are compressed, so that only decoding tells their size
    packed = frame(b"ab" * (1 << 16), checksum=False, sized=False)
    first, size = 6, len(packed) - 9  # behind the header, before the empty last block
    assert (packed[first] >> 1 & 3, packed[-3:]) == (COMPRESSED, block(RAW, 0, last=True))
    many = packed[:first] + packed[first : first + size] * 5_000 + block(RAW, 0, last=True)
    limit = 64 * MAX
    with Peak() as peak, pytest.raises(FrameError, match=f"decodes to more than {limit} bytes"):
        decode(many, limit)
    assert peak.growth < limit + 2 * MAX


def test_stated_blocks_beyond_limit_allocate_nothing() -> None:
    bomb = by_hand(block(RLE, 131_072, b"x") * 24_000, block(RLE, 131_072, b"x", last=True))
    assert len(bomb) < 98_000
    with Peak() as peak, pytest.raises(FrameError, match=f"decodes to more than {1 << 30} bytes"):
        decode(bomb, 1 << 30)
    assert peak.growth < MAX


def test_growing_buffer_keeps_earlier_bytes() -> None:
    buffer, at, expected = DecodeBuffer(8, MAX), 0, b""
    for number in range(40):
        content = bytes([number]) * (number * 997)
        at = buffer.decode(frame(content), at)
        expected += content
        assert bytes(buffer.view[:at]) == expected
    assert len(buffer.view) < 2 * len(expected) + MAX


def test_earlier_slices_survive_buffer_growth() -> None:
    buffer = DecodeBuffer(8, MAX)
    end = buffer.decode(frame(TEXT), 0)
    before = buffer.view[:end]
    buffer.decode(frame(bytes(MAX)), end)
    assert bytes(before) == TEXT


def test_buffer_is_usable_after_damaged_frame() -> None:
    buffer = DecodeBuffer(8, MAX)
    end = buffer.decode(frame(TEXT), 0)
    for bad in (frame(NOISE)[:-9], frame(NOISE)[:-1] + b"\0", frame(bytes(MAX + 1))):
        with pytest.raises(FrameError):
            buffer.decode(bad, end)
    after = buffer.decode(frame(NOISE), end)
    assert bytes(buffer.view[:after]) == TEXT + NOISE


def test_frame_is_decoded_beyond_the_buffer() -> None:
    buffer = DecodeBuffer(4, MAX)
    buffer.view[:4] = b"abcd"
    assert buffer.decode(frame(b"xyz"), 100) == 103
    assert bytes(buffer.view[:4]) + bytes(buffer.view[100:103]) == b"abcdxyz"


@given(st.binary(max_size=60), st.data())
def test_own_bytes_are_appended_from_anywhere(content: bytes, data: st.DataObject) -> None:
    buffer = DecodeBuffer(100, MAX, start=data.draw(st.integers(0, 40)))
    at = data.draw(st.integers(buffer.end, 100 - len(content)))
    buffer.view[at : at + len(content)] = content
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    assert bytes(buffer.append(buffer.view, at + start, at + end)) == content[start:end] == bytes(buffer.content)


@given(st.lists(st.binary(max_size=60)), st.integers(0, 100))
def test_bytes_of_other_buffers_are_appended(pieces: list[bytes], capacity: int) -> None:
    buffer = DecodeBuffer(capacity, MAX, start=5)
    for piece in pieces:
        assert bytes(buffer.append(memoryview(b"<" + piece + b">"), 1, 1 + len(piece))) == piece
    assert bytes(buffer.content) == b"".join(pieces)


def test_bytes_behind_the_content_are_not_copied() -> None:
    buffer = DecodeBuffer(100, MAX)
    for content in (TEXT, NOISE):
        end = buffer.decode(frame(content), buffer.end)
        where, view = buffer.end, buffer.view
        written = buffer.append(view, where, end)
        assert buffer.view is view
        # the same memory, not equal bytes somewhere else
        view[where] ^= 1
        assert written[0] == view[where] != content[0]
        view[where] ^= 1
    assert bytes(buffer.content) == TEXT + NOISE


def test_bytes_beyond_a_view_are_never_appended() -> None:
    buffer = DecodeBuffer(100, MAX)
    with pytest.raises(ValueError, match="different structures"):
        buffer.append(memoryview(b"short"), 0, 6)


def test_cleared_buffer_appends_what_was_decoded_before() -> None:
    buffer = DecodeBuffer(100, MAX)
    first, second = buffer.decode(frame(b"abc"), 0), buffer.decode(frame(b"defg"), 3)
    buffer.append(buffer.view, 0, first)
    buffer.clear()
    buffer.append(buffer.view, first, second)
    assert bytes(buffer.content) == b"defg"


def test_shrinking_gives_back_grown_memory() -> None:
    buffer = DecodeBuffer(100, MAX, start=12)
    end = buffer.decode(frame(NOISE), 12)
    kept = buffer.append(buffer.view, 12, end)
    buffer.shrink()
    assert (len(buffer.view), buffer.end, bytes(buffer.content)) == (100, 12, b"")
    assert bytes(kept) == NOISE
