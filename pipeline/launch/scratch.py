"""A run's temporary directory, and the removal of those that dead runs left.

Everything temporary of a run goes there, Beam's own too. It is locked (``flock``) for as long as its run
lives; the kernel drops the lock with the process, so a dead run's directory is known from a live one's.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

_PREFIX = "bronze-copier-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A new directory, the process's place for temporary files meanwhile; removed with all that is in it."""
    before = tempfile.tempdir
    folder, handle = _locked_folder(Path(tempfile.gettempdir()))
    tempfile.tempdir = str(folder)
    try:
        yield folder
    finally:
        tempfile.tempdir = before
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def _locked_folder(location: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=location))
        with contextlib.suppress(FileNotFoundError):  # another run may take it for a dead one's until it is locked
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists():
                return folder, handle
            os.close(handle)


def remove_dead_scratch() -> list[Path]:
    """Remove the directories of runs that are dead; return them."""
    removed = []
    for folder in sorted(Path(tempfile.gettempdir()).glob(f"{_PREFIX}*")):
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:  # another user's, or gone
            continue
        try:
            if os.fstat(handle).st_uid == os.geteuid():
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
                removed.append(folder)
        except BlockingIOError:  # its run lives
            pass
        finally:
            os.close(handle)
    return removed
