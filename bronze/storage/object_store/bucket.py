"""One bucket and the prefix used in it: paths, clients, limits, and the requests that everything else is made of."""

from __future__ import annotations

import io
import logging
import re
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import obstore

from bronze.errors import ObjectNotFoundError, StoreError
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.checksums import ObjectChecksums
from bronze.storage.object_store.clients import DEFAULT_RETRIES, Clients
from bronze.storage.object_store.errors import translated
from bronze.storage.object_store.gcs import GcsProvider
from bronze.storage.object_store.listing import BucketObject, Page, list_pages
from bronze.storage.object_store.reader import ObjectSource
from bronze.storage.object_store.s3 import S3Provider
from bronze.storage.rate_limit import RateLimiter
from bronze.storage.store import TEMPORARY, ListEntry, checked_key, join

if TYPE_CHECKING:
    from obstore import GetResult, ObjectMeta, PutMode
    from obstore.store import ObjectStore as Client

    from bronze.storage.object_store.provider import ObjectServiceApi

#: For requests that must not be repeated blindly, or that the client does not retry.
REQUEST_RETRY = RetryPolicy(attempts=8, backoff_ms=100, max_delay_s=10.0)
#: The attribute of a small object that says who wrote it.
WRITER_ATTRIBUTE = "bronze-writer"

_STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
#: The end of a temporary object's key.
_STAMP = re.compile(r"\.(\d{8}T\d{6}Z)\.[0-9a-f]{16}$")
#: Characters of an object's name that its temporary key shows.
_MAX_NAME_CHARACTERS = 100


