"""Whether a store answers: a refused permission or a missing bucket is an answer, a refused connection is none."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest

from bronze.storage.location import StorageLocation
from bronze.storage.reachability import unreachable_reason
from tests.support.s3_server import REGION, S3Server, s3_bucket, s3_server

__all__ = ["s3_bucket", "s3_server"]


def test_answering_bucket_is_reachable(s3_bucket: str, s3_server: S3Server) -> None:
    assert unreachable_reason(s3_server.location(s3_bucket)) == ""


@pytest.mark.parametrize("wrong", ["bucket", "key"])
def test_refusal_is_an_answer(wrong: str, s3_bucket: str, s3_server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    if wrong == "key":
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    assert unreachable_reason(s3_server.location("nothing-here" if wrong == "bucket" else s3_bucket)) == ""


def test_refused_connection_is_no_answer(s3_bucket: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"  # bound, and nobody listens
        reason = unreachable_reason(StorageLocation(f"s3://{s3_bucket}", endpoint=endpoint, region=REGION))
    assert reason.startswith(f"s3://{s3_bucket}")


def test_unknown_host_is_no_answer(s3_bucket: str) -> None:
    location = StorageLocation(f"s3://{s3_bucket}", endpoint="http://bucket.invalid", region=REGION)
    assert unreachable_reason(location)


def test_missing_directory_is_an_answer(tmp_path: Path) -> None:
    assert unreachable_reason(StorageLocation(str(tmp_path / "missing"))) == ""


def test_stale_mount_is_no_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stale(*_: object, **__: object) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(os, "stat", stale)
    assert "Stale file handle" in unreachable_reason(StorageLocation(str(tmp_path)))
