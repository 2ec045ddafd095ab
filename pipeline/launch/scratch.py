"""A run's temporary directory, and the removal of those that dead runs left.

Everything temporary of a run goes there, Beam's own files too. It is locked for as long as its run lives, so a dead
run's directory can be told from a live one's.
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
    """A new directory, in which this process makes its temporary files meanwhile; removed with all that is in it."""
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
    """Remove the directories of dead runs; return them."""
    removed = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        with owner_is_dead(folder, directory=True) as is_dead:
            if is_dead:
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
    return removed
