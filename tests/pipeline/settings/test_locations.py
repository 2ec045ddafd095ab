"""Which places the settings mean."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bronze.storage.location import Place
from pipeline.settings.document import Document
from pipeline.settings.load import from_document
from pipeline.settings.locations import checkpoint_place, events_place, lake_place, storage_place, storage_prefix
from pipeline.settings.model import Settings


def settings(**sections: dict[str, Any]) -> Settings:
    sections.setdefault("source", {"mode": "local", "local_path": "lake"})
    return from_document(Document(values=sections), {})


@pytest.mark.parametrize(
    ("source", "place"),
    [
        ({"mode": "local", "local_path": "/a/../lake"}, Place("/lake")),
        ({"mode": "local", "local_path": "file:///lake"}, Place("/lake")),
        ({"mode": "local", "local_path": "gs://bucket/lake/"}, Place("gs://bucket/lake")),
        ({"mode": "gcs", "gcs_bucket": "bucket", "gcs_prefix": "a/b"}, Place("gs://bucket/a/b")),
        ({"mode": "gcs", "gcs_bucket": "gs://bucket/a", "gcs_prefix": "b/"}, Place("gs://bucket/a/b")),
        ({"mode": "datastore", "datastore_type": "GCS", "datastore_path": "bucket/a"}, Place("gs://bucket/a")),
        ({"mode": "datastore", "datastore_type": "S3", "datastore_path": "s3://bucket/a"}, Place("s3://bucket/a")),
        (
            {"mode": "s3", "s3_bucket": "bucket", "s3_endpoint": "http://h:1", "s3_region": "r", "anonymous": True},
            Place("s3://bucket", endpoint="http://h:1", region="r", anonymous=True),
        ),
        (
            {"mode": "s3", "s3_bucket": "bucket", "s3_prefix": "x/", "requester_pays": True},
            Place("s3://bucket/x", requester_pays=True),
        ),
    ],
)
def test_the_lake(source: dict[str, Any], place: Place) -> None:
    assert lake_place(settings(source=source)) == place


def test_a_relative_directory_is_the_working_directorys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert lake_place(settings()) == Place(f"{tmp_path}/lake")


@pytest.mark.parametrize(
    ("storage", "place", "prefix"),
    [
        ({"local_dir": "/data"}, Place("/data"), "bronze/"),
        ({"local_dir": "s3://bucket/data", "prefix": "p"}, Place("s3://bucket/data/p"), ""),
        ({"backend": "gcs", "gcs_bucket": "bucket"}, Place("gs://bucket/bronze"), ""),
        ({"backend": "s3", "s3_bucket": "bucket", "prefix": "./"}, Place("s3://bucket"), ""),
        (
            {
                "backend": "s3",
                "s3_bucket": "bucket",
                "storage_class": "STANDARD_IA",
                "kms_key": "key",
                "object_lock": {"mode": "governance", "days": 7},
                "allow_unconditional": True,
            },
            Place(
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
def test_the_storage(storage: dict[str, Any], place: Place, prefix: str) -> None:
    chosen = settings(storage=storage)
    assert storage_place(chosen) == place
    assert storage_prefix(chosen) == prefix


def test_events_and_checkpoints_are_reached_as_the_storage_is() -> None:
    chosen = settings(
        storage={"backend": "s3", "s3_bucket": "bucket", "s3_endpoint": "http://h:1", "s3_region": "r", "kms_key": "k"},
        pas={"enabled": True, "backup_dir": "s3://bucket/pas"},
        checkpoint={"dir": "gs://other/state"},
    )
    assert events_place(chosen) == Place("s3://bucket/pas", endpoint="http://h:1", region="r")
    assert checkpoint_place(chosen) == Place("gs://other/state")


def test_what_is_switched_off_has_no_place() -> None:
    chosen = settings(pas={"enabled": False}, checkpoint={"enabled": False})
    assert (events_place(chosen), checkpoint_place(chosen)) == (None, None)


def test_bandwidth_limits() -> None:
    chosen = settings(
        source={"mode": "gcs", "gcs_bucket": "bucket"},
        storage={"backend": "gcs", "gcs_bucket": "bucket"},
        perf={"max_upload_mb_s": 3, "max_download_mb_s": 4},
    )
    assert lake_place(chosen) == Place("gs://bucket", max_download_mb_s=4)
    assert storage_place(chosen) == Place("gs://bucket/bronze", max_upload_mb_s=3)
