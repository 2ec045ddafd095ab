"""Google Cloud Storage: clients, and the requests that obstore cannot make (by the XML API)."""

from __future__ import annotations

import functools
import logging
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from awscrt import checksums as crc  # type: ignore[import-untyped]
from obstore.store import GCSStore

from bronze.errors import ObjectNotFoundError, StoreError
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.credentials import GoogleCredentials
from bronze.storage.object_store.endpoints import endpoint_of, gcs_emulator
from bronze.storage.object_store.errors import opened
from bronze.storage.object_store.http_client import HttpAnswer, HttpClient
from bronze.storage.object_store.listing import PAGE_BYTES
from bronze.storage.object_store.provider import (
    MAX_PARTS,
    PART_SIZE,
    MultipartUpload,
    ObjectDigest,
    client_options,
    parse_checksum,
    retry_config,
)

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

_ENDPOINT = "https://storage.googleapis.com"


class GcsProvider:
    """A Google Cloud Storage bucket; see `bronze.storage.object_store.provider.ObjectServiceApi`.

    Args:
        retry: for requests of the XML API that are safe to repeat.
    """

    largest_object = PART_SIZE * MAX_PARTS

    def __init__(self, location: StorageLocation, retry: RetryPolicy) -> None:
        self._location = location
        self._retry = retry
        self._bucket_url = f"{endpoint_of(location) or _ENDPOINT}/{location.bucket}"
        self._http = HttpClient(location.url, location.request_timeout_s)

    def client(self, *, retries: int, headers: dict[str, str] | None = None, unsigned_payload: bool = False) -> Client:
        """See `ObjectServiceApi`."""
        location = self._location
        options: dict[str, Any] = {}
        if endpoint := endpoint_of(location):
            options["base_url"] = endpoint
        if location.anonymous:
            options["skip_signature"] = True
        elif gcs_emulator():
            options["bearer_token"] = "emulator"  # any will do; without one, obstore looks for real credentials
        else:
            options["credential_provider"] = self._credentials
        return opened(
            location.url,
            lambda: GCSStore(
                location.bucket,
                client_options=client_options(location, headers),
                retry_config=retry_config(retries),
                **options,
            ),
        )

    def publishing_headers(self, now: float) -> dict[str, str]:
        """See `ObjectServiceApi`: none."""
        return {}

    def extend_checksum(self, checksum: int, data: memoryview) -> int:
        """See `ObjectServiceApi`: CRC-32C."""
        return int(crc.crc32c(data, checksum))

    def stated_digest(self, path: str) -> ObjectDigest:
        """See `ObjectServiceApi`."""
        operation, url = f"get the checksum of {path}", self._object_url(path)
        answer = self._retry.call(
            f"{self._location.url}: {operation}",
            lambda: self._request("HEAD", operation, url),
            level=logging.DEBUG,
            operation="storage",
        )
        headers = answer.headers
        hashes = dict(pair.strip().split("=", 1) for pair in headers.get("x-goog-hash", "").split(",") if "=" in pair)
        size = headers.get("x-goog-stored-content-length") or headers["Content-Length"]
        return ObjectDigest(int(size), headers.get("ETag", "").strip('"'), parse_checksum(hashes.get("crc32c")))

    def list_request(self, params: Mapping[str, str]) -> bytes:
        """See `ObjectServiceApi`."""
        return self._request("GET", "list objects", self._bucket_url, params).body

    def list_multipart_uploads(self, prefix: str) -> Iterator[MultipartUpload]:
        """See `ObjectServiceApi`."""
        params, last = {"uploads": "", "prefix": prefix}, ("", "")
        while True:
            root = self._uploads_page(params)
            for found in root.iterfind("{*}Upload"):
                path, upload_id, begun = (found.findtext("{*}" + name, "") for name in ("Key", "UploadId", "Initiated"))
                yield MultipartUpload(path, upload_id, datetime.fromisoformat(begun).timestamp())
            if root.findtext("{*}IsTruncated") != "true":
                return
            marker = root.findtext("{*}NextKeyMarker", ""), root.findtext("{*}NextUploadIdMarker", "")
            if marker <= last:
                raise StoreError(f"{self._location.url}: the service's list of unfinished uploads makes no progress")
            last = marker
            params["key-marker"], params["upload-id-marker"] = marker

    def _uploads_page(self, params: Mapping[str, str]) -> ET.Element:
        page = self._request("GET", "list unfinished uploads", self._bucket_url, params).body
        try:
            if b"<!DOCTYPE" not in page:
                return ET.fromstring(page)
        except ET.ParseError:
            pass
        raise StoreError(f"{self._location.url}: the service's list of unfinished uploads is not XML")

    def abort_multipart_upload(self, upload: MultipartUpload) -> None:
        """See `ObjectServiceApi`."""
        params = {"uploadId": upload.upload_id}
        with suppress(ObjectNotFoundError):
            self._request("DELETE", f"abort the upload of {upload.path}", self._object_url(upload.path), params)

    def _object_url(self, path: str) -> str:
        return f"{self._bucket_url}/{quote(path)}"

    @functools.cached_property
    def _credentials(self) -> GoogleCredentials:
        return GoogleCredentials(self._location.url)

    def _headers(self) -> dict[str, str]:
        """The headers that authorise a request."""
        if self._location.anonymous:
            return {}
        token = "emulator" if gcs_emulator() else self._credentials()["token"]
        return {"Authorization": f"Bearer {token}"}

    def _request(
        self,
        method: str,
        operation: str,
        url: str,
        params: Mapping[str, str] | None = None,
        max_bytes: int = PAGE_BYTES,
    ) -> HttpAnswer:
        return self._http.request(method, operation, url, params=params, headers=self._headers(), max_bytes=max_bytes)
