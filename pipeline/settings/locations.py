"""The storage locations that the settings name: of the lake, the dataset, the event files and the checkpoints."""

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
    """The location of the lake. Raises `ConfigError` when the settings name none."""
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
    return _location(
        url,
        s3_endpoint=source.s3_endpoint,
        s3_region=source.s3_region,
        anonymous=source.anonymous,
        requester_pays=source.requester_pays,
        max_download_mb_s=settings.perf.max_download_mb_s,
    )


def dataset_location(settings: Settings) -> StorageLocation:
    """The location that partitions are published to: in a bucket with the prefix, so that all requests stay below it.

    Raises:
        ConfigError: the settings name no location, or an option that its backend does not have.
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
    return _location(
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


def dataset_prefix(settings: Settings, location: StorageLocation) -> str:
    """The key prefix of partitions below `location`, which `dataset_location` returned."""
    return settings.storage.prefix if location.scheme == "local" else ""


def events_location(settings: Settings) -> StorageLocation | None:
    """The location of the event files; None without an audit stream. S3 options are those of the dataset."""
    return _state_location(settings, settings.pas.backup_dir) if settings.pas.enabled else None


def checkpoint_location(settings: Settings) -> StorageLocation | None:
    """The location of the checkpoints; None when they are switched off. S3 options are those of the dataset."""
    return _state_location(settings, settings.checkpoint.dir) if settings.checkpoint.enabled else None


def _state_location(settings: Settings, url: str) -> StorageLocation:
    storage = settings.storage
    return _location(
        url,
        s3_endpoint=storage.s3_endpoint,
        s3_region=storage.s3_region,
        allow_unconditional=storage.allow_unconditional and "://" in url and not url.startswith("file:"),
    )


def local_path(location: str) -> Path:
    """The path of a directory that is written as a path or as a ``file:///`` URL.

    Raises:
        ConfigError: it is another URL.
    """
    if "://" not in location:
        return Path(location)
    parts = urlsplit(location)
    if parts.scheme != "file":
        raise ConfigError(
            f"{redact(location)!r} is not a storage location: give a directory, file:///…, gs://bucket/prefix or"
            " s3://bucket/prefix"
        )
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(f"{redact(location)!r} names a host: write file:/// and the absolute path")
    if "\0" in (path := unquote(parts.path)):
        raise ConfigError(f"{location!r} contains a NUL character")
    return Path(path)


def _location(url: str, *, s3_endpoint: str, s3_region: str, **options: Any) -> StorageLocation:
    if url.partition("://")[0] not in ("gs", "s3"):
        url = os.path.abspath(local_path(url))  # noqa: PTH100 - resolves "..", but no symbolic links
    url = url.rstrip("/") or "/"
    if url.startswith("s3://"):  # these two keys concern S3 only
        options |= {"endpoint": s3_endpoint, "region": s3_region}
    return StorageLocation(url, **{name: value for name, value in options.items() if value not in ("", 0, False)})
