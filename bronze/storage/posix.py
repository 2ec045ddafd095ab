"""File-system primitives of POSIX: durable directories, files that belong to a living process, and create-only renames.

A temporary file or directory is locked (``flock``) for as long as the process that owns it lives. The kernel drops the
lock with the process, however that ends: so the lock tells whether the owner is alive. Every lock is on a file opened
for writing, which NFS requires, and no call here waits for a lock.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bronze.errors import ConfigError, StoreError

#: Characters of `name` in the name of a temporary file; file systems allow 255 bytes in all.
_MAX_NAME_CHARACTERS = 200
#: Of creating what others remove at the same time.
_MAX_ATTEMPTS = 1000
#: What an fsync of a directory answers where directories cannot be synchronised: nothing better can be done there.
NO_DIRECTORY_SYNC = frozenset({errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS})
#: The file whose lock says that the owner of a directory is alive.
OWNER_FILE = ".owner.lock"
#: How everything that others may have put in place is opened: links are not followed, and nothing blocks.
OPEN_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_AT_FDCWD, _RENAME_NOREPLACE = -100, 1


def make_durable_directories(directory: Path) -> None:
    """Create `directory` and its missing parents, each of them durable in the one above it.

    Empty ones may be removed by others meanwhile, as by whoever tried the file system and made them for that.
    """
    for _ in range(_MAX_ATTEMPTS):
        if directory.is_dir():
            return
        make_durable_directories(directory.parent)
        try:
            directory.mkdir()
            sync_directory(directory.parent)
        except FileNotFoundError:  # the parent was removed in between
            continue
        except FileExistsError:
            if os.path.lexists(directory) and not directory.is_dir():  # a file, or a symbolic link to nothing
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(directory)) from None
            continue
        return
    raise StoreError(f"{directory} cannot be created: others keep removing it")


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
            with contextlib.suppress(FileExistsError, FileNotFoundError):  # made, or its parent removed, in between
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


def sync_directory(directory: Path) -> int | None:
    """Make the entries of `directory` durable; return the error number where its file system cannot, else None."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in NO_DIRECTORY_SYNC:
            raise OSError(error.errno, error.strerror, str(directory)) from error
        return error.errno
    finally:
        os.close(handle)
    return None


def create_owned_file(directory: Path, name: str) -> tuple[Path, int]:
    """Create a locked, empty file in `directory`, which is created when missing.

    Returns:
        The path (the beginning of `name`, a dot and 16 random hex digits) and the descriptor, open for reading and
        writing. Closing the descriptor gives up the ownership.

    Raises:
        ConfigError: the file system has no locks, or `directory` is no directory.
    """
    for _ in range(_MAX_ATTEMPTS):
        make_temporary_directory(directory)
        path = directory / f"{name[:_MAX_NAME_CHARACTERS]}.{secrets.token_hex(8)}"
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_SAFELY, 0o644)
        except FileNotFoundError:  # a cleaner removed the empty directory in between
            continue
        if _own(handle, path):
            return path, handle
    raise StoreError(f"no file can be created in {directory}: others keep removing it")


@contextlib.contextmanager
def owned_directory(parent: Path, prefix: str) -> Iterator[Path]:
    """A new directory in the existing directory `parent`, with a random name after `prefix`; owned inside the block.

    It contains `OWNER_FILE`, whose lock tells that the owner is alive. In the end it is removed with all that is in it.

    Raises:
        ConfigError: the file system has no locks.
    """
    with contextlib.ExitStack() as handles:
        directory = _create_owned_directory(parent, prefix, handles)
        try:
            yield directory
        finally:
            handles.close()  # first: NFS keeps a file that is open, under another name
            shutil.rmtree(directory, ignore_errors=True)


def _create_owned_directory(parent: Path, prefix: str, handles: contextlib.ExitStack) -> Path:
    for _ in range(_MAX_ATTEMPTS):
        directory = Path(tempfile.mkdtemp(prefix=prefix, dir=parent))
        path = directory / OWNER_FILE
        # Until it is locked, a cleaner may take the directory for an abandoned one, and create this file or remove it.
        with contextlib.suppress(FileNotFoundError, FileExistsError):
            folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | OPEN_SAFELY)
            handles.callback(os.close, folder)
            with contextlib.suppress(OSError):  # earlier versions look at this lock; not every file system has it
                fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_SAFELY, 0o600)
            try:
                if _own(handle, path):
                    handles.callback(os.close, handle)
                    return directory
            except BaseException:
                with contextlib.suppress(OSError):
                    directory.rmdir()
                raise
        handles.close()
    raise StoreError(f"no directory can be created in {parent}: others keep removing it")


def _own(handle: int, path: Path) -> bool:
    """Lock the new file; false, and closed, when a cleaner has it or has removed it."""
    try:
        if lock_now(handle, path) and os.fstat(handle).st_nlink:
            return True
    except BaseException:
        with contextlib.suppress(OSError):
            path.unlink()
        os.close(handle)
        raise
    os.close(handle)
    return False


def lock_now(handle: int, path: Path) -> bool:
    """Lock the open file, if nobody else has the lock.

    Raises:
        ConfigError: its file system has no locks.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError as error:
        raise ConfigError(
            f"the file system of {path.parent} has no working locks: flock of {path} answers {error.strerror}"
            f" ({errno.errorcode.get(error.errno or 0, error.errno)}). Mount it with locks (NFS: without nolock), or"
            " choose a directory on another file system"
        ) from error
    return True


def rename_without_replacing(source: Path, target: Path) -> None:
    """Rename a file unless there is one at `target`, atomically.

    Raises:
        FileExistsError: there is one.
        OSError: the system or the file system cannot do this (``ENOSYS``, ``EINVAL``, ``EOPNOTSUPP``), or failed.
    """
    library = ctypes.CDLL(None, use_errno=True)
    rename = getattr(library, "renameat2", None)
    number = errno.ENOSYS
    if rename is not None:
        arguments = (_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), ctypes.c_uint(_RENAME_NOREPLACE))
        if rename(*arguments) == 0:
            return
        number = ctypes.get_errno()
    raise OSError(number, os.strerror(number), str(source), None, str(target))
