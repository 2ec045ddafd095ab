"""Amazon S3, and services with its interface: clients, and the requests that obstore cannot make (by boto3)."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from awscrt import checksums as crc  # type: ignore[import-untyped]
from obstore.store import S3Store

from bronze.errors import ObjectNotFoundError
from bronze.storage.certificates import ca_bundle
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.credentials import AwsCredentials, aws_session, has_aws_keys
from bronze.storage.object_store.endpoints import endpoint_of, uses_path_style
from bronze.storage.object_store.errors import opened, response_error
from bronze.storage.object_store.http_client import HttpClient
from bronze.storage.object_store.listing import PAGE_BYTES
from bronze.storage.object_store.provider import (
    MultipartUpload,
    ObjectDigest,
    client_options,
    parse_checksum,
    retry_config,
)
from bronze.storage.object_store.signature import Keys, query_string, signed_headers

if TYPE_CHECKING:
    from obstore.store import ObjectStore as Client

Result = TypeVar("Result")


class S3Provider:
    """An S3 bucket; see `bronze.storage.object_store.provider.ObjectServiceApi`.

    boto3 makes each request up to five times.
    """

    #: S3 copies at most 5 GiB in one request.
    largest_object = 5 << 30

    def __init__(self, location: StorageLocation) -> None:
        self._location = location
        self._endpoint = endpoint_of(location)
        self._http = HttpClient(location.url, location.request_timeout_s)
        # Keys of the environment the clients read themselves.
        self._credentials = None if location.anonymous or has_aws_keys() else AwsCredentials(location.url)
        named = location.region or os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        self._region = named or (self._credentials.config.get("region") if self._credentials else None)

    def client(self, *, retries: int, headers: dict[str, str] | None = None, unsigned_payload: bool = False) -> Client:
        """See `ObjectServiceApi`."""
        location = self._location
        options: dict[str, Any] = {}
        if self._endpoint:
            options |= {"endpoint": self._endpoint, "aws_endpoint_url_s3": self._endpoint}
        if self._region:
            options["region"] = self._region
        if location.requester_pays:
            options["request_payer"] = True
        if unsigned_payload:
            options["unsigned_payload"] = True
        if location.anonymous:
            options["skip_signature"] = True
        if location.kms_key:
            options |= {"server_side_encryption": "aws:kms", "sse_kms_key_id": location.kms_key}
        if location.object_lock_mode and headers:
            options["checksum_algorithm"] = "SHA256"  # S3 requires a checksum of what it locks
        if self._credentials:
            options["credential_provider"] = self._credentials
        return opened(
            location.url,
            lambda: S3Store(
                location.bucket,
                virtual_hosted_style_request=not uses_path_style(location),
                # The other ways to copy on a condition rest on headers that most services silently ignore.
                copy_if_not_exists="multipart",
                disable_bulk_delete=True,
                client_options=client_options(location, headers),
                retry_config=retry_config(retries),
                **options,
            ),
        )

    def publishing_headers(self, now: float) -> dict[str, str]:
        """See `ObjectServiceApi`."""
        location, headers = self._location, {}
        if location.storage_class:
            headers["x-amz-storage-class"] = location.storage_class
        if location.object_lock_mode and location.object_lock_days:
            # Rounded up to the full hour: one client serves for an hour, and nothing is locked for too short a time.
            until = datetime.fromtimestamp(now, UTC) + timedelta(days=location.object_lock_days, hours=1)
            headers["x-amz-object-lock-mode"] = location.object_lock_mode
            headers["x-amz-object-lock-retain-until-date"] = until.strftime("%Y-%m-%dT%H:00:00Z")
        return headers

    def extend_checksum(self, checksum: int, data: memoryview) -> int:
        """See `ObjectServiceApi`: CRC-64/NVME."""
        return int(crc.crc64nvme(data, checksum))

    def stated_digest(self, path: str) -> ObjectDigest:
        """See `ObjectServiceApi`."""
        params = self._request_params(Key=path, ChecksumMode="ENABLED")
        answer = self._call(f"get the checksum of {path}", lambda: self._boto3.head_object(**params))
        checksum = parse_checksum(answer.get("ChecksumCRC64NVME"))
        return ObjectDigest(answer["ContentLength"], answer["ETag"].strip('"'), checksum)

    def list_request(self, params: Mapping[str, str]) -> bytes:
        """See `ObjectServiceApi`."""
        location = self._location
        region = self._region or "us-east-1"
        if uses_path_style(location):
            url = f"{self._endpoint or f'https://s3.{region}.amazonaws.com'}/{location.bucket}"
        else:
            url = f"https://{location.bucket}.s3.{region}.amazonaws.com/"
        url = f"{url}?{query_string(params)}"
        headers = {"x-amz-request-payer": "requester"} if location.requester_pays else {}
        if not location.anonymous:
            now = datetime.now(UTC)
            headers = signed_headers("GET", url, headers, keys=self._keys(), region=region, now=now)
        return self._http.request("GET", "list objects", url, headers=headers, max_bytes=PAGE_BYTES).body

    def _keys(self) -> Keys:
        if self._credentials is None:
            get = os.environ.get
            return Keys(
                key_id=get("AWS_ACCESS_KEY_ID", ""),
                secret=get("AWS_SECRET_ACCESS_KEY", ""),
                token=get("AWS_SESSION_TOKEN"),
            )
        found = self._credentials()
        return Keys(key_id=found["access_key_id"], secret=found["secret_access_key"], token=found.get("token"))

    def list_multipart_uploads(self, prefix: str) -> Iterator[MultipartUpload]:
        """See `ObjectServiceApi`."""
        pager = self._boto3.get_paginator("list_multipart_uploads")  # which refuses pages that make no progress
        pages = iter(pager.paginate(**self._request_params(Prefix=prefix)))
        while page := self._call("list unfinished uploads", lambda: next(pages, None)):
            for found in page.get("Uploads", ()):
                # Some services return more than was asked for.
                if found["Key"].startswith(prefix):
                    yield MultipartUpload(found["Key"], found["UploadId"], found["Initiated"].timestamp())

    def abort_multipart_upload(self, upload: MultipartUpload) -> None:
        """See `ObjectServiceApi`."""
        params = self._request_params(Key=upload.path, UploadId=upload.upload_id)
        with suppress(ObjectNotFoundError):
            self._call(f"abort the upload of {upload.path}", lambda: self._boto3.abort_multipart_upload(**params))

    @functools.cached_property
    def _boto3(self) -> Any:
        """The boto3 client; its methods are called through `_call`."""
        # Imported late: boto3 takes half a second.
        import boto3  # type: ignore[import-untyped]
        from botocore import UNSIGNED  # type: ignore[import-untyped]
        from botocore.config import Config  # type: ignore[import-untyped]

        location = self._location
        config = Config(
            signature_version=UNSIGNED if location.anonymous else "s3v4",
            s3={"addressing_style": "path" if uses_path_style(location) else "virtual"},
            ignore_configured_endpoint_urls=True,  # obstore knows none
            connect_timeout=5,
            read_timeout=location.request_timeout_s,
            retries={"total_max_attempts": 5, "mode": "standard"},
        )
        # A session of its own: the default one is not safe to share between threads.
        session = boto3.session.Session(botocore_session=aws_session())
        client = session.client(
            "s3",
            endpoint_url=self._endpoint,
            region_name=self._region or "us-east-1",
            config=config,
            verify=ca_bundle(),
        )
        client.meta.events.register("before-call.s3", _follow_no_redirect)
        return client

    def _request_params(self, **more: str) -> dict[str, str]:
        """The parameters of a request: the bucket, who pays, and `more`."""
        payer = {"RequestPayer": "requester"} if self._location.requester_pays else {}
        return {"Bucket": self._location.bucket, **payer, **more}

    def _call(self, operation: str, function: Callable[[], Result]) -> Result:
        """Call boto3; raise what it raises as an error of this project."""
        import botocore.exceptions  # type: ignore[import-untyped]

        try:
            return function()
        except botocore.exceptions.ClientError as error:
            said = error.response.get("ResponseMetadata", {})
            failure = response_error(
                self._location.url, operation, said.get("HTTPStatusCode"), str(error), said.get("HTTPHeaders")
            )
        except (botocore.exceptions.BotoCoreError, ValueError) as error:
            failure = response_error(self._location.url, operation, None, str(error))
        raise failure


def _follow_no_redirect(context: dict[str, Any], **_: object) -> None:
    """Tell boto3 that it followed a redirect already; it would otherwise look for the bucket's region, without end."""
    context.setdefault("s3_redirect", {})["redirected"] = True
