"""A run's temporary directory, and the removal of those that dead runs left.

Everything temporary of a run goes there, Beam's own files too. It is locked for as long as its run lives, so a dead
run's directory can be told from a live one's.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bronze.errors import ConfigError
from bronze.storage.disk_space import full_disk_named
from bronze.storage.leftovers import remove_dead_directory
from bronze.storage.posix import owned_directory

_PREFIX = "bronze-copier-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new directory, in which this process makes its temporary files meanwhile; removed with all that is in it."""
    before, parent = tempfile.tempdir, scratch_directory()
    with contextlib.ExitStack() as stack:
        with full_disk_named(parent):
            folder = stack.enter_context(owned_directory(parent, _PREFIX))
        tempfile.tempdir = str(folder)
        try:
            yield folder
        finally:
            tempfile.tempdir = before


def scratch_directory() -> Path:
    """The directory for temporary files of this process: that of its run, inside of `scratch`.

    Raises:
        ConfigError: no directory for temporary files can be written to.
    """
    try:
        return Path(tempfile.gettempdir())
    except FileNotFoundError as error:
        raise ConfigError(f"{error.strerror or error}: set TMPDIR to one that has space left") from error


def remove_dead_scratch() -> list[Path]:
    """Remove the directories of dead runs; return them."""
    return [folder for folder in sorted(scratch_directory().glob(f"{_PREFIX}*")) if remove_dead_directory(folder)]
