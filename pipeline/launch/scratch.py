"""A run's temporary directory, and the removal of those that dead runs left.

Everything temporary of a run goes there, Beam's own too. It is locked (``flock``) for as long as its run lives; the
kernel drops the lock with the process, so a dead run's directory can be told from a live one's.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bronze.storage.posix import create_owned_directory, owner_is_dead

_PREFIX = "bronze-copier-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new directory, used for all temporary files of the process meanwhile; removed with all that is in it."""
    before = tempfile.tempdir
    folder, handle = create_owned_directory(Path(tempfile.gettempdir()), _PREFIX)
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def remove_dead_scratch() -> list[Path]:
    """Remove the directories of this user's dead runs; return them."""
    removed = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with owner_is_dead(folder, directory=True) as dead:
            if dead:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed
