"""Leftovers: what belongs to dead owners goes, what is alive, foreign or another user's stays."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bronze.storage.leftovers import remove_dead_directory, remove_dead_files
from bronze.storage.posix import OWNER_FILE, create_owned_file, owned_directory

REPOSITORY = Path(__file__).parents[3]


@contextlib.contextmanager
def owner(code: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that owns what `code` creates, and its path."""
    program = f"""
import sys
from pathlib import Path
from bronze.storage.posix import *
path = {code}
print(path, flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program, str(folder)], cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        try:
            yield process, Path(process.stdout.readline().strip())
        finally:
            process.kill()


def test_file_goes_once_its_owner_is_killed(tmp_path: Path) -> None:
    with owner("create_owned_file(Path(sys.argv[1]), 'x')[0]", tmp_path / "d") as (process, path):
        assert remove_dead_files(tmp_path / "d") == []
        assert path.exists()
        process.kill()
        process.wait()
        assert remove_dead_files(tmp_path / "d") == [path.name]
    assert not (tmp_path / "d").exists()


def test_directory_goes_once_its_owner_is_killed(tmp_path: Path) -> None:
    with owner("(owned := owned_directory(Path(sys.argv[1]), 'x-')).__enter__()", tmp_path) as (process, path):
        (path / "deep").mkdir()
        assert not remove_dead_directory(path)
        assert path.exists()
        process.kill()
        process.wait()
        assert remove_dead_directory(path)
    assert not path.exists()


def test_closing_the_descriptor_gives_up_ownership(tmp_path: Path) -> None:
    path, handle = create_owned_file(tmp_path / "d", "x")
    os.close(handle)
    assert remove_dead_files(path.parent) == [path.name]


def test_directory_locked_by_an_older_version_stays(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    handle = os.open(tmp_path / "x", os.O_RDONLY)
    fcntl.flock(handle, fcntl.LOCK_EX)
    assert not remove_dead_directory(tmp_path / "x")
    os.close(handle)
    assert remove_dead_directory(tmp_path / "x")


def test_older_version_finds_the_directory_locked(tmp_path: Path) -> None:
    with owned_directory(tmp_path, "x-") as folder:
        handle = os.open(folder, os.O_RDONLY)
        with pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(handle)


def test_directory_whose_owner_died_early_goes(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()  # killed before it had created its lock
    assert remove_dead_directory(tmp_path / "x")


def test_links_and_files_are_no_directories(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "file", "fifo", "missing"):
        assert not remove_dead_directory(tmp_path / name)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fifo", "file", "link", "real"]


def test_links_in_a_dead_directory_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "x").touch()
    (tmp_path / "dead").mkdir()
    (tmp_path / "dead" / "link").symlink_to(tmp_path / "kept")
    os.mkfifo(tmp_path / "dead" / "fifo")
    assert remove_dead_directory(tmp_path / "dead")
    assert (tmp_path / "kept" / "x").exists()


def test_linked_owner_file_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / OWNER_FILE).symlink_to(tmp_path / "victim")
    assert not remove_dead_directory(tmp_path / "x")
    assert not (tmp_path / "victim").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="directories of another user need root")
def test_directory_of_another_user_stays(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    os.chown(tmp_path / "x", 65534, 65534)
    assert not remove_dead_directory(tmp_path / "x")
    assert list((tmp_path / "x").iterdir()) == []


def test_young_files_stay_where_locks_do_not_tell(tmp_path: Path) -> None:
    for name, age in (("old", 7200), ("young", 10)):
        path = tmp_path / f"{name}.0123456789abcdef"
        path.touch()
        os.utime(path, (time.time() - age,) * 2)
    assert remove_dead_files(tmp_path, min_age_s=3600) == ["old.0123456789abcdef"]
    assert remove_dead_files(tmp_path) == ["young.0123456789abcdef"]


def test_file_of_another_name_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, handle = create_owned_file(tmp_path, "a")
    os.close(handle)
    monkeypatch.setattr(os.path, "samestat", lambda *_: False)  # replaced between looking and opening
    assert remove_dead_files(tmp_path) == []
    assert path.exists()


def test_directory_whose_owner_file_is_locked_stays(tmp_path: Path) -> None:
    folder = tmp_path / "x"
    folder.mkdir()
    with (folder / OWNER_FILE).open("w") as file:  # as where directories have no locks
        fcntl.flock(file, fcntl.LOCK_EX)
        assert not remove_dead_directory(folder)
    assert folder.exists()
