"""A whole zstd stream and nothing but it, decoded into a buffer that is reused.

Galexie writes one frame for each object; a stream of several frames, or with skippable ones, is as good (RFC 8878).
The decoders of zstandard end silently on a truncated frame and ignore what follows it, so the stream is
walked block by block first (RFC 8878, section 3.1): that needs a few dozen steps for a ledger and finds
exactly where each frame ends.
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from hashlib import sha256

import zstandard

from bronze.errors import FrameError

_MAGIC = b"\x28\xb5\x2f\xfd"
#: The first byte of a skippable frame has any low half; these are its other three.
_SKIPPABLE = b"\x2a\x4d\x18"
_FCS_BYTES = (0, 2, 4, 8)
_DICT_BYTES = (0, 1, 2, 4)
_RAW, _RLE, _COMPRESSED, _RESERVED = range(4)
_MAX_BLOCK = 128 * 1024
#: Blocks and frames that one object may have, in sum (as full blocks, 32 GiB): this bounds the time of walking them.
MAX_PARTS = 1 << 18


def frame_end(data: bytes | memoryview, start: int = 0) -> int:
    """The offset after the last byte of the frame that begins at offset `start` of `data`.

    Raises:
        FrameError: there is no frame, `data` ends inside it, or it has more than `MAX_PARTS` blocks.
    """
    if len(data) == start:
        raise FrameError(f"object is empty ({len(data)} bytes)")
    if data[start : start + 4] != _MAGIC:
        found = data[start : start + 4].hex()
        raise FrameError(f"not a zstd frame: begins with {found}, expected {_MAGIC.hex()}")
    at = _first_block(data, start)
    for _ in range(MAX_PARTS):
        if at + 3 > len(data):
            raise FrameError(f"truncated zstd frame: {len(data)} bytes, the block header at {at} is missing")
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        kind, size = header >> 1 & 3, header >> 3
        if kind == _RESERVED:
            raise FrameError(f"zstd block at byte {at} has the reserved type")
        if size > _MAX_BLOCK:
            raise FrameError(f"zstd block at byte {at} claims {size} bytes, at most {_MAX_BLOCK} are allowed")
        at += 3 + (1 if kind == _RLE else size)
        if header & 1:
            break
    else:
        raise _too_many_parts(at, len(data))
    if data[start + 4] & 0x04:
        at += 4
    if at > len(data):
        raise FrameError(f"truncated zstd frame: {len(data)} bytes, expected {at}")
    return at


def count_frames(data: bytes | memoryview) -> int:
    """Check that `data` is whole zstd frames and nothing else; return their number, skippable frames included.

    Raises:
        FrameError: there is no frame but skippable ones, one is cut off, something that is not a frame follows the
            last, or there are too many.
    """
    parts = frames = contents = at = 0
    while at < len(data) or not frames:
        if _is_skippable(data, at):
            end = _skippable_end(data, at)
        elif frames and data[at : at + 4] != _MAGIC:
            raise FrameError(f"{len(data) - at} bytes follow the zstd frame, which ends at byte {at} of {len(data)}")
        else:
            end = frame_end(data, at)
            if not frames and end == len(data):
                return 1
            contents += 1
            parts += sum(1 for _ in _blocks(data, at))
        frames, parts, at = frames + 1, parts + 1, end
        if parts > MAX_PARTS:
            raise _too_many_parts(at, len(data))
    if not contents:
        raise FrameError(f"no zstd frame but skippable ones ({len(data)} bytes)")
    return frames


def content_bounds(data: bytes | memoryview) -> tuple[int, int]:
    """The least and the most bytes that a stream of whole frames can decode to, as its blocks' headers state."""
    least = most = at = 0
    while at < len(data):
        if _is_skippable(data, at):
            at = _skippable_end(data, at)
            continue
        for kind, size in _blocks(data, at):
            least += 0 if kind == _COMPRESSED else size
            most += _MAX_BLOCK if kind == _COMPRESSED else size
        at = frame_end(data, at)
    return least, most


def content_digest(data: bytes | memoryview, max_content: int | None) -> bytes:
    """SHA-256 of what a whole stream decodes to.

    Args:
        max_content: most bytes that it may decode to; None: any number.

    Raises:
        FrameError: as `DecodeBuffer.decode`.
    """
    digest, size = sha256(), 0
    scratch = memoryview(bytearray(_MAX_BLOCK))
    decoder = zstandard.ZstdDecompressor()
    frames = count_frames(data)
    with decoder.stream_reader(data, read_across_frames=frames > 1, closefd=False) as reader:
        while True:
            try:
                got = reader.readinto(scratch)
            except zstandard.ZstdError as error:
                raise FrameError(f"corrupt zstd frame: {error}") from error
            if got == 0:
                return digest.digest()
            size += got
            if max_content is not None and size > max_content:
                raise FrameError(f"object decodes to more than {max_content} bytes")
            digest.update(scratch[:got])


def _first_block(data: bytes | memoryview, start: int) -> int:
    """Offset of the first block of the frame that begins at `start`."""
    if len(data) < start + 6:
        raise FrameError(f"truncated zstd frame: {len(data)} bytes end inside the frame header")
    descriptor = data[start + 4]
    if descriptor & 0x08:
        raise FrameError(f"zstd frame header has its reserved bit set (byte {start + 4})")
    single_segment = bool(descriptor & 0x20)
    fcs = _FCS_BYTES[descriptor >> 6] or int(single_segment)
    return start + 5 + (not single_segment) + _DICT_BYTES[descriptor & 3] + fcs


