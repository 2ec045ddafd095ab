"""File-system primitives of POSIX: durable directories, locks (``flock``), and whether a lock's owner is alive.

A lock belongs to an open file. The kernel drops it with the process, however that ends: so a temporary file or
directory that is locked for as long as its owner lives tells whether the owner does.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bronze.errors import ConfigError, StoreError

_OPEN_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
#: Characters of `name` in the name of a temporary file; file systems allow 255 bytes in all.
_MAX_NAME_CHARACTERS = 200
#: Of creating what others remove at the same time.
_MAX_ATTEMPTS = 1000


def make_durable_directories(directory: Path) -> None:
    """Create `directory` and its missing parents, each of them durable in the one above it."""
    if directory.is_dir():
        return
    make_durable_directories(directory.parent)
    try:
        directory.mkdir()
    except FileExistsError:
        if not directory.is_dir():  # a file, or a symbolic link to nothing
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory)) from None
    else:
        sync_directory(directory.parent)


def make_temporary_directory(directory: Path) -> None:
    """Create `directory` when missing, in a durable parent; it need not be durable itself.

    Raises:
        ConfigError: something else is there. A symbolic link is not followed: files are removed in such directories.
    """
    for _ in range(_MAX_ATTEMPTS):
        try:
            found = directory.lstat().st_mode
        except FileNotFoundError:
            make_durable_directories(directory.parent)
            with contextlib.suppress(FileExistsError):
                directory.mkdir()
            continue
        if not stat.S_ISDIR(found):
            kind = "a symbolic link" if stat.S_ISLNK(found) else "not a directory"
            raise ConfigError(
                f"{directory} is {kind}; it must be a directory of its own, because leftovers of dead runs are removed"
                " in it: remove it or move it away"
            )
        return
    raise StoreError(f"{directory} cannot be created: others keep removing it")


def sync_directory(directory: Path) -> None:
    """Make the entries of `directory` durable."""
    handle = os.open(directory, _OPEN_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def locked_directory(directory: Path) -> Iterator[None]:
    """Hold the exclusive lock of an existing directory; wait for its holder, in this process or another one."""
    handle = os.open(directory, _OPEN_DIRECTORY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        # Closing is not enough: a process forked meanwhile holds the same open file, and so the lock.
        fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def create_owned_file(directory: Path, name: str) -> tuple[Path, int]:
    """Create a locked, empty file in `directory`, which is made durable when missing.

    Returns:
        The path (the beginning of `name`, a dot and 16 random hex digits) and the descriptor, open for reading and
        writing. Closing the descriptor gives up the ownership.
    """
    while True:
        make_durable_directories(directory)
        path = directory / f"{name[:_MAX_NAME_CHARACTERS]}.{secrets.token_hex(8)}"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileNotFoundError:  # a cleaner removed the empty directory in between
            continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        # A cleaner may have removed the file before it was locked: then it has no name any more.
        if os.fstat(handle).st_nlink:
            return path, handle
        os.close(handle)


def create_owned_directory(parent: Path, prefix: str) -> tuple[Path, int]:
    """Create a locked, empty directory in the existing directory `parent`, with a random name after `prefix`.

    Returns:
        The path and a descriptor; closing it gives up the ownership.
    """
    while True:
        directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        with contextlib.suppress(FileNotFoundError):  # until it is locked, a cleaner may take it for an abandoned one
            handle = os.open(directory, _OPEN_DIRECTORY)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if directory.exists():
                return directory, handle
            os.close(handle)


@contextlib.contextmanager
def owner_is_dead(path: Path, *, directory: bool = False) -> Iterator[bool]:
    """Whether the process that created `path` (see `create_owned_file`) has ended; if so, hold its lock inside.

    False too for what is gone, belongs to another user or, with `directory`, is anything but a directory of this
    process's user.
    """
    ignored = OSError if directory else (FileNotFoundError, PermissionError)
    try:
        handle = os.open(path, _OPEN_DIRECTORY | os.O_NOFOLLOW if directory else os.O_RDONLY | os.O_CLOEXEC)
    except ignored:
        yield False
        return
    try:
        yield _may_be_taken(handle, directory=directory)
    finally:
        os.close(handle)


def _may_be_taken(handle: int, *, directory: bool) -> bool:
    if directory and os.fstat(handle).st_uid != os.geteuid():
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
