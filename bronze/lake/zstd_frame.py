"""Exactly one zstd frame, decoded into a buffer that is reused.

The decoders of zstandard end silently on a truncated frame and ignore what follows it, so the frame is
walked block by block first (RFC 8878, section 3.1.1): that needs a few dozen steps for a ledger and finds
exactly where a frame ends.
"""

from __future__ import annotations

import zstandard

from bronze.errors import FrameError

_MAGIC = b"\x28\xb5\x2f\xfd"
_FCS_BYTES = (0, 2, 4, 8)
_DICT_BYTES = (0, 1, 2, 4)
_RLE, _RESERVED = 1, 3
_MAX_BLOCK = 128 * 1024


def frame_end(data: bytes | memoryview) -> int:
    """The offset after the last byte of the frame at the start of `data`.

    Raises:
        FrameError: there is no frame, or `data` ends inside it.
    """
    if not data:
        raise FrameError("object is empty (0 bytes)")
    if data[:4] != _MAGIC:
        raise FrameError(f"not a zstd frame: begins with {data[:4].hex()}, expected {_MAGIC.hex()}")
    if len(data) < 6:
        raise FrameError(f"truncated zstd frame: {len(data)} bytes end inside the frame header")
    descriptor = data[4]
    if descriptor & 0x08:
        raise FrameError("zstd frame header has its reserved bit set (byte 4)")
    single_segment = bool(descriptor & 0x20)
    fcs = _FCS_BYTES[descriptor >> 6] or int(single_segment)
    at = 5 + (not single_segment) + _DICT_BYTES[descriptor & 3] + fcs
    last = False
    while not last:
        if at + 3 > len(data):
            raise FrameError(f"truncated zstd frame: {len(data)} bytes, the block header at {at} is missing")
        header = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        last, kind, size = bool(header & 1), header >> 1 & 3, header >> 3
        if kind == _RESERVED:
            raise FrameError(f"zstd block at byte {at} has the reserved type")
        if size > _MAX_BLOCK:
            raise FrameError(f"zstd block at byte {at} claims {size} bytes, at most {_MAX_BLOCK} are allowed")
        at += 3 + (1 if kind == _RLE else size)
    if descriptor & 0x04:
        at += 4
    if at > len(data):
        raise FrameError(f"truncated zstd frame: {len(data)} bytes, expected {at}")
    return at


class DecodeBuffer:
    """A buffer that frames are decoded into, behind the content that was appended before.

    Decoded bytes become content by `append`, which copies them only where they do not lie right behind it already.
    The memory only grows, so its address stays for as long as nothing larger comes.

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
        self.view = memoryview(bytearray(max(capacity, start)))
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
            self.view = memoryview(bytearray(self._capacity))

    def decode(self, data: bytes | memoryview, at: int) -> int:
        """Decode the single frame `data` to offset `at`; return the offset after its last byte.

        Bytes before `at` stay as they are; `end` does not change.

        Raises:
            FrameError: `data` is not exactly one whole frame, its checksum does not hold, or it decodes
                to more than `max_object` bytes.
        """
        end = frame_end(data)
        if end != len(data):
            raise FrameError(f"{len(data) - end} bytes follow the zstd frame, which ends at byte {end} of {len(data)}")
        limit = at + self._max_object
        filled = at
        # closefd: the source is in memory, there is nothing to close.
        with self._decoder.stream_reader(data, closefd=False) as reader:
            while True:
                if filled >= len(self.view):
                    if filled > limit:
                        raise FrameError(f"object decodes to more than {self._max_object} bytes")
                    self._grow(min(max(2 * filled, 1 << 20), limit + 1), filled)
                try:
                    got = reader.readinto(self.view[filled : limit + 1])
                except zstandard.ZstdError as error:
                    raise FrameError(f"corrupt zstd frame: {error}") from error
                if got == 0:
                    break
                filled += got
                if filled > limit:
                    raise FrameError(f"object decodes to more than {self._max_object} bytes")
        return filled

    def _grow(self, capacity: int, used: int) -> None:
        """Take larger memory, to which the first `used` bytes are copied; views of the old one keep their bytes."""
        grown = memoryview(bytearray(capacity))
        kept = self.view[:used]  # fewer when there was no room up to where the frame is to lie
        grown[: len(kept)] = kept
        self.view = grown
