"""An object as a seekable file, read by ranges."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import obstore

from bronze.errors import ObjectExistsError, ObjectNotFoundError, ObjectTooLargeError, StoreError, is_transient
from bronze.storage.object_store.errors import call, gave_up_after_retries, repeated
from bronze.storage.rate_limit import RateLimiter

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ObjectStore as Client
    from typing_extensions import Buffer

#: Bytes that a small read asks for (and keeps), and that any read asks for at once.
_BUFFER, LARGEST = 4 << 20, 8 << 20


def open_reader(client: Client, path: str, where: str, bandwidth: RateLimiter) -> io.BufferedReader:
    """The object at `path` of the client's bucket; errors begin with `where`. Raises `ObjectNotFoundError`."""
    meta = call(where, lambda: obstore.head(client, path))
    return io.BufferedReader(_Ranges(client, path, where, bandwidth, meta["size"], meta["e_tag"]), _BUFFER)


def get(
    client: Client, path: str, where: str, options: GetOptions | None = None, max_bytes: int | None = None
) -> tuple[GetResult, ObjectMeta, memoryview]:
    """An answer, what it says of the object, and the object's bytes or the range asked for.

    Raises:
        ObjectTooLargeError: the object has more than `max_bytes` bytes; none of them is read.
        ObjectNotFoundError, ObjectExistsError: nothing lies there, or another version than the one asked for.
    """

    def once() -> tuple[GetResult, ObjectMeta, memoryview]:
        found = obstore.get(client, path, options=options)
        meta = found.meta  # made anew each time it is asked for
        if max_bytes is not None and meta["size"] > max_bytes:
            raise ObjectTooLargeError(f"{where} has {meta['size']} bytes, more than the {max_bytes} allowed")
        return found, meta, memoryview(found.bytes())

    # The client goes on after a cut, but gives up at once when the object was replaced since.
    return repeated(lambda: call(where, once), lambda error: is_transient(error) and not gave_up_after_retries(error))


class _Ranges(io.RawIOBase):
    """Reads one version of the object: its size is known, and every range is asked for with its ETag."""

    def __init__(
        self, client: Client, path: str, where: str, bandwidth: RateLimiter, size: int, e_tag: str | None
    ) -> None:
        super().__init__()
        self._client, self._path, self._where, self._bandwidth = client, path, where, bandwidth
        self._size, self._e_tag = size, e_tag
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the object's beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._at + len(view), self._at + LARGEST, self._size)
        if end <= self._at:
            return 0
        data = self._range(self._at, end)
        view[: len(data)] = data
        self._at += len(data)
        self._bandwidth.acquire(len(data))
        return len(data)

    def readall(self) -> bytes:
        # The whole rest is asked for in few requests, not in the small pieces of the base class.
        data = bytearray(max(0, self._size - self._at))
        view, got = memoryview(data), 0
        while got < len(data):
            got += self.readinto(view[got:])
        return bytes(data)

    def _range(self, start: int, end: int) -> memoryview:
        options: GetOptions = {"range": (start, end), "if_match": self._e_tag}
        try:
            _, _, data = get(self._client, self._path, self._where, options)
        except (ObjectExistsError, ObjectNotFoundError):
            raise StoreError(f"{self._where} was replaced or removed while it was read") from None
        if len(data) != end - start:
            raise StoreError(f"{self._where}: {len(data)} bytes came instead of bytes {start} to {end}")
        return data
