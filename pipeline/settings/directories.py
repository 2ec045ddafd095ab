"""Check the directories among the locations that the settings name. Nothing is created, and no service is asked."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
from pipeline.settings.locations import (
    checkpoint_location,
    dataset_location,
    dataset_prefix,
    events_location,
    lake_location,
)
from pipeline.settings.model import Settings
from pipeline.settings.problem import KeyPath, Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Locations:
    """The locations that a run uses.

    Attributes:
        lake: None when the lake is not used.
        dataset, prefix: where partitions are published, and the key prefix of partitions below it.
        events: where the event files are; None without an audit stream.
        checkpoint: where the checkpoints are; None when they are switched off.
    """

    lake: StorageLocation | None
    dataset: StorageLocation
    prefix: str
    events: StorageLocation | None
    checkpoint: StorageLocation | None


def checked_locations(settings: Settings, *, unused: Collection[str] = (), writes: bool = True) -> Locations:
    """Work out the locations that the settings name, and check that their directories can be used.

    The lake must be a readable directory. The others must be writable directories, or such that can be created: the
    nearest parent that exists decides.

    Args:
        writes: whether anything is to be written; otherwise what exists must be readable, and nothing need exist.
        unused: sections whose locations are neither worked out nor checked (`LAKE_SECTIONS`).

    Raises:
        ConfigError: the message lists every problem, one a line, with its key.
    """
    problems: list[Problem] = []

    def checked(
        key: KeyPath,
        location_of: Callable[[Settings], StorageLocation | None],
        flaw_of: Callable[[Path], str | None],
    ) -> StorageLocation | None:
        try:
            location = location_of(settings)
            flaw = flaw_of(Path(location.path)) if location and location.scheme == "local" else None
        except ConfigError as error:
            problems.append(Problem(key, str(error)))
        except OSError as error:  # a name that is too long, a loop of links
            problems.append(Problem(key, f"{error.filename!r} cannot be examined: {error.strerror}"))
        else:
            if location and flaw:
                problems.append(Problem(key, f"{location.path!r} {flaw}"))
            return location
        return None

    lake_key = ("source", "local_path") if settings.source.mode == "local" else ("source",)
    dataset_key = ("storage", "local_dir") if settings.storage.backend == "local" else ("storage",)
    lake = None if "source" in unused else checked(lake_key, lake_location, _unreadable)
    flaw_of = _unwritable if writes else _unreadable_if_there
    dataset = checked(dataset_key, dataset_location, flaw_of)
    checkpoint = checked(("checkpoint", "dir"), checkpoint_location, flaw_of)
    events = checked(("pas", "backup_dir"), events_location, flaw_of)
    if problems or dataset is None:
        raise ConfigError("\n".join(map(str, problems)))
    prefix = dataset_prefix(settings, dataset)
    return Locations(lake=lake, dataset=dataset, prefix=prefix, events=events, checkpoint=checkpoint)


def _unreadable(path: Path) -> str | None:
    if not _exists(path):
        return "does not exist"
    if not path.is_dir():
        return "is not a directory"
    return None if os.access(path, os.R_OK | os.X_OK) else "is not readable"


def _unreadable_if_there(path: Path) -> str | None:
    return _unreadable(path) if _exists(path) else None


def _unwritable(path: Path) -> str | None:
    nearest = path.absolute()
    while not _exists(nearest):
        nearest = nearest.parent
    subject = "" if nearest == path.absolute() else f"cannot be created: its parent {str(nearest)!r} "
    if not nearest.is_dir():
        return f"{subject}is not a directory"
    # The superuser may write everywhere except on a read-only file system.
    if os.statvfs(nearest).f_flag & os.ST_RDONLY:
        return f"{subject}is on a read-only file system"
    return None if os.access(nearest, os.W_OK | os.X_OK) else f"{subject}is not writable"


def _exists(path: Path) -> bool:
    """Whether anything is at `path`, even a dangling link (no directory can be created in its place)."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True
