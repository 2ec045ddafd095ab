"""The connections to a bucket: all that differs between S3 and Google Cloud Storage."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from obstore.store import GCSStore, S3Store

from bronze.storage.location import StorageLocation

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult, UpdateVersion
    from obstore.store import ClientConfig, RetryConfig
    from obstore.store import ObjectStore as Client

#: S3 copies at most 5 GiB at once, and a published object is a copy.
S3_LARGEST = 5 << 30
#: Parts of an upload: their size, and how many S3 and Google take.
PART, MOST_PARTS = 8 << 20, 10_000
GCS_LARGEST = PART * MOST_PARTS

#: Repeats of a request that is safe to repeat (5xx, 429, 408, dropped connections), and how long they may take.
_RETRIES = 10
_RETRY_TIMEOUT = timedelta(minutes=3)


class Clients:
    """The clients for one place; made when they are first needed. Safe to share between threads.

    Attributes:
        largest: bytes that a published object may have.
    """

    def __init__(self, location: StorageLocation, clock: Callable[[], float]) -> None:
        self._place = location
        self._make = _s3 if location.scheme == "s3" else _gcs
        self._clock = clock
        self._lock = threading.Lock()
        self._final: tuple[str, Client] | None = None
        self.largest = S3_LARGEST if location.scheme == "s3" else GCS_LARGEST
        #: Repeats by itself what fails: for reading, and for writing where the last writer wins.
        self.retrying = self._make(location, _RETRIES, {})
        #: Like `patient`, for large objects: what arrived is compared afterwards, so S3 requests leave out its hash.
        self.bulk_upload = self._make(location, _RETRIES, {}, unsigned=True)
        #: Sends each request once: for writing on a condition, where an answer lost must be noticed.
        self.single_attempt = self._make(location, 0, {})

    @property
    def publishing(self) -> Client:
        """Like `once`, for objects that stay: they get the storage class and the lock of the place."""
        headers = _final_headers(self._place, self._clock())
        if not headers:
            return self.single_attempt
        with self._lock:
            if self._final is None or self._final[0] != str(headers):
                self._final = str(headers), self._make(self._place, 0, headers)
            return self._final[1]


def endpoint_of(location: StorageLocation) -> str | None:
    """The address of the service when it is not Amazon's or Google's own, without a slash at its end."""
    if location.scheme == "s3":
        found = location.endpoint or os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    else:
        found = location.endpoint or emulator()
    return found.rstrip("/") if found else None


def path_style(location: StorageLocation) -> bool:
    """Whether an S3 bucket is named in the path of requests, not in the host (whose certificate knows no more dots)."""
    return endpoint_of(location) is not None or "." in location.bucket


def emulator() -> str | None:
    """The address of a Google Cloud Storage emulator, when the environment names one."""
    host = os.environ.get("STORAGE_EMULATOR_HOST")
    if not host:
        return None
    return host if "://" in host else f"http://{host}"


def version_of(known: ObjectMeta | PutResult) -> UpdateVersion:
    """What a write is to be conditional on, to replace just this version of an object."""
    version: UpdateVersion = {}
    if known["e_tag"] is not None:  # the client takes no None
        version["e_tag"] = known["e_tag"]
    if known["version"] is not None:
        version["version"] = known["version"]
    return version


def _final_headers(location: StorageLocation, now: float) -> dict[str, str]:
    headers = {}
    if location.storage_class:
        headers["x-amz-storage-class"] = location.storage_class
    if location.object_lock_mode and location.object_lock_days:
        # To the full hour, upwards: so one client serves for an hour, and nothing is locked for too short a time.
        until = datetime.fromtimestamp(now, UTC) + timedelta(days=location.object_lock_days, hours=1)
        headers["x-amz-object-lock-mode"] = location.object_lock_mode
        headers["x-amz-object-lock-retain-until-date"] = until.strftime("%Y-%m-%dT%H:00:00Z")
    return headers


def _s3(location: StorageLocation, retries: int, headers: dict[str, str], *, unsigned: bool = False) -> Client:
    options: dict[str, Any] = {}
    if endpoint := endpoint_of(location):
        options |= {"endpoint": endpoint, "aws_endpoint_url_s3": endpoint}
    if location.region:
        options["region"] = location.region
    if location.requester_pays:
        options["request_payer"] = True
    if unsigned:
        options["unsigned_payload"] = True
    if location.anonymous:
        options["skip_signature"] = True
    if location.kms_key:
        options |= {"server_side_encryption": "aws:kms", "sse_kms_key_id": location.kms_key}
    if location.object_lock_mode and headers:
        options["checksum_algorithm"] = "SHA256"  # S3 asks for a checksum of what it locks
    return S3Store(
        location.bucket,
        virtual_hosted_style_request=not path_style(location),
        # The other ways to copy on a condition rest on headers that most services silently ignore.
        copy_if_not_exists="multipart",
        disable_bulk_delete=True,
        client_options=_client_options(location, endpoint, headers),
        retry_config=_retry_config(retries),
        **options,
    )


def _gcs(location: StorageLocation, retries: int, headers: dict[str, str], *, unsigned: bool = False) -> Client:
    options: dict[str, Any] = {}
    if endpoint := endpoint_of(location):
        options["base_url"] = endpoint
    if location.anonymous:
        options["skip_signature"] = True
    elif emulator():
        options["bearer_token"] = "emulator"  # any will do; without one, real credentials would be sought
    return GCSStore(
        location.bucket,
        client_options=_client_options(location, endpoint, headers),
        retry_config=_retry_config(retries),
        **options,
    )


def _client_options(location: StorageLocation, endpoint: str | None, headers: dict[str, str]) -> ClientConfig:
    return {
        "timeout": timedelta(seconds=location.request_timeout_s),
        "connect_timeout": timedelta(seconds=min(5.0, location.request_timeout_s)),
        "allow_http": bool(endpoint and endpoint.startswith("http://")),
        **({"default_headers": headers} if headers else {}),
    }


def _retry_config(retries: int) -> RetryConfig:
    return {"max_retries": retries, "retry_timeout": _RETRY_TIMEOUT}
