"""Google Cloud Storage: clients, and the requests that obstore cannot make (by the XML API)."""

from __future__ import annotations

import functools
import logging
import threading
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from awscrt import checksums as crc  # type: ignore[import-untyped]
from obstore.store import GCSStore

from bronze.errors import ObjectNotFoundError
from bronze.retry import RetryPolicy
from bronze.storage.certificates import ca_bundle
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.credentials import GoogleCredentials
from bronze.storage.object_store.endpoints import endpoint_of, gcs_emulator
from bronze.storage.object_store.errors import opened, response_error
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
        self._sessions = threading.local()

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
        _, headers = self._retry.call(
            f"{self._location.url}: {operation}", lambda: self._request("HEAD", operation, url), level=logging.DEBUG
        )
        hashes = dict(pair.strip().split("=", 1) for pair in headers.get("x-goog-hash", "").split(",") if "=" in pair)
        size = headers.get("x-goog-stored-content-length") or headers["Content-Length"]
        return ObjectDigest(int(size), headers.get("ETag", "").strip('"'), parse_checksum(hashes.get("crc32c")))

    def list_multipart_uploads(self, prefix: str) -> Iterator[MultipartUpload]:
        """See `ObjectServiceApi`."""
        params = {"uploads": "", "prefix": prefix}
        while True:
            page, _ = self._request("GET", "list unfinished uploads", self._bucket_url, params)
            root = ET.fromstring(page)
            for found in root.iterfind("{*}Upload"):
                path, upload_id, begun = (found.findtext("{*}" + name, "") for name in ("Key", "UploadId", "Initiated"))
                yield MultipartUpload(path, upload_id, datetime.fromisoformat(begun).timestamp())
            if root.findtext("{*}IsTruncated") != "true":
                return
            params["key-marker"] = root.findtext("{*}NextKeyMarker", "")
            params["upload-id-marker"] = root.findtext("{*}NextUploadIdMarker", "")

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

    @property
    def _session(self) -> Any:
        """One for each thread: they are not safe to share."""
        if not hasattr(self._sessions, "session"):
            self._sessions.session = self._new_session()
        return self._sessions.session

    def _new_session(self) -> Any:
        import requests

        session = requests.Session()
        session.auth = lambda request: request  # without any setting the client would look in ~/.netrc
        if not self._location.anonymous and gcs_emulator():
            session.headers["Authorization"] = "Bearer emulator"
        return session

    def _headers(self) -> dict[str, str]:
        """The headers that authorise a request."""
        if self._location.anonymous or gcs_emulator():
            return {}
        return {"Authorization": f"Bearer {self._credentials()['token']}"}

    def _request(
        self, method: str, operation: str, url: str, params: Mapping[str, str] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """Send one request; return the answer's body and headers, or raise an error of this project."""
        import google.auth.exceptions
        import requests

        try:
            answer = self._session.request(
                method,
                url,
                params=params,
                headers=self._headers(),
                timeout=self._location.request_timeout_s,
                allow_redirects=False,
                verify=ca_bundle() or True,
            )
        except (requests.RequestException, google.auth.exceptions.TransportError) as error:
            failure = response_error(self._location.url, operation, None, str(error))
        except google.auth.exceptions.GoogleAuthError as error:  # no credentials, or such as are refused
            failure = response_error(self._location.url, operation, 401, str(error))
        else:
            if 200 <= answer.status_code < 300:
                return bytes(answer.content), answer.headers
            failure = response_error(self._location.url, operation, answer.status_code, answer.text)
        raise failure
