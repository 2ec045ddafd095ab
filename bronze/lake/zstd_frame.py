"""One zstd frame, whole and nothing but it, decoded into a buffer that is reused.

The decoders of zstandard end silently on a truncated frame and ignore what follows it, so the frame is
walked block by block first (RFC 8878, section 3.1.1): that needs a few dozen steps for a ledger and says
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
    """Where the frame at the start of `data` ends: the offset after its last byte.

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
    """A buffer that many frames are decoded into, one behind the other.

    It only grows, so its address stays for as long as nothing larger comes.

    Args:
        capacity: bytes to begin with.
        max_object: most bytes that one frame may decode to.
    """

    def __init__(self, capacity: int, max_object: int) -> None:
        self._max_object = max_object
        self._decoder = zstandard.ZstdDecompressor()
        self.buffer = bytearray(capacity)
        self.view = memoryview(self.buffer)

    def decode(self, data: bytes | memoryview, at: int) -> int:
        """Decode the single frame `data` to offset `at`; return the offset after its last byte.

        Bytes before `at` stay as they are. `view` may be another one afterwards.

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
                if filled >= len(self.buffer):
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

    def move(self, start: int, end: int, to: int) -> None:
        """Copy the bytes `start`..`end` (end exclusive) to offset `to`; the two places may overlap."""
        self.view[to : to + end - start] = self.view[start:end]

    def put(self, data: memoryview, at: int) -> None:
        """Copy `data`, which lies in another buffer, to offset `at`; bytes before `at` stay."""
        if at + len(data) > len(self.buffer):
            self._grow(max(2 * at, at + len(data)), at)
        self.view[at : at + len(data)] = data

    def _grow(self, capacity: int, used: int) -> None:
        grown = bytearray(capacity)
        kept = self.view[:used]  # fewer when there was no room up to where the frame is to lie
        grown[: len(kept)] = kept
        self.buffer = grown
        self.view = memoryview(grown)
