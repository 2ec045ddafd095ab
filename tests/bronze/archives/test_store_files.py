"""An archive in a bucket or a directory: read as one over HTTP is, and never beyond its root."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from obstore.store import GCSStore

from bronze.archives.opening import open_archive
from bronze.archives.store_files import StoreFiles
from bronze.errors import ArchiveError, ArchiveFileMissingError, ArchiveRefusedError
from bronze.retry import RetryPolicy
from tests.support.gcs_server import running_gcs_server
from tests.support.s3_server import REGION, S3Server, s3_bucket, s3_server

__all__ = ["s3_bucket", "s3_server"]

KEY = "ledger/00/00/00/ledger-0000007f.xdr.gz"


def check_archive(url: str) -> None:
    """That the archive of the fixtures is at `url`."""
    opened = open_archive(url, retry=RetryPolicy(1, 0))
    assert opened.history().current_ledger == 191
    assert set(opened.ledger_hashes(127)) == set(range(64, 128))
    with pytest.raises(ArchiveFileMissingError, match=r"ledger-000000ff\.xdr\.gz does not exist"):
        opened.ledger_hashes(255)


def test_directory_is_read(archive: Path) -> None:
    check_archive(f"file://{archive}")


def test_directory_with_spaces_is_read(archive: Path) -> None:
    check_archive(f"file://{archive.rename(archive.with_name('an archive'))}".replace(" ", "%20"))


def test_s3_bucket_is_read(archive: Path, s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in archive.rglob("*.*z*"):
        s3_server.client.upload_file(str(file), s3_bucket, f"prd/core/{file.relative_to(archive)}")
    history = ".well-known/stellar-history.json"
    s3_server.client.upload_file(str(archive / history), s3_bucket, f"prd/core/{history}")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("AWS_REGION", REGION)
    check_archive(f"s3://{s3_bucket}/prd/core")


def test_public_gcs_bucket_is_read(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with running_gcs_server(public=True) as server:
        bucket = server.new_bucket()
        writer = GCSStore(
            bucket, base_url=server.url, bearer_token="emulator", client_options={"allow_http": True}
        )  # fmt: skip
        for file in (path for path in archive.rglob("*") if path.is_file()):
            writer.put(file.relative_to(archive).as_posix(), file.read_bytes())
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        check_archive(f"gs://{bucket}")


def test_object_over_the_limit_is_refused(archive: Path) -> None:
    size = (archive / KEY).stat().st_size
    assert len(StoreFiles(f"file://{archive}", 5).read(KEY, size)) == size
    with pytest.raises(ArchiveRefusedError, match=f"has {size} bytes, more than the {size - 1} allowed"):
        StoreFiles(f"file://{archive}", 5).read(KEY, size - 1)


def test_link_out_of_the_directory_is_refused(archive: Path, tmp_path: Path) -> None:
    (archive / KEY).rename(tmp_path / "elsewhere")
    (archive / KEY).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ArchiveError, match="cannot be read"):
        StoreFiles(f"file://{archive}", 5).read(KEY, 1 << 20)


def test_pipe_in_the_directory_is_refused(archive: Path) -> None:
    (archive / KEY).unlink()
    os.mkfifo(archive / KEY)
    with pytest.raises(ArchiveError, match="cannot be read"):
        StoreFiles(f"file://{archive}", 5).read(KEY, 1 << 20)
