"""The directories that the settings name, as the disk sees them. Nothing is created, and no service is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
from pipeline.settings.checks import Problem
from pipeline.settings.document import KeyPath
from pipeline.settings.locations import checkpoint_location, events_location, lake_location, storage_location
from pipeline.settings.model import Settings


def check_places(settings: Settings, *, unused: Collection[str] = ()) -> list[Problem]:
    """What is wrong with the places the settings name; empty when they can be used.

    The source must be a directory that can be read. The others must be writable directories, or such that can be
    made: the nearest parent that exists decides.

    Args:
        unused: sections of the settings whose places are not looked at.
    """
    mode, backend = settings.source.mode, settings.storage.backend
    checks: list[tuple[KeyPath, Callable[[Settings], StorageLocation | None], Callable[[Path], str | None]]] = [
        (("source", "local_path") if mode == "local" else ("source",), lake_location, _unreadable),
        (("storage", "local_dir") if backend == "local" else ("storage",), storage_location, _unwritable),
        (("checkpoint", "dir"), checkpoint_location, _unwritable),
        (("pas", "backup_dir"), events_location, _unwritable),
    ]
    return [
        Problem((key,), flaw)
        for key, place_of, flaw_of in checks
        if key[0] not in unused
        for flaw in _flaws(settings, place_of, flaw_of)
    ]


def _flaws(
    settings: Settings, place_of: Callable[[Settings], StorageLocation | None], flaw_of: Callable[[Path], str | None]
) -> Iterator[str]:
    try:
        location = place_of(settings)
        found = flaw_of(Path(location.path)) if location and location.scheme == "local" else None
    except ConfigError as error:
        yield str(error)
    except OSError as error:  # too long a name, a loop of links
        yield f"{error.filename!r} cannot be looked at: {error.strerror}"
    else:
        if location and found:
            yield f"{location.path!r} {found}"


def _unreadable(path: Path) -> str | None:
    if not _exists(path):
        return "does not exist"
    if not path.is_dir():
        return "is not a directory"
    return None if os.access(path, os.R_OK | os.X_OK) else "may not be read"


def _unwritable(path: Path) -> str | None:
    nearest = path.absolute()
    while not _exists(nearest):
        nearest = nearest.parent
    which = "" if nearest == path.absolute() else f"cannot be made: its parent {str(nearest)!r} "
    if not nearest.is_dir():
        return f"{which}is not a directory"
    # The superuser may write everywhere but to a file system mounted read-only.
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        return f"{which}is on a read-only file system"
    return None if os.access(nearest, os.W_OK | os.X_OK) else f"{which}may not be written to"


def _exists(path: Path) -> bool:
    """Whether anything lies at `path`, be it a link to nowhere (nothing can be made in its place)."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
