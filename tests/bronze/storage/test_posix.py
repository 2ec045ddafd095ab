"""Locks of the file system: who holds them, when the kernel drops them, and what a cleaner may take."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bronze.storage.posix import (
    create_owned_directory,
    create_owned_file,
    locked_directory,
    make_durable_directories,
    owner_is_dead,
)

REPOSITORY = Path(__file__).parents[3]


@contextlib.contextmanager
def owner(code: str, folder: Path) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """A process that owns what `code` creates, and its path."""
    program = f"""
import sys
from pathlib import Path
from bronze.storage.posix import *
path, handle = {code}
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


@pytest.mark.parametrize("directory", [False, True], ids=["file", "directory"])
def test_owner_is_dead_once_it_is_killed(tmp_path: Path, directory: bool) -> None:
    create = (
        "create_owned_directory(Path(sys.argv[1]), 'x-')" if directory else "create_owned_file(Path(sys.argv[1]), 'x')"
    )
    with owner(create, tmp_path) as (process, path):
        assert path.exists()
        with owner_is_dead(path, directory=directory) as dead:
            assert not dead
        process.kill()
        process.wait()
        with owner_is_dead(path, directory=directory) as dead:
            assert dead


def test_closing_the_descriptor_gives_up_ownership(tmp_path: Path) -> None:
    path, handle = create_owned_file(tmp_path / "new" / "er", "n" * 300)
    assert len(path.name) == 217
    with owner_is_dead(path) as dead:
        assert not dead
    os.close(handle)
    with owner_is_dead(path) as dead:
        assert dead


def test_two_cleaners_never_both_get_it(tmp_path: Path) -> None:
    path, handle = create_owned_directory(tmp_path, "x-")
    os.close(handle)
    with owner_is_dead(path, directory=True) as first, owner_is_dead(path, directory=True) as second:
        assert (first, second) == (True, False)


def test_missing_path_has_no_dead_owner(tmp_path: Path) -> None:
    for directory in (False, True):
        with owner_is_dead(tmp_path / "missing", directory=directory) as dead:
            assert not dead


def test_linked_directory_is_never_taken(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    with owner_is_dead(tmp_path / "link", directory=True) as dead:
        assert not dead


def test_directory_lock_excludes_and_is_released(tmp_path: Path) -> None:
    with locked_directory(tmp_path), owner_is_dead(tmp_path, directory=True) as free:
        assert not free
    with owner_is_dead(tmp_path, directory=True) as free:
        assert free


def test_existing_directories_are_left_alone(tmp_path: Path) -> None:
    make_durable_directories(tmp_path / "a" / "b")
    (tmp_path / "a" / "b" / "x").touch()
    make_durable_directories(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b" / "x").exists()
