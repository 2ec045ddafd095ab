"""Storage locations: what a URL and its options mean, and which are refused."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation


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
def test_url_is_split_into_its_parts(url: str, scheme: str, bucket: str, inner: str) -> None:
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
def test_invalid_url_is_redacted_config_error(url: str) -> None:
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
def test_option_of_another_backend_is_refused(url: str, option: str, value: Any, backend: str) -> None:
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
def test_option_out_of_range_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        StorageLocation("s3://bucket", **options)
    assert "secret" not in str(caught.value)


def test_pickled_location_is_equal() -> None:
    location = StorageLocation("s3://bucket/x", region="eu-west-1", max_upload_mb_s=2.5)
    assert pickle.loads(pickle.dumps(location)) == location
