"""Which place each part of the settings means: a directory, or a prefix of a bucket."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from bronze.errors import ConfigError
from bronze.redact import redact
from bronze.storage.location import StorageLocation
from bronze.storage.store import join
from pipeline.settings.model import Settings

_DATASTORES = {"GCS": "gs", "S3": "s3"}


def lake_location(settings: Settings) -> StorageLocation:
    """The lake's. Raises `ConfigError` when it cannot be one."""
    source = settings.source
    if source.mode == "local":
        url = source.local_path
    elif source.mode == "datastore":
        url = source.datastore_path
        if "://" not in url:
            url = f"{_DATASTORES[source.datastore_type]}://{url}"
    elif source.mode == "gcs":
        url = f"gs://{join(source.gcs_bucket, source.gcs_prefix)}"
    else:
        url = f"s3://{join(source.s3_bucket, source.s3_prefix)}"
    return _place(
        url,
        s3_endpoint=source.s3_endpoint,
        s3_region=source.s3_region,
        anonymous=source.anonymous,
        requester_pays=source.requester_pays,
        max_download_mb_s=settings.perf.max_download_mb_s,
    )


def storage_location(settings: Settings) -> StorageLocation:
    """Where partitions go: on object stores with the prefix, so that everything stays below it.

    Raises:
        ConfigError: it cannot be one, or has no such option as is set.
    """
    storage = settings.storage
    if storage.backend == "local":
        url = storage.local_dir
        if url.partition("://")[0] in ("gs", "s3"):
            url = f"{url.rstrip('/')}/{storage.prefix}"
    elif storage.backend == "gcs":
        url = f"gs://{join(storage.gcs_bucket, storage.prefix)}"
    else:
        url = f"s3://{join(storage.s3_bucket, storage.prefix)}"
    lock = storage.object_lock
    return _place(
        url,
        s3_endpoint=storage.s3_endpoint,
        s3_region=storage.s3_region,
        storage_class=storage.storage_class,
        kms_key=storage.kms_key,
        object_lock_mode=lock.mode,
        object_lock_days=lock.days,
        max_upload_mb_s=settings.perf.max_upload_mb_s,
        allow_unconditional=storage.allow_unconditional,
    )


def storage_prefix(settings: Settings) -> str:
    """Key prefix of partitions below `storage_location`."""
    return settings.storage.prefix if storage_location(settings).scheme == "local" else ""


def events_location(settings: Settings) -> StorageLocation | None:
    """The audit stream's; None when there is none. A bucket is reached as the storage is."""
    return _beside_storage(settings, settings.pas.backup_dir) if settings.pas.enabled else None


def checkpoint_location(settings: Settings) -> StorageLocation | None:
    """The checkpoints'; None when they are switched off. A bucket is reached as the storage is."""
    return _beside_storage(settings, settings.checkpoint.dir) if settings.checkpoint.enabled else None


def _beside_storage(settings: Settings, url: str) -> StorageLocation:
    storage = settings.storage
    return _place(
        url,
        s3_endpoint=storage.s3_endpoint,
        s3_region=storage.s3_region,
        allow_unconditional=storage.allow_unconditional and "://" in url and not url.startswith("file:"),
    )


def local_place(location: str) -> Path:
    """The path of a local place that is written as a path or as a ``file:///`` URL.

    Raises:
        ConfigError: it is the URL of something else.
    """
    if "://" not in location:
        return Path(location)
    parts = urlsplit(location)
    if parts.scheme != "file":
        raise ConfigError(
            f"{redact(location)!r} is no place: give a directory, file:///…, gs://bucket/prefix or s3://bucket/prefix"
        )
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(f"{redact(location)!r} names a host: write file:/// and the absolute path")
    if "\0" in (path := unquote(parts.path)):
        raise ConfigError(f"{location!r} holds a NUL character")
    return Path(path)


def _place(url: str, *, s3_endpoint: str, s3_region: str, **options: Any) -> StorageLocation:
    if url.partition("://")[0] not in ("gs", "s3"):
        url = os.path.abspath(local_place(url))  # noqa: PTH100 - resolves "..", and no links
    url = url.rstrip("/") or "/"
    if url.startswith("s3://"):  # set for S3, and meant for that alone
        options |= {"endpoint": s3_endpoint, "region": s3_region}
    return StorageLocation(url, **{name: value for name, value in options.items() if value not in ("", 0, False)})
