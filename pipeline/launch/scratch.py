"""A run's temporary directory, and the removal of those that dead runs left.

Everything temporary of a run goes there, Beam's own files too. It is locked for as long as its run lives, so a dead
run's directory can be told from a live one's.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bronze.storage.leftovers import remove_dead_directory
from bronze.storage.posix import owned_directory

_PREFIX = "bronze-copier-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new directory, in which this process makes its temporary files meanwhile; removed with all that is in it."""
    before = tempfile.tempdir
    with owned_directory(Path(tempfile.gettempdir()), _PREFIX) as folder:
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def scratch_directory() -> Path:
    """The directory for temporary files of this process: that of its run, inside of `scratch`."""
    return Path(tempfile.gettempdir())


def remove_dead_scratch() -> list[Path]:
    """Remove the directories of dead runs; return them."""
    return [
        folder for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")) if remove_dead_directory(folder)
    ]
