"""File-system primitives: durable directories, files that are owned, locks that fail, and create-only renames."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from bronze.storage.posix import (
    create_owned_file,
    make_durable_directories,
    make_temporary_directory,
    owned_directory,
    rename_without_replacing,
    sync_directory,
)

NO_LOCKS = [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF]


def test_owned_file_has_a_short_random_name(tmp_path: Path) -> None:
    path, handle = create_owned_file(tmp_path / "new" / "er", "n" * 300)
    os.close(handle)
    assert len(path.name) == 217
    assert path.parent == tmp_path / "new" / "er"


def test_existing_directories_are_left_alone(tmp_path: Path) -> None:
    make_durable_directories(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "x").touch()
    make_durable_directories(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "x").exists()


def test_owned_directory_is_removed_with_its_content(tmp_path: Path) -> None:
    with owned_directory(tmp_path, "x-") as folder:
        (folder / "deep").mkdir()
        assert list(tmp_path.iterdir()) == [folder]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("make", [make_durable_directories, make_temporary_directory])
def test_dangling_link_is_no_directory(tmp_path: Path, make: object) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "missing")
    with pytest.raises((NotADirectoryError, ConfigError)):
        make(tmp_path / "link")  # type: ignore[operator]
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("make", [make_durable_directories, make_temporary_directory])
def test_directory_is_made_though_parent_vanishes(
    tmp_path: Path, make: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two copiers that try a file system at once, the first one to end removes the directory that it made."""
    wanted, mkdir, removed = tmp_path / "store" / "_temporary", Path.mkdir, []

    def mkdir_when_others_clean(path: Path, mode: int = 0o777) -> None:
        if path == wanted and not removed:
            removed.append(path.parent)
            path.parent.rmdir()
        mkdir(path, mode)

    monkeypatch.setattr(Path, "mkdir", mkdir_when_others_clean)
    make(wanted)
    assert wanted.is_dir()
    assert removed == [wanted.parent]


@pytest.mark.parametrize("number", NO_LOCKS, ids=errno.errorcode.get)
def test_files_without_locks_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    with pytest.raises(ConfigError, match=f"no working locks: flock of {tmp_path}/.*{errno.errorcode[number]}"):
        create_owned_file(tmp_path / "d", "x")
    with pytest.raises(ConfigError, match="no working locks"), owned_directory(tmp_path, "x-"):
        pass
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208
    assert [path for path in tmp_path.rglob("*") if path.name != "d"] == []


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP, errno.EIO], ids=errno.errorcode.get)
def test_unsupported_directory_sync_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def fsync(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fsync)
    if number != errno.EIO:
        sync_directory(tmp_path)
        return
    with pytest.raises(OSError, match="Input/output error") as caught:
        sync_directory(tmp_path)
    assert caught.value.filename == str(tmp_path)


def test_rename_never_replaces_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    with pytest.raises(FileExistsError):
        rename_without_replacing(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"
    rename_without_replacing(tmp_path / "a", tmp_path / "c")
    assert ((tmp_path / "c").read_text(), (tmp_path / "a").exists()) == ("a", False)
    with pytest.raises(FileNotFoundError):
        rename_without_replacing(tmp_path / "a", tmp_path / "d")
