"""A full disk as one clear error: what could not be written, and how much space its file system has left."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from bronze.errors import DISK_FULL, DiskFullError


@contextlib.contextmanager
def full_disk_named(path: Path) -> Iterator[None]:
    """Inside the block, an error that says that the disk of `path` is full becomes a `DiskFullError` that names it.

    Args:
        path: what is written; it need not exist.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        raise disk_full(path, error) from error


def disk_full(path: Path, error: OSError) -> DiskFullError:
    """The error for a `path` that cannot be written because of `error`, one of `DISK_FULL`."""
    kind = "the quota is used up" if error.errno == errno.EDQUOT else "No space left on device"
    return DiskFullError(f"{path} cannot be written: {kind}: {_space(path)}. Make room and run again: it resumes")


def _space(path: Path) -> str:
    folder = path
    while not folder.is_dir() and folder != folder.parent:
        folder = folder.parent
    try:
        found = os.statvfs(folder)
    except OSError:
        return f"the free space of {folder} is not known"
    if found.f_files and not found.f_favail:
        return (
            f"no file can be created any more on the file system of {folder}, whose {found.f_files:,} inodes are used"
        )
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    return f"{free / 1e6:,.1f} MB of {size / 1e6:,.1f} MB are free on the file system of {folder}"