def _blocks(data: bytes | memoryview, start: int) -> Iterator[tuple[int, int]]:
    """Kind and stated size of each block of the whole frame that begins at `start`."""
    at, header = _first_block(data, start), 0
    while not header & 1:
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        kind, size = header >> 1 & 3, header >> 3
        yield kind, size
        at += 3 + (1 if kind == _RLE else size)


def _is_skippable(data: bytes | memoryview, at: int) -> bool:
    return at < len(data) and data[at] >> 4 == 5 and data[at + 1 : at + 4] == _SKIPPABLE


def _skippable_end(data: bytes | memoryview, at: int) -> int:
    if at + 8 > len(data):
        raise FrameError(f"truncated skippable zstd frame: {len(data)} bytes end inside its header at byte {at}")
    end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
    if end > len(data):
        raise FrameError(f"truncated skippable zstd frame: {len(data)} bytes, expected {end}")
    return end


def _too_many_parts(at: int, size: int) -> FrameError:
    return FrameError(f"more than {MAX_PARTS} zstd blocks and frames up to byte {at} of {size}")


class DecodeBuffer:
    """A buffer that frames are decoded into, behind the content that was appended before.

    Decoded bytes become content by `append`, which copies them only where they do not lie right behind it already.
    The memory only grows, so its address stays for as long as nothing larger comes. What was never written takes none.

    Args:
        capacity: bytes to begin with.
        max_object: most bytes that one frame may decode to.
        start: offset where the content begins; the bytes before are the caller's.

    Attributes:
        view: the whole memory; another one once the buffer has grown or shrunk.
        end: offset behind the content.
    """

    def __init__(self, capacity: int, max_object: int, *, start: int = 0) -> None:
        self._capacity = capacity
        self._max_object = max_object
        self._start = start
        self._decoder = zstandard.ZstdDecompressor()
        self.view = _memory(max(capacity, start))
        self.end = start

    @property
    def content(self) -> memoryview:
        """What was appended, back to back."""
        return self.view[self._start : self.end]

    def append(self, view: memoryview, start: int, end: int) -> memoryview:
        """Append the bytes `start`..`end` (end exclusive) of `view` to the content; return where they lie now.

        Bytes of this buffer that lie right behind the content stay where they are, others of it are moved there
        (the two places may overlap), those of another buffer are copied.
        """
        at, filled = self.end, self.end + end - start
        if view is not self.view or start != at:
            if filled > len(self.view):
                self._grow(max(2 * at, filled), at)
            self.view[at:filled] = view[start:end]
        self.end = filled
        return self.view[at:filled]

    def clear(self) -> None:
        """Begin with new content. The memory stays, and what was decoded behind the content can still be appended."""
        self.end = self._start

    def shrink(self) -> None:
        """Begin with new content, and give back what an unusually large frame made the memory grow by."""
        self.clear()
        if len(self.view) > 2 * self._capacity:
            self.view = _memory(self._capacity)

    def decode(self, data: bytes | memoryview, at: int) -> int:
        """Decode the whole stream `data` to offset `at`; return the offset after its last byte.

        Bytes before `at` stay as they are; `end` does not change.

        Raises:
            FrameError: `data` is not exactly one or more whole frames, a checksum does not hold, or it decodes
                to more than `max_object` bytes.
        """
        frames = count_frames(data)
        limit = at + self._max_object
        filled = at
        # closefd: the source is in memory, there is nothing to close.
        with self._decoder.stream_reader(data, read_across_frames=frames > 1, closefd=False) as reader:
            while True:
                if filled >= len(self.view):
                    self._make_room(data, at, filled, limit)
                try:
                    got = reader.readinto(self.view[filled : limit + 1])
                except zstandard.ZstdError as error:
                    raise FrameError(f"corrupt zstd frame: {error}") from error
                if got == 0:
                    break
                filled += got
                if filled > limit:
                    raise self._too_large()
        return filled

    def _make_room(self, data: bytes | memoryview, at: int, filled: int, limit: int) -> None:
        """Grow, once for each object: to the most that `data` can decode to at `at`, but not beyond `limit` + 1."""
        least, most = content_bounds(data)
        if filled > limit or at + least > limit:
            raise self._too_large()
        # One byte more, so that the end of the stream is seen without growing again; and by an eighth at least, so that
        # objects that are each a little larger than the one before do not make it grow each time.
        needed = max(at + most, filled) + 1
        self._grow(min(max(needed, len(self.view) * 9 // 8), limit + 1), filled)

    def _too_large(self) -> FrameError:
        return FrameError(f"object decodes to more than {self._max_object} bytes")

    def _grow(self, capacity: int, used: int) -> None:
        """Take larger memory, to which the first `used` bytes are copied; views of the old one keep their bytes."""
        grown = _memory(capacity)
        kept = self.view[:used]  # fewer when there was no room up to where the frame is to lie
        grown[: len(kept)] = kept
        self.view = grown


def _memory(size: int) -> memoryview:
    """Zeros that become memory once they are written; a bytearray would write them all."""
    return memoryview(mmap.mmap(-1, max(size, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))[:size]
