"""Reading an object: in one request, or as a seekable file by ranges."""

from __future__ import annotations

import io
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

import obstore

from bronze.errors import ObjectExistsError, ObjectNotFoundError, ObjectTooLargeError, StoreError, is_transient
from bronze.retry import RetryPolicy
from bronze.storage.object_store.errors import client_gave_up, translated
from bronze.storage.rate_limit import RateLimiter

if TYPE_CHECKING:
    from obstore import GetOptions, GetResult, ObjectMeta
    from obstore.store import ObjectStore as Client
    from typing_extensions import Buffer

#: Bytes that a small read requests (and keeps), and the most that any read requests at once.
_BUFFER_SIZE, MAX_RANGE = 4 << 20, 8 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectSource:
    """An object to be read.

    Attributes:
        client: retries by itself what it can.
        path: in the client's bucket.
        url: errors begin with it.
        retry: for what the client does not retry.
        rate_limit: of the bytes that a file opened here reads.
    """

    client: Client
    path: str
    url: str
    retry: RetryPolicy
    rate_limit: RateLimiter

    def get(
        self, options: GetOptions | None = None, max_bytes: int | None = None
    ) -> tuple[GetResult, ObjectMeta, memoryview]:
        """The answer, what it says of the object, and the object's bytes or the range asked for.

        Raises:
            ObjectTooLargeError: the object has more than `max_bytes` bytes; none of them is read.
            ObjectNotFoundError, ObjectExistsError: there is no object, or another version than the one asked for.
        """

        def attempt() -> tuple[GetResult, ObjectMeta, memoryview]:
            found = obstore.get(self.client, self.path, options=options)
            meta = found.meta  # a new dict each time it is asked for
            if max_bytes is not None and meta["size"] > max_bytes:
                raise ObjectTooLargeError(f"{self.url} has {meta['size']} bytes, more than the {max_bytes} allowed")
            return found, meta, memoryview(found.bytes())

        # The client resumes after a cut, but gives up at once when the object was replaced since.
        return self.retry.call(
            self.url,
            lambda: translated(self.url, attempt),
            lambda error: is_transient(error) and not client_gave_up(error),
            level=logging.DEBUG,
            operation="read",
        )

    def open(self) -> io.BufferedReader:
        """The object as a seekable file of the version that exists now. Raises `ObjectNotFoundError`."""
        meta = translated(self.url, lambda: obstore.head(self.client, self.path))
        return io.BufferedReader(_RangeReader(self, meta["size"], meta["e_tag"]), _BUFFER_SIZE)


class _RangeReader(io.RawIOBase):
    """Reads one version of the object: its size is known, and every range is requested with its ETag."""

    def __init__(self, source: ObjectSource, size: int, e_tag: str | None) -> None:
        super().__init__()
        self._source, self._size, self._e_tag = source, size, e_tag
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"position {base + offset} is before the beginning of the object")
        self._position = base + offset
        return self._position

    def tell(self) -> int:
        return self._position

    def readinto(self, buffer: Buffer) -> int:
        view = memoryview(buffer).cast("B")
        end = min(self._position + len(view), self._position + MAX_RANGE, self._size)
        if end <= self._position:
            return 0
        data = self._range(self._position, end)
        view[: len(data)] = data
        self._position += len(data)
        self._source.rate_limit.acquire(len(data))
        return len(data)

    def readall(self) -> bytes:
        # The rest is requested in few large ranges, not in the small pieces of the base class.
        data = bytearray(max(0, self._size - self._position))
        view, got = memoryview(data), 0
        while got < len(data):
            got += self.readinto(view[got:])
        return bytes(data)

    def _range(self, start: int, end: int) -> memoryview:
        url = self._source.url
        options: GetOptions = {"range": (start, end), "if_match": self._e_tag}
        try:
            _, _, data = self._source.get(options)
        except (ObjectExistsError, ObjectNotFoundError):
            raise StoreError(f"{url} was replaced or removed while it was read") from None
        if len(data) != end - start:
            raise StoreError(f"{url}: {len(data)} bytes came instead of bytes {start} to {end}")
        return data
