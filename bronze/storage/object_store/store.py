"""The store in a bucket of S3, of a compatible service, or of Google Cloud Storage."""

from __future__ import annotations

import contextlib
import io
import secrets
import time
from collections.abc import Callable, Generator, Iterator
from typing import NoReturn

from bronze.errors import ObjectNotFoundError
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.bucket import REQUEST_RETRY, Bucket
from bronze.storage.object_store.cleanup import remove_leftovers
from bronze.storage.object_store.clients import DEFAULT_RETRIES
from bronze.storage.object_store.conditional import create_object, update_object
from bronze.storage.object_store.probe import check_conditional_writes
from bronze.storage.object_store.upload import ObjectUpload
from bronze.storage.store import Change, ListedObject, ListEntry, checked_key, join

#: Smaller objects are copied: each may be part of the connection's buffer (8 to 400 KB) and keep all of that alive.
_SMALLEST_VIEW = 64 << 10


class ObjectStore:
    """Objects below the prefix of a location; see `bronze.storage.store.Store` for what each method promises.

    Safe to share between threads. Beyond the errors of the port, any method raises `AccessDeniedError`, `ConfigError`
    when the bucket does not exist, and `StoreError` for transient failures.

    Attributes:
        bucket: the bucket and how it is used.

    Args:
        location: in a bucket.
        clock: seconds since 1970.
        retry, client_retries: see `Bucket`.
    """

    supports_locking = False
    is_remote = True
    #: A service does not show whether the writer of a temporary object is alive.
    tells_dead_writers = False

    def __init__(
        self,
        location: StorageLocation,
        *,
        clock: Callable[[], float] = time.time,
        retry: RetryPolicy = REQUEST_RETRY,
        client_retries: int = DEFAULT_RETRIES,
    ) -> None:
        self.location = location
        self.bucket = Bucket(location, clock=clock, retry=retry, client_retries=client_retries)
        self.url = self.bucket.url

    def __repr__(self) -> str:
        return f"ObjectStore({self.location!r})"

    def __reduce__(self) -> NoReturn:
        # The client would put its secrets into the pickle.
        raise TypeError("an ObjectStore cannot be pickled: send its location and call open_store() there")

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `Store`."""
        return bytes(self.bucket.get(key, max_bytes)[0])

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """See `Store`."""
        data = self.bucket.get(key, max_bytes)[0]
        return data if len(data) >= _SMALLEST_VIEW else memoryview(bytes(data))

    def size(self, key: str) -> int | None:
        """See `Store`; None too when the bucket does not exist, which the service does not tell apart."""
        try:
            return self.bucket.size(key)
        except ObjectNotFoundError:
            return None

    def open_read(self, key: str) -> io.BufferedReader:
        """See `Store`; reading raises `StoreError` once the object is replaced."""
        return self.bucket.open_read(key)

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        """See `Store`; a prefix that holds only objects is listed no further than the caller iterates.

        (In a prefix of more than 1,000 children, objects named like ``b.txt`` can come before a prefix ``b``.)
        """
        base = self.bucket.path(prefix) if prefix else self.location.prefix
        start = len(base) + 1 if base else 0
        last = after
        for page in self.bucket.list_pages(base, after=join(base, after) if after else None):
            names = [found.path[start:] for found in page]
            if any("/" in name for name in names):
                # None of its prefixes was met before, wherever their names belong.
                level = self.bucket.list_level(base)
                yield from (entry for entry in level if entry.name > (after if entry.is_prefix else last))
                return
            for name in names:
                yield ListEntry(name, False)
                last = name

    def list_objects(self, prefix: str, *, after: str = "") -> Generator[ListedObject, None, None]:
        """See `Store`; 1,000 names a request."""
        base = self.bucket.path(prefix) if prefix else self.location.prefix
        start = len(base) + 1 if base else 0
        for found in self.bucket.list_objects(base, after=join(base, after) if after else ""):
            yield ListedObject(found.path[start:], found.size)

    def list_directories(self, prefix: str) -> Iterator[tuple[str, frozenset[str]]]:
        """See `Store`; 1,000 objects a request, whatever the number of directories."""
        base = self.bucket.path(prefix) if prefix else self.location.prefix
        start = len(base) + 1 if base else 0
        found: dict[str, set[str]] = {}
        for page in self.bucket.list_pages(base):
            for listed in page:
                directory, slash, name = listed.path[start:].partition("/")
                if slash:
                    own, deeper, _ = name.partition("/")
                    found.setdefault(directory, set()).add(own + deeper)
        yield from ((directory, frozenset(names)) for directory, names in sorted(found.items()))

    def create(self, key: str, data: bytes) -> None:
        """See `Store`."""
        create_object(self.bucket, key, data)

    def replace(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self.bucket.put(self.bucket.clients.retrying, key, data, "overwrite", secrets.token_hex(16))

    def update(self, key: str, change: Change) -> bytes | None:
        """See `Store`."""
        return update_object(self.bucket, key, change)

    def delete(self, key: str) -> None:
        """See `Store`."""
        self.bucket.delete(key)

    def ensure_durable(self, key: str) -> None:
        """See `Store`: the service keeps what it shows."""

    def upload(self, key: str, *, caller_hashes: bool = False) -> ObjectUpload:
        """See `Store`."""
        return ObjectUpload(self.bucket, checked_key(key), caller_hashes=caller_hashes)

    @contextlib.contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        """Exclude nobody: only conditional writes keep writers apart here."""
        if prefix:
            checked_key(prefix)
        yield

    @contextlib.contextmanager
    def exclusive(self, name: str, *, holder: str, wait_s: float) -> Iterator[None]:
        """Exclude nobody, like `lock`."""
        yield

    def check_conditional_writes(self) -> list[str]:
        """See `Store`; that conditions are ignored is no error with `StorageLocation.allow_unconditional`."""
        return check_conditional_writes(self.bucket)

    def remove_leftovers(self) -> list[str]:
        """See `Store` and `bronze.storage.object_store.cleanup`: only what is older than a day."""
        return remove_leftovers(self.bucket)
