"""The storage locations that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bronze.storage.location import StorageLocation
from pipeline.settings.document import Document
from pipeline.settings.load import from_document
from pipeline.settings.locations import (
    checkpoint_location,
    dataset_location,
    dataset_prefix,
    events_location,
    lake_location,
    local_path,
)
from pipeline.settings.model import Settings


def settings(**sections: dict[str, Any]) -> Settings:
    sections.setdefault("source", {"mode": "local", "local_path": "lake"})
    return from_document(Document(values=sections), {})


@pytest.mark.parametrize(
    ("source", "location"),
    [
        ({"mode": "local", "local_path": "/a/../lake"}, StorageLocation("/lake")),
        ({"mode": "local", "local_path": "file:///lake"}, StorageLocation("/lake")),
        ({"mode": "local", "local_path": "gs://bucket/lake/"}, StorageLocation("gs://bucket/lake")),
        ({"mode": "gcs", "gcs_bucket": "bucket", "gcs_prefix": "a/b"}, StorageLocation("gs://bucket/a/b")),
        ({"mode": "gcs", "gcs_bucket": "gs://bucket/a", "gcs_prefix": "b/"}, StorageLocation("gs://bucket/a/b")),
        (
            {"mode": "datastore", "datastore_type": "GCS", "datastore_path": "bucket/a"},
            StorageLocation("gs://bucket/a"),
        ),
        (
            {"mode": "datastore", "datastore_type": "S3", "datastore_path": "s3://bucket/a"},
            StorageLocation("s3://bucket/a"),
        ),
        (
            {"mode": "s3", "s3_bucket": "bucket", "s3_endpoint": "http://h:1", "s3_region": "r", "anonymous": True},
            StorageLocation("s3://bucket", endpoint="http://h:1", region="r", anonymous=True),
        ),
        (
            {"mode": "s3", "s3_bucket": "bucket", "s3_prefix": "x/", "requester_pays": True},
            StorageLocation("s3://bucket/x", requester_pays=True),
        ),
    ],
)
def test_lake_location(source: dict[str, Any], location: StorageLocation) -> None:
    assert lake_location(settings(source=source)) == location


def test_relative_directory_is_resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert lake_location(settings()) == StorageLocation(f"{tmp_path}/lake")


@pytest.mark.parametrize(
    ("storage", "location", "prefix"),
    [
        ({"local_dir": "/data"}, StorageLocation("/data"), "bronze/"),
        ({"local_dir": "s3://bucket/data", "prefix": "p"}, StorageLocation("s3://bucket/data/p"), ""),
        ({"backend": "gcs", "gcs_bucket": "bucket"}, StorageLocation("gs://bucket/bronze"), ""),
        ({"backend": "s3", "s3_bucket": "bucket", "prefix": "./"}, StorageLocation("s3://bucket"), ""),
        (
            {
                "backend": "s3",
                "s3_bucket": "bucket",
                "storage_class": "STANDARD_IA",
                "kms_key": "key",
                "object_lock": {"mode": "governance", "days": 7},
                "allow_unconditional": True,
            },
            StorageLocation(
                "s3://bucket/bronze",
                storage_class="STANDARD_IA",
                kms_key="key",
                object_lock_mode="GOVERNANCE",
                object_lock_days=7,
                allow_unconditional=True,
            ),
            "",
        ),
    ],
)
def test_dataset_location_and_prefix(storage: dict[str, Any], location: StorageLocation, prefix: str) -> None:
    chosen = settings(storage=storage)
    assert dataset_location(chosen) == location
    assert dataset_prefix(chosen, location) == prefix


def test_state_locations_share_storage_options() -> None:
    chosen = settings(
        storage={"backend": "s3", "s3_bucket": "bucket", "s3_endpoint": "http://h:1", "s3_region": "r", "kms_key": "k"},
        pas={"enabled": True, "backup_dir": "s3://bucket/pas"},
        checkpoint={"dir": "gs://other/state"},
    )
    assert events_location(chosen) == StorageLocation("s3://bucket/pas", endpoint="http://h:1", region="r")
    assert checkpoint_location(chosen) == StorageLocation("gs://other/state")


def test_disabled_state_has_no_location() -> None:
    chosen = settings(pas={"enabled": False}, checkpoint={"enabled": False})
    assert (events_location(chosen), checkpoint_location(chosen)) == (None, None)


def test_bandwidth_limits_apply_to_buckets() -> None:
    chosen = settings(
        source={"mode": "gcs", "gcs_bucket": "bucket"},
        storage={"backend": "gcs", "gcs_bucket": "bucket"},
        perf={"max_upload_mb_s": 3, "max_download_mb_s": 4},
    )
    assert lake_location(chosen) == StorageLocation("gs://bucket", max_download_mb_s=4)
    assert dataset_location(chosen) == StorageLocation("gs://bucket/bronze", max_upload_mb_s=3)


@pytest.mark.parametrize(
    ("location", "path"),
    [("./a b", "a b"), ("/a", "/a"), ("file:///a%20b", "/a b"), ("file://localhost/a", "/a")],
)
def test_local_path_accepts_paths_and_file_urls(location: str, path: str) -> None:
    assert local_path(location) == Path(path)
