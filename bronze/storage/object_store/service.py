"""Requests to a bucket that the client cannot make, by the libraries of the services' own makers."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from bronze.errors import AccessDeniedError, ObjectNotFoundError, StoreError
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.clients import emulator, endpoint_of, path_style
from bronze.storage.object_store.errors import shown_text

_GCS = "https://storage.googleapis.com"
_GCS_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"

Result = TypeVar("Result")


class S3Service:
    """The bucket of a place by boto3. What fails was tried five times."""

    def __init__(self, location: StorageLocation) -> None:
        self.location = location

    @functools.cached_property
    def client(self) -> Any:
        """The boto3 client; its calls go through `call`."""
        # Late: boto3 takes half a second.
        import boto3  # type: ignore[import-untyped]
        from botocore import UNSIGNED  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        config = Config(
            signature_version=UNSIGNED if self.location.anonymous else "s3v4",
            s3={"addressing_style": "path" if path_style(self.location) else "virtual"},
            connect_timeout=5,
            read_timeout=self.location.request_timeout_s,
            retries={"total_max_attempts": 5, "mode": "standard"},
        )
        # A session of its own: the default one is not safe to share between threads.
        session = boto3.session.Session()
        # Unlike the other client, boto3 does not heed AWS_REGION.
        region = self.location.region or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
        return session.client("s3", endpoint_url=endpoint_of(self.location), region_name=region, config=config)

    def asked(self, **more: str) -> dict[str, str]:
        """The arguments of a call: the bucket, and `more`."""
        payer = {"RequestPayer": "requester"} if self.location.requester_pays else {}
        return {"Bucket": self.location.bucket, **payer, **more}

    def call(self, what: str, function: Callable[[], Result]) -> Result:
        """Call the client; raise what it raises as an error of this project.

        Raises:
            ObjectNotFoundError, AccessDeniedError, StoreError: the place, and that it cannot do `what`.
        """
        import botocore.exceptions  # type: ignore[import-untyped]

        try:
            return function()
        except botocore.exceptions.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            failure = _failure(self.location, what, status, str(error))
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            failure = _failure(self.location, what, None, str(error))
        raise failure


class GcsService:
    """The bucket of a place by the XML API. Each request is sent once. Safe to share between threads."""

    def __init__(self, location: StorageLocation) -> None:
        self.location = location
        self._of_thread = threading.local()
        self.bucket_url = f"{endpoint_of(location) or _GCS}/{location.bucket}"

    @functools.cached_property
    def _credentials(self) -> Any:
        import google.auth

        return google.auth.default(scopes=[_GCS_SCOPE])[0]

    @property
    def _session(self) -> Any:
        """One for each thread: they are not safe to share."""
        if not hasattr(self._of_thread, "session"):
            self._of_thread.session = self._new_session()
        return self._of_thread.session

    def _new_session(self) -> Any:
        import requests

        if self.location.anonymous:
            return requests.Session()
        if emulator():
            session = requests.Session()
            session.headers["Authorization"] = "Bearer emulator"
            return session
        from google.auth.transport.requests import AuthorizedSession

        return AuthorizedSession(self._credentials)  # type: ignore[no-untyped-call]

    def request(
        self, method: str, what: str, url: str, asked: Mapping[str, str] | None = None
    ) -> tuple[bytes, Mapping[str, str]]:
        """The answer's body and its headers; raises as `S3Service.call` does."""
        import google.auth.exceptions
        import requests

        try:
            answer = self._session.request(method, url, params=asked, timeout=self.location.request_timeout_s)
        except (requests.RequestException, google.auth.exceptions.TransportError) as error:
            failure = _failure(self.location, what, None, str(error))
        except google.auth.exceptions.GoogleAuthError as error:  # no credentials, or such as are not taken
            failure = _failure(self.location, what, 401, str(error))
        else:
            if answer.ok:
                return bytes(answer.content), answer.headers
            failure = _failure(self.location, what, answer.status_code, answer.text[:20_000])
        raise failure


def service_of(location: StorageLocation) -> S3Service | GcsService:
    """The bucket of the place."""
    return S3Service(location) if location.scheme == "s3" else GcsService(location)


def _failure(location: StorageLocation, what: str, status: int | None, text: str) -> StoreError:
    if status == 404:
        return ObjectNotFoundError(f"{location.url}: cannot {what}: it, or the bucket, does not exist")
    message = f"{location.url}: cannot {what}: {shown_text(text)}"
    return AccessDeniedError(message) if status in (401, 403) else StoreError(message)