class Bucket:
    """The prefix of a location, and what is needed to use it. Safe to share between threads.

    Methods raise `AccessDeniedError`, `ConfigError` when the bucket does not exist, and `StoreError` for transient
    failures.

    Attributes:
        location: in a bucket.
        url: of the prefix, for people; holds no secret.
        service: what differs between services.
        clients, checksums: of the bucket.
        upload_limit, download_limit: shared by all transfers.
        largest_object: bytes that a published object may have.
        retry: for requests that the clients do not retry.
        clock: seconds since 1970.

    Args:
        client_retries: how often the clients retry a request by themselves.
    """

    def __init__(
        self,
        location: StorageLocation,
        *,
        clock: Callable[[], float] = time.time,
        retry: RetryPolicy = REQUEST_RETRY,
        client_retries: int = DEFAULT_RETRIES,
    ) -> None:
        self.location = location
        self.url = f"{location.scheme}://{join(location.bucket, location.prefix)}"
        self.clock = clock
        self.retry = retry
        self.service: ObjectServiceApi = (
            S3Provider(location) if location.scheme == "s3" else GcsProvider(location, retry)
        )
        self.clients = Clients(self.service, clock, retries=client_retries)
        self.checksums = ObjectChecksums(self.service, self.clients.retrying, clock)
        self.largest_object = self.service.largest_object
        self.upload_limit = RateLimiter(location.max_upload_mb_s)
        self.download_limit = RateLimiter(location.max_download_mb_s)

    def path(self, key: str) -> str:
        """The key's path in the bucket."""
        checked_key(key)
        return f"{self.location.prefix}/{key}" if self.location.prefix else key

    def object_url(self, key: str) -> str:
        """The object as people know it."""
        return f"{self.url}/{key}"

    def temporary_key(self, name: str) -> str:
        """A new temporary key for what becomes `name`: shows the beginning of the name, and the time."""
        stamp = datetime.fromtimestamp(self.clock(), UTC).strftime(_STAMP_FORMAT)
        return f"{TEMPORARY}/{name[:_MAX_NAME_CHARACTERS]}.{stamp}.{secrets.token_hex(8)}"

    def call(self, key: str, function: Callable[[], object]) -> None:
        """Call the obstore client; errors begin with the URL of `key`."""
        translated(self.object_url(key), function)

    def size(self, key: str) -> int:
        """Bytes of the object. Raises `ObjectNotFoundError`."""
        path = self.path(key)
        return translated(self.object_url(key), lambda: obstore.head(self.clients.retrying, path))["size"]

    def get(self, key: str, max_bytes: int | None = None) -> tuple[memoryview, ObjectMeta, GetResult]:
        """The whole object, what the answer says of it, and the answer; see `ObjectSource.get` for the errors."""
        answer, meta, data = self._source(key).get(max_bytes=max_bytes)
        self.download_limit.acquire(len(data))
        if len(data) != meta["size"]:
            raise StoreError(f"{self.object_url(key)}: {len(data)} bytes came instead of {meta['size']}")
        return data, meta, answer

    def open_read(self, key: str) -> io.BufferedReader:
        """The object as a seekable file; reading raises `StoreError` once the object is replaced."""
        return self._source(key).open()

    def put(self, client: Client, key: str, data: bytes, mode: PutMode, token: str) -> None:
        """Write a small object in one request by one of the `clients`, with a token of its writer.

        Raises:
            ObjectExistsError: the condition `mode` does not hold.
        """
        path, attributes = self.path(key), {WRITER_ATTRIBUTE: token}
        self.upload_limit.acquire(len(data))
        self.call(key, lambda: obstore.put(client, path, data, mode=mode, use_multipart=False, attributes=attributes))

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        path = self.path(key)
        with suppress(ObjectNotFoundError):
            self.call(key, lambda: obstore.delete(self.clients.retrying, path))

    def abort_uploads(self, key: str) -> None:
        """Abort the unfinished multipart uploads to `key`."""
        path = self.path(key)
        for upload in self.service.list_multipart_uploads(path):
            if upload.path == path:
                self.service.abort_multipart_upload(upload)

    def list_pages(self, base: str, *, after: str | None = None) -> Iterator[list[BucketObject]]:
        """All objects below the path `base` of the bucket, in the order of their paths; each page when it is needed.

        Args:
            after: only objects whose paths come after this one.
        """
        for page in self._pages(base, delimiter=False, after=after or ""):
            yield page.objects

    def list_objects(self, base: str, *, after: str = "") -> Iterator[BucketObject]:
        """The objects directly below the path `base` of the bucket, in name order; each page when it is needed.

        Args:
            after: only objects whose paths come after this one.
        """
        for page in self._pages(base, delimiter=True, after=after):
            yield from page.objects

    def list_level(self, base: str) -> list[ListEntry]:
        """The direct children of the path `base` of the bucket, in name order; in one listing."""
        start = len(base) + 1 if base else 0
        entries = []
        for page in self._pages(base, delimiter=True):
            entries += [ListEntry(found.path[start:], False) for found in page.objects]
            entries += [ListEntry(path[start:].removesuffix("/"), True) for path in page.prefixes]
        return sorted(entries, key=lambda entry: entry.name)

    def _pages(self, base: str, *, delimiter: bool, after: str = "") -> Iterator[Page]:
        url = self._base_url(base)

        def send(params: Mapping[str, str]) -> bytes:
            return self.retry.call(
                url, lambda: self.service.list_request(params), level=logging.DEBUG, operation="list"
            )

        return list_pages(send, f"{base}/" if base else "", delimiter=delimiter, after=after, url=url)

    def _base_url(self, base: str) -> str:
        return f"{self.location.scheme}://{join(self.location.bucket, base)}"

    def _source(self, key: str) -> ObjectSource:
        return ObjectSource(
            client=self.clients.retrying,
            path=self.path(key),
            url=self.object_url(key),
            retry=self.retry,
            rate_limit=self.download_limit,
        )


def created_at(key: str, default: float) -> float:
    """When a temporary object was begun, in seconds since 1970, whatever the service's clock says.

    Args:
        key: of `Bucket.temporary_key`, or a path that ends with it.
        default: for keys of another form.
    """
    match = _STAMP.search(key)
    return datetime.strptime(match[1], _STAMP_FORMAT).replace(tzinfo=UTC).timestamp() if match else default
