"""What differs between services, as a protocol: `S3Provider` (s3.py) and `GcsProvider` (gcs.py) implement it."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from bronze.storage.certificates import ca_certificates
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.endpoints import endpoint_of
from bronze.storage.object_store.redirects import redirect_barrier

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Client

#: Bytes of a part of a multipart upload, and how many parts S3 and Google accept.
PART_SIZE, MAX_PARTS = 8 << 20, 10_000

#: How long the client may retry one request.
_RETRY_TIMEOUT = timedelta(minutes=3)


@dataclass(frozen=True, slots=True)
class ObjectDigest:
    """What a service states of an object: size in bytes, ETag without quotes, and the checksum when it has one."""

    size: int
    e_tag: str
    checksum: int | None


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """A multipart upload in progress, or abandoned: its path in the bucket; `begun` in seconds since 1970."""

    path: str
    upload_id: str
    begun: float


class ObjectServiceApi(Protocol):
    """One bucket of a service. Safe to share between threads.

    Methods that send requests raise `ObjectNotFoundError`, `AccessDeniedError` or `StoreError`.
    """

    @property
    def largest_object(self) -> int:
        """Bytes that a published object may have: it is copied by the service in one request."""
        ...

    def client(self, *, retries: int, headers: dict[str, str] | None = None, unsigned_payload: bool = False) -> Client:
        """A new obstore client.

        Args:
            retries: how often it retries a request by itself (5xx, 429, 408, dropped connections).
            headers: sent with every request.
            unsigned_payload: leave the hash of the body out of the signature, where the service has such signatures.
        """
        ...

    def publishing_headers(self, now: float) -> dict[str, str]:
        """The headers of requests that create objects which stay (storage class, lock); `now` in seconds since 1970."""
        ...

    def extend_checksum(self, checksum: int, data: memoryview) -> int:
        """The checksum that the service states, of some bytes followed by `data`; that of no bytes is 0."""
        ...

    def stated_digest(self, path: str) -> ObjectDigest:
        """What the service states of the object at `path` of the bucket.

        Raises:
            LookupError, ValueError: the answer lacks a field, or has an invalid one.
        """
        ...

    def list_request(self, params: Mapping[str, str]) -> bytes:
        """The answer to one list request (the second version of S3's) with `params`, at most `PAGE_BYTES` long."""
        ...

    def list_multipart_uploads(self, prefix: str) -> Iterator[MultipartUpload]:
        """The unfinished multipart uploads whose paths begin with `prefix`."""
        ...

    def abort_multipart_upload(self, upload: MultipartUpload) -> None:
        """Remove an unfinished upload and its parts; nothing happens when it is gone."""
        ...


def parse_checksum(stated: str | None) -> int | None:
    """A checksum in base64, as services write it; None where there is none, or something else."""
    try:
        return int.from_bytes(base64.b64decode(stated, validate=True)) if stated else None
    except ValueError:
        return None


def client_options(location: StorageLocation, headers: dict[str, str] | None) -> ClientConfig:
    """The HTTP options of an obstore client."""
    endpoint = endpoint_of(location)
    plain = bool(endpoint and endpoint.startswith("http://"))
    authorities = None if plain else ca_certificates()
    return {
        "timeout": timedelta(seconds=location.request_timeout_s),
        "connect_timeout": timedelta(seconds=min(5.0, location.request_timeout_s)),
        "allow_http": plain,
        **({"root_certificate": authorities} if authorities else {}),
        **redirect_barrier(location),
        **({"default_headers": headers} if headers else {}),
    }


def retry_config(retries: int) -> RetryConfig:
    """The retry options of an obstore client."""
    return {"max_retries": retries, "retry_timeout": _RETRY_TIMEOUT}
