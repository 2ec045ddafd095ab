"""Endpoints: which address the options and the environment give a location."""

from __future__ import annotations

import pytest

from bronze.storage.location import StorageLocation
from bronze.storage.object_store.endpoints import endpoint_of, gcs_emulator, uses_path_style

VARIABLES = ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST"]


@pytest.fixture(autouse=True)
def no_endpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("url", "option", "environment", "expected"),
    [
        ("s3://bucket", None, {}, None),
        ("s3://bucket", "http://host:9000/", {"AWS_ENDPOINT_URL": "http://other"}, "http://host:9000"),
        ("s3://bucket", None, {"AWS_ENDPOINT_URL": "http://one/", "AWS_ENDPOINT_URL_S3": "http://two/"}, "http://two"),
        ("s3://bucket", None, {"AWS_ENDPOINT_URL": "http://one/"}, "http://one"),
        ("s3://bucket", None, {"STORAGE_EMULATOR_HOST": "host:1"}, None),
        ("gs://bucket", None, {"AWS_ENDPOINT_URL": "http://one"}, None),
        ("gs://bucket", None, {"STORAGE_EMULATOR_HOST": "host:1"}, "http://host:1"),
        ("gs://bucket", "https://host", {"STORAGE_EMULATOR_HOST": "host:1"}, "https://host"),
    ],
)
def test_option_precedes_environment(
    monkeypatch: pytest.MonkeyPatch, url: str, option: str | None, environment: dict[str, str], expected: str | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert endpoint_of(StorageLocation(url, endpoint=option)) == expected


@pytest.mark.parametrize(
    ("url", "option", "expected"),
    [("s3://bucket", None, False), ("s3://my.bucket", None, True), ("s3://bucket", "http://host", True)],
)
def test_path_style_follows_endpoint_and_dots(url: str, option: str | None, expected: bool) -> None:
    assert uses_path_style(StorageLocation(url, endpoint=option)) == expected


@pytest.mark.parametrize(
    ("host", "expected"), [("", None), ("host:1", "http://host:1"), ("https://host", "https://host")]
)
def test_emulator_host_becomes_a_url(monkeypatch: pytest.MonkeyPatch, host: str, expected: str | None) -> None:
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", host)
    assert gcs_emulator() == expected
