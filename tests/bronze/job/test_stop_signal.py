"""The request to stop: seen at once in a directory, and without many requests on another machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.job.stop_signal import KEY, StopSignal
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from tests.support.clock import Clock
from tests.support.gcs_server import gcs_bucket, gcs_server

__all__ = ["gcs_bucket", "gcs_server"]


def test_request_is_seen_in_directory(tmp_path: Path) -> None:
    location = StorageLocation(str(tmp_path / "control"))
    asking, asked = StopSignal(location), StopSignal(location)
    assert not asked.is_requested()
    asking.request()
    asking.request()
    assert asked.is_requested()


def test_file_url_means_its_directory(tmp_path: Path) -> None:
    location = StorageLocation(f"file://{tmp_path}/with%20space")
    StopSignal(location).request()
    assert StopSignal(location).is_requested()
    assert (tmp_path / "with space" / KEY).exists()


def test_remote_lookups_keep_their_interval(gcs_bucket: str) -> None:
    location, clock = StorageLocation(f"gs://{gcs_bucket}/control"), Clock()
    asked = StopSignal(location, interval_s=5.0, clock=clock)
    assert not asked.is_requested()
    StopSignal(location).request()
    clock.time = 4.9
    assert not asked.is_requested()
    clock.time = 5.0
    assert asked.is_requested()
    # Once it was seen it is looked for no more.
    open_store(location).delete(KEY)
    clock.time = 100.0
    assert asked.is_requested()


def test_unreachable_store_requests_no_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    location = StorageLocation(
        "s3://nowhere/control", endpoint="http://127.0.0.1:9", region="us-east-1", request_timeout_s=0.2
    )
    assert not StopSignal(location).is_requested()
