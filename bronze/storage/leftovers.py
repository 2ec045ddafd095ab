"""Removal of what dead processes left: never more than files and directories of our own, and never through a link."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import os
import re
import shutil
import stat
import time
from pathlib import Path

from bronze.errors import ConfigError
from bronze.storage.lock_file import is_lock_file_name
from bronze.storage.posix import OPEN_SAFELY, OWNER_FILE, lock_now

_LOG = logging.getLogger(__name__)
#: Names that `bronze.storage.posix.create_owned_file` gives.
_OWNED_NAME = re.compile(r".+\.[0-9a-f]{16}", re.DOTALL)


def remove_dead_files(directory: Path, *, min_age_s: float = 0) -> list[str]:
    """Remove the temporary files and lock files in `directory` whose owner is dead; return their names.

    Everything else stays: directories, links, other kinds of files, other names, and the files of live owners. What
    cannot be removed is logged. Nothing happens when `directory` is missing, or is a link or a file.

    Args:
        min_age_s: seconds since the last change of what may be removed; for file systems whose locks do not tell.
    """
    try:
        folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | OPEN_SAFELY)
    except FileNotFoundError:
        return []
    except OSError as error:
        _LOG.warning("leftovers of dead runs are not looked for in %s: %s", directory, error.strerror)
        return []
    removed = []
    try:
        for name in sorted(os.listdir(folder)):  # noqa: PTH208 - of a descriptor, which no link can lead elsewhere
            if not (_OWNED_NAME.fullmatch(name) or is_lock_file_name(name)):
                continue
            try:
                if _remove_if_dead(folder, name, directory / name, min_age_s):
                    removed.append(name)
            except FileNotFoundError:
                pass
            except (OSError, ConfigError) as error:
                _LOG.warning("%s, which a run may have left, is not removed: %s", directory / name, error)
    finally:
        os.close(folder)
    with contextlib.suppress(OSError):  # not empty: a live run writes in it, or somebody keeps something there
        directory.rmdir()
    return removed


def _remove_if_dead(folder: int, name: str, path: Path, min_age_s: float) -> bool:
    found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    if not stat.S_ISREG(found.st_mode) or time.time() - found.st_mtime < min_age_s:
        return False
    try:
        handle = os.open(name, os.O_RDWR | OPEN_SAFELY, dir_fd=folder)  # NFS locks only what is open for writing
    except PermissionError:
        handle = os.open(name, os.O_RDONLY | OPEN_SAFELY, dir_fd=folder)
    try:
        if not os.path.samestat(found, os.fstat(handle)) or not lock_now(handle, path):
            return False
        os.unlink(name, dir_fd=folder)  # still locked: who waits for a lock file notices that it has gone
        return True
    finally:
        os.close(handle)


def remove_dead_directory(directory: Path) -> bool:
    """Remove a directory of this user whose owner (`bronze.storage.posix.owned_directory`) is dead.

    Returns:
        Whether it was removed; false for anything but such a directory.
    """
    with contextlib.ExitStack() as handles:
        try:
            folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | OPEN_SAFELY)
            handles.callback(os.close, folder)
            if os.fstat(folder).st_uid != os.geteuid() or _is_locked(folder):
                return False
            # Created when missing: an owner that has just begun finds it and takes another directory.
            handle = os.open(OWNER_FILE, os.O_RDWR | os.O_CREAT | OPEN_SAFELY, 0o600, dir_fd=folder)
            handles.callback(os.close, handle)
            if not lock_now(handle, directory / OWNER_FILE):
                return False
        except OSError:
            return False
        except ConfigError as error:
            _LOG.warning("%s, which a run may have left, is not removed: %s", directory, error)
            return False
        shutil.rmtree(directory, ignore_errors=True)
    shutil.rmtree(directory, ignore_errors=True)  # NFS keeps a file that is open, under another name
    return not directory.exists()


def _is_locked(folder: int) -> bool:
    """Whether the directory itself is locked, as by earlier versions; false where directories have no locks."""
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return isinstance(error, BlockingIOError)
    return False
