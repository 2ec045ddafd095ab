"""A bucket: paths, temporary keys and their age; without requests."""

from __future__ import annotations

import pytest

from bronze.errors import StoreError
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.bucket import Bucket, created_at

NOW = 1_700_000_000.75


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Bucket:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
    return Bucket(StorageLocation("gs://bucket/some/prefix/"), clock=lambda: NOW)


def test_paths_begin_with_the_prefix(bucket: Bucket) -> None:
    assert bucket.path("a/b") == "some/prefix/a/b"
    assert bucket.object_url("a/b") == "gs://bucket/some/prefix/a/b"
    assert Bucket(StorageLocation("gs://bucket")).path("a/b") == "a/b"
    with pytest.raises(StoreError, match="is not a relative path"):
        bucket.path("../a")


def test_temporary_key_tells_its_age(bucket: Bucket) -> None:
    key = bucket.temporary_key("part-0-9.parquet")
    assert key.startswith("_temporary/part-0-9.parquet.20231114T221320Z.")
    assert created_at(key, 0) == created_at(bucket.path(key), 0) == int(NOW)
    assert key != bucket.temporary_key("part-0-9.parquet")
    assert len(bucket.temporary_key("n" * 300)) < 150


@pytest.mark.parametrize(
    "key", ["", "a", "_temporary/x", "a.20231114T221320Z.0", "a.20231114T221320Z." + "g" * 16, "20231114T221320Z.x"]
)
def test_foreign_key_has_the_default_age(key: str) -> None:
    assert created_at(key, 12.5) == 12.5
