"""Places: what a URL and its options mean, what is refused, and that they travel without secrets."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import ConfigError
from bronze.storage.local import LocalStore
from bronze.storage.location import StorageLocation
from bronze.storage.rate_limit import RateLimiter


@pytest.mark.parametrize(
    ("url", "scheme", "bucket", "inner"),
    [
        ("/data/lake", "local", "", "/data/lake"),
        ("/", "local", "", "/"),
        ("file:///data/a%20b", "local", "", "/data/a b"),
        ("s3://bucket", "s3", "bucket", ""),
        ("s3://bucket/", "s3", "bucket", ""),
        ("s3://my.bucket/some/prefix/", "s3", "my.bucket", "some/prefix"),
        ("gs://bucket_1/ledgers/pubnet", "gs", "bucket_1", "ledgers/pubnet"),
    ],
)
def test_what_a_url_means(url: str, scheme: str, bucket: str, inner: str) -> None:
    location = StorageLocation(url)
    assert (location.scheme, location.bucket, location.path or location.prefix) == (scheme, bucket, inner)


@pytest.mark.parametrize(
    "url",
    [
        "", "data", "./data", "../data", "http://bucket/x", "s3:bucket", "S3://bucket", "file://host/x", "az://bucket",
        "s3://", "s3:///x", "s3://b", "s3://Bucket", "s3://key:secret@bucket/x", "gs://bucket/../x", "s3://bucket/a//b",
        "s3://bucket/./a", "/data/../etc", "/data//x", "s3://bucket/a\\b", "s3://bucket/a\nb", "gs://bucket/x?y=z",
        "s3://bucket/x#y", "file:///a/%2e%2e/b",
    ],
)  # fmt: skip
def test_urls_that_are_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        StorageLocation(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "option", "value", "backend"),
    [
        ("/data", "endpoint", "http://localhost", "a local directory"),
        ("/data", "max_upload_mb_s", 1.0, "a local directory"),
        ("/data", "allow_unconditional", True, "a local directory"),
        ("gs://bucket", "region", "us-east-1", "Google Cloud Storage"),
        ("gs://bucket", "requester_pays", True, "Google Cloud Storage"),
        ("gs://bucket", "storage_class", "NEARLINE", "Google Cloud Storage"),
        ("gs://bucket", "kms_key", "k", "Google Cloud Storage"),
        ("gs://bucket", "object_lock_mode", "GOVERNANCE", "Google Cloud Storage"),
    ],
)
def test_an_option_that_the_backend_lacks_is_refused(url: str, option: str, value: Any, backend: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{backend} \({url}\) has no option {option}$"):
        StorageLocation(url, **{option: value})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_upload_mb_s": 0.0}, "max_upload_mb_s is 0.0"),
        ({"max_download_mb_s": float("nan")}, "max_download_mb_s is nan"),
        ({"request_timeout_s": -1.0}, "request_timeout_s is -1.0"),
        ({"object_lock_days": 3}, "come together"),
        ({"object_lock_mode": "COMPLIANCE"}, "come together"),
        ({"object_lock_mode": "governance", "object_lock_days": 3}, "not one of GOVERNANCE, COMPLIANCE"),
        ({"endpoint": "localhost:9000"}, "is not http"),
        ({"endpoint": "http://user:secret@localhost"}, "is not http"),
        ({"endpoint": "http://localhost/bucket"}, "is not http"),
    ],
)
def test_options_out_of_range(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        StorageLocation("s3://bucket", **options)
    assert "secret" not in str(caught.value)


def test_a_local_place(tmp_path: Path) -> None:
    store = StorageLocation(str(tmp_path)).open()
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path
    assert store.supports_locking
    assert StorageLocation(tmp_path.as_uri()).open().url == str(tmp_path)


def test_one_store_for_each_process_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
    location = StorageLocation("gs://bucket/x")
    store = location.open()
    assert store is pickle.loads(pickle.dumps(location)).open()
    assert store is not StorageLocation("gs://bucket/y").open()
    assert not store.supports_locking
    assert store.url == "gs://bucket/x"
    assert pickle.loads(pickle.dumps(store)) is store
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert location.open() is not store


def test_the_client_is_not_loaded_before_it_is_needed() -> None:
    slow = {"obstore", "boto3", "google.auth", "requests"}
    code = f"import sys, bronze.storage.location; assert not {slow} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[3], check=True)


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_bandwidth() -> None:
    watch = Watch()
    bandwidth = RateLimiter(2.0, clock=watch.time, sleep=watch.sleep)
    bandwidth.take(2_000_000)  # a second's worth is there from the start
    assert watch.now == 100.0
    for _ in range(10):
        bandwidth.take(1_000_000)
    assert watch.now == pytest.approx(105.0)
    watch.now += 60  # what is not used is kept for a second only
    bandwidth.take(4_000_000)
    assert watch.now == pytest.approx(166.0)


def test_no_limit_on_bandwidth() -> None:
    watch = Watch()
    RateLimiter(None, clock=watch.time, sleep=watch.sleep).take(10**15)
    assert watch.now == 100.0
