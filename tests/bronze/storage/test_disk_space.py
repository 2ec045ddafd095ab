"""A full disk is one clear error: path, free space, and whether it is the quota or the inodes."""

from __future__ import annotations

import errno
import os
import types
from pathlib import Path

import pytest

from bronze.errors import DiskFullError
from bronze.storage.disk_space import full_disk_named


def test_full_disk_names_path_and_space(tmp_path: Path) -> None:
    path = tmp_path / "not" / "there"
    with pytest.raises(DiskFullError) as caught, full_disk_named(path):
        raise OSError(errno.ENOSPC, "x")
    found = str(caught.value)
    assert found.startswith(f"{path} cannot be written: No space left on device: ")
    assert f" MB are free on the file system of {tmp_path}" in found


def test_used_up_quota_is_named(tmp_path: Path) -> None:
    with pytest.raises(DiskFullError, match="the quota is used up"), full_disk_named(tmp_path):
        raise OSError(errno.EDQUOT, "x")


def test_missing_inodes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: types.SimpleNamespace(f_files=1000, f_favail=0))
    with pytest.raises(DiskFullError, match="whose 1,000 inodes are used"), full_disk_named(tmp_path):
        raise OSError(errno.ENOSPC, "x")


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="I/O") as caught, full_disk_named(tmp_path):
        raise OSError(errno.EIO, "I/O")
    assert caught.value.errno == errno.EIO
