"""Directories that nobody can write into for a while, root neither."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unwritable(directory: Path) -> Iterator[None]:
    """Let nothing be created or removed in `directory` until the block ends; what lies below it stays writable.

    By its permissions, which do not bind root: then by the attribute of immutable files (ext4, xfs, btrfs).
    """
    if os.geteuid() != 0:
        mode = directory.stat().st_mode
        directory.chmod(mode & ~0o222)
        try:
            yield
        finally:
            directory.chmod(mode)
        return
    done = subprocess.run(["chattr", "+i", str(directory)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"directories cannot be made unwritable for root here: {done.stderr.strip()}"
    try:
        yield
    finally:
        subprocess.run(["chattr", "-i", str(directory)], check=True)
