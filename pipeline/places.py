"""The directories that the settings name, as the disk sees them. Nothing is created here."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

from bronze.errors import ConfigError
from bronze.redact import redact
from pipeline.settings_model import Settings


def local_place(place: str) -> Path:
    """The path of a local place that is written as a path or as a ``file:///`` URL.

    Raises:
        ConfigError: it is the URL of something else.
    """
    if "://" not in place:
        return Path(place)
    parts = urlsplit(place)
    if parts.scheme != "file":
        raise ConfigError(f"{redact(place)!r} is not supported yet by this version: use a local directory")
    if parts.netloc not in ("", "localhost"):
        raise ConfigError(f"{redact(place)!r} names a host: write file:/// and the absolute path")
    if "\0" in (path := unquote(parts.path)):
        raise ConfigError(f"{place!r} holds a NUL character")
    return Path(path)


def check_places(settings: Settings) -> list[str]:
    """What is wrong with the places the settings name, one sentence each; empty when they can be used.

    The source must be a directory that can be read. The others must be writable directories, or such that can be
    made: the nearest parent that exists decides.
    """
    return list(_problems(settings))


def _problems(settings: Settings) -> Iterator[str]:
    source, storage = settings.source, settings.storage
    if source.mode == "local":
        yield from _checked("source.local_path", source.local_path, _unreadable)
    else:
        yield f"source.mode: {source.mode}: this version copies between local directories only"
    if storage.backend == "local":
        yield from _checked("storage.local_dir", storage.local_dir, _unwritable)
    else:
        yield f"storage.backend: {storage.backend}: this version copies between local directories only"
    if settings.checkpoint.enabled:
        yield from _checked("checkpoint.dir", settings.checkpoint.dir, _unwritable)
    if settings.pas.enabled:
        yield from _checked("pas.backup_dir", settings.pas.backup_dir, _unwritable)


def _checked(key: str, place: str, flaw: Callable[[Path], str | None]) -> Iterator[str]:
    try:
        found = flaw(local_place(place))
    except ConfigError as error:
        yield f"{key}: {error}"
    except OSError as error:  # too long a name, a loop of links
        yield f"{key}: {redact(place)!r} cannot be looked at: {error.strerror}"
    else:
        if found:
            yield f"{key}: {redact(place)!r} {found}"


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
