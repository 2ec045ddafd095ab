"""Uploads in parts that were begun and never completed: listed and aborted, which the client cannot do.

Both services keep such parts, and bill them, until somebody aborts the upload. What this does not reach (the
credentials may not allow it, or a copy to a final key was cut short) goes with a lifecycle rule of the bucket that
aborts incomplete uploads after some days.
"""

from __future__ import annotations

import functools
import os
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from bronze.errors import AccessDenied, ObjectMissing, StoreError
from bronze.object_client import emulator, endpoint_of, path_style
from bronze.object_errors import shown_text
from bronze.place import Place

_GCS = "https://storage.googleapis.com"
_GCS_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"


@dataclass(frozen=True, slots=True)
class Unfinished:
    """An upload in parts; `begun` in seconds since 1970."""

    path: str
    upload_id: str
    begun: float


class UnfinishedUploads(Protocol):
    """Those of one bucket."""

    def below(self, prefix: str) -> Iterator[Unfinished]:
        """Those whose paths in the bucket begin with `prefix`."""
        ...

    def abort(self, upload: Unfinished) -> None:
        """Remove one with its parts; nothing happens when it is gone."""
        ...


def unfinished_uploads(place: Place) -> UnfinishedUploads:
    """Those of the place's bucket."""
    return _S3(place) if place.scheme == "s3" else _Gcs(place)


class _S3:
    def __init__(self, place: Place) -> None:
        self._place = place

    @functools.cached_property
    def _client(self) -> Any:
        # Late: boto3 takes half a second, and only cleaning up needs it.
        import boto3  # type: ignore[import-untyped]
        from botocore import UNSIGNED  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        config = Config(
            signature_version=UNSIGNED if self._place.anonymous else "s3v4",
            s3={"addressing_style": "path" if path_style(self._place) else "virtual"},
            connect_timeout=5,
            read_timeout=self._place.request_timeout_s,
            retries={"total_max_attempts": 5, "mode": "standard"},
        )
        # A session of its own: the default one is not safe to share between threads.
        session = boto3.session.Session()
        # Unlike the other client, boto3 does not heed AWS_REGION.
        region = self._place.region or os.environ.get("AWS_REGION") or session.region_name or "us-east-1"
        return session.client("s3", endpoint_url=endpoint_of(self._place), region_name=region, config=config)

    def below(self, prefix: str) -> Iterator[Unfinished]:
        def pages() -> list[Any]:
            return list(self._client.get_paginator("list_multipart_uploads").paginate(**self._asked(Prefix=prefix)))

        for page in self._call("list unfinished uploads", pages):
            for found in page.get("Uploads", ()):
                # Some services hand back more than was asked for.
                if found["Key"].startswith(prefix):
                    yield Unfinished(found["Key"], found["UploadId"], found["Initiated"].timestamp())

    def abort(self, upload: Unfinished) -> None:
        asked = self._asked(Key=upload.path, UploadId=upload.upload_id)
        with suppress(ObjectMissing):
            self._call(f"abort the upload of {upload.path}", lambda: self._client.abort_multipart_upload(**asked))

    def _asked(self, **more: str) -> dict[str, str]:
        payer = {"RequestPayer": "requester"} if self._place.requester_pays else {}
        return {"Bucket": self._place.bucket, **payer, **more}

    def _call(self, what: str, function: Any) -> Any:
        import botocore.exceptions  # type: ignore[import-untyped]

        try:
            return function()
        except botocore.exceptions.ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
            failure = _failure(self._place, what, status, str(error))
        except botocore.exceptions.BotoCoreError as error:
            failure = _failure(self._place, what, None, str(error))
        raise failure


class _Gcs:
    def __init__(self, place: Place) -> None:
        self._place = place
        self._bucket_url = f"{endpoint_of(place) or _GCS}/{place.bucket}"

    @functools.cached_property
    def _session(self) -> Any:
        import requests

        if self._place.anonymous:
            return requests.Session()
        if emulator():
            session = requests.Session()
            session.headers["Authorization"] = "Bearer emulator"
            return session
        import google.auth
        from google.auth.transport.requests import AuthorizedSession

        credentials, _ = google.auth.default(scopes=[_GCS_SCOPE])
        return AuthorizedSession(credentials)  # type: ignore[no-untyped-call]

    def below(self, prefix: str) -> Iterator[Unfinished]:
        asked = {"uploads": "", "prefix": prefix}
        while True:
            root = ET.fromstring(self._request("GET", "list unfinished uploads", self._bucket_url, asked))
            for found in root.iterfind("{*}Upload"):
                path, upload_id, begun = (found.findtext("{*}" + name, "") for name in ("Key", "UploadId", "Initiated"))
                yield Unfinished(path, upload_id, datetime.fromisoformat(begun).timestamp())
            if root.findtext("{*}IsTruncated") != "true":
                return
            asked["key-marker"] = root.findtext("{*}NextKeyMarker", "")
            asked["upload-id-marker"] = root.findtext("{*}NextUploadIdMarker", "")

    def abort(self, upload: Unfinished) -> None:
        url = f"{self._bucket_url}/{quote(upload.path)}"
        with suppress(ObjectMissing):
            self._request("DELETE", f"abort the upload of {upload.path}", url, {"uploadId": upload.upload_id})

    def _request(self, method: str, what: str, url: str, asked: dict[str, str]) -> bytes:
        import google.auth.exceptions
        import requests

        try:
            answer = self._session.request(method, url, params=asked, timeout=self._place.request_timeout_s)
        except (requests.RequestException, google.auth.exceptions.GoogleAuthError) as error:
            failure = _failure(self._place, what, None, str(error))
        else:
            if answer.ok:
                return bytes(answer.content)
            failure = _failure(self._place, what, answer.status_code, answer.text[:20_000])
        raise failure


def _failure(place: Place, what: str, status: int | None, text: str) -> StoreError:
    if status == 404:
        return ObjectMissing(f"{place.url}: cannot {what}: it, or the bucket, does not exist")
    message = f"{place.url}: cannot {what}: {shown_text(text)}"
    return AccessDenied(message) if status in (401, 403) else StoreError(message)
