"""Uploads in parts that were begun and never completed: listed and aborted, which the client cannot do.

Both services keep such parts, and bill them, until somebody aborts the upload. What this does not reach (the
credentials may not allow it, or a copy to a final key was cut short) goes with a lifecycle rule of the bucket that
aborts incomplete uploads after some days.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import quote

from bronze.errors import ObjectNotFoundError
from bronze.storage.object_store.service import GcsService, S3Service


@dataclass(frozen=True, slots=True)
class MultipartUpload:
    """An upload in parts; `begun` in seconds since 1970."""

    path: str
    upload_id: str
    begun: float


class UnfinishedUploads(Protocol):
    """Those of one bucket."""

    def below(self, prefix: str) -> Iterator[MultipartUpload]:
        """Those whose paths in the bucket begin with `prefix`."""
        ...

    def abort(self, upload: MultipartUpload) -> None:
        """Remove one with its parts; nothing happens when it is gone."""
        ...


def unfinished_uploads(service: S3Service | GcsService) -> UnfinishedUploads:
    """Those of the service's bucket."""
    return _S3(service) if isinstance(service, S3Service) else _Gcs(service)


class _S3:
    def __init__(self, service: S3Service) -> None:
        self._service = service

    def below(self, prefix: str) -> Iterator[MultipartUpload]:
        service = self._service

        def pages() -> list[Any]:
            pager = service.client.get_paginator("list_multipart_uploads")
            return list(pager.paginate(**service.asked(Prefix=prefix)))

        for page in service.call("list unfinished uploads", pages):
            for found in page.get("Uploads", ()):
                # Some services hand back more than was asked for.
                if found["Key"].startswith(prefix):
                    yield MultipartUpload(found["Key"], found["UploadId"], found["Initiated"].timestamp())

    def abort(self, upload: MultipartUpload) -> None:
        service = self._service
        asked = service.asked(Key=upload.path, UploadId=upload.upload_id)
        with suppress(ObjectNotFoundError):
            service.call(f"abort the upload of {upload.path}", lambda: service.client.abort_multipart_upload(**asked))


class _Gcs:
    def __init__(self, service: GcsService) -> None:
        self._service = service

    def below(self, prefix: str) -> Iterator[MultipartUpload]:
        asked = {"uploads": "", "prefix": prefix}
        while True:
            page, _ = self._service.request("GET", "list unfinished uploads", self._service.bucket_url, asked)
            root = ET.fromstring(page)
            for found in root.iterfind("{*}Upload"):
                path, upload_id, begun = (found.findtext("{*}" + name, "") for name in ("Key", "UploadId", "Initiated"))
                yield MultipartUpload(path, upload_id, datetime.fromisoformat(begun).timestamp())
            if root.findtext("{*}IsTruncated") != "true":
                return
            asked["key-marker"] = root.findtext("{*}NextKeyMarker", "")
            asked["upload-id-marker"] = root.findtext("{*}NextUploadIdMarker", "")

    def abort(self, upload: MultipartUpload) -> None:
        url = f"{self._service.bucket_url}/{quote(upload.path)}"
        with suppress(ObjectNotFoundError):
            self._service.request("DELETE", f"abort the upload of {upload.path}", url, {"uploadId": upload.upload_id})
