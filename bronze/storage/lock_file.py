"""Lock files: exclusion of processes, on one machine and on file systems that several machines mount.

The lock is the kernel's (``flock``) on a file that is opened for writing, because NFS turns it into a lock for writing.
It ends with the process that holds it, however that ends: the file of a dead holder is simply locked again. The content
says who holds the lock and since when; only messages use it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import logging
import os
import re
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bronze.errors import ConfigError, LockedError
from bronze.storage.disk_space import full_disk_named
from bronze.storage.posix import OPEN_SAFELY, lock_now, make_temporary_directory
from bronze.timestamps import rfc3339
from bronze.waiting import wait_until

_LOG = logging.getLogger(__name__)
#: Files that vanish between opening and locking, one after the other, before the lock counts as held.
_MAX_VANISHED = 100
_MAX_NAME_CHARACTERS = 150
_MAX_CONTENT = 4096
_MAX_HOLDER_CHARACTERS = 500
#: Who removes leftovers holds each lock for a moment, too: nobody gives up any sooner.
_SHORTEST_WAIT_S = 0.5
#: Names that `lock_file_name` gives.
_NAME = re.compile(r"(?:run|prefix|update)=[^/]*\.lock", re.ASCII)


def lock_file_name(kind: str, name: str) -> str:
    """The file name of the lock `name` among those of its `kind` (``run``, ``prefix`` or ``update``).

    >>> lock_file_name("run", "pubnet/v1")
    'run=pubnet%2Fv1.lock'
    """
    quoted = quote(name, safe="", errors="surrogatepass")
    if len(quoted) > _MAX_NAME_CHARACTERS:
        quoted = hashlib.sha256(quoted.encode()).hexdigest()
    return f"{kind}={quoted}.lock"


def is_lock_file_name(name: str) -> bool:
    """Whether `lock_file_name` gives such names."""
    return _NAME.fullmatch(name) is not None


def this_process() -> str:
    """Name the process as people on other machines can find it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


@contextlib.contextmanager
def locked_file(
    path: Path, *, what: str, holder: str, wait_s: float, notice_after_s: float = 0.0, stop_grace_s: float = 0.0
) -> Iterator[None]:
    """Hold the lock of the file `path`; create it and its directory, and remove both in the end (if empty).

    Not reentrant: whoever holds it already waits for itself.

    Args:
        what: what the lock protects, as messages name it.
        holder: who takes it, for the messages of those that wait.
        wait_s: seconds to wait for another holder; at least half a second.
        notice_after_s, stop_grace_s: see `bronze.waiting.wait_until`; the notice is logged.

    Raises:
        LockedError: another one holds it after `wait_s` seconds.
        RunStoppedError: the process was asked to stop while it waited.
        ConfigError: the file system has no locks, or something else is at `path` or at its directory.
    """
    taken: list[int] = []

    def attempt() -> bool:
        handle = _take(path)
        if handle is not None:
            taken.append(handle)
        return handle is not None

    def notice() -> None:
        _LOG.warning("waiting up to %g s for %s, held by %s", wait_s, what, read_holder(path))

    wait_s = max(wait_s, _SHORTEST_WAIT_S)
    if not wait_until(
        attempt,
        limit_s=wait_s,
        what=what,
        notice=notice if wait_s > _SHORTEST_WAIT_S else None,
        notice_after_s=notice_after_s,
        stop_grace_s=stop_grace_s,
    ):
        raise LockedError(
            f"{what} is locked by {read_holder(path)} (lock file {path}): wait until that has ended, or end it;"
            " the lock is free as soon as its process has ended"
        )
    (handle,) = taken
    try:
        _write_holder(handle, holder)
        yield
    finally:
        with contextlib.suppress(OSError):  # of another user, in a sticky directory
            path.unlink()
        # Closing is not enough: a process forked meanwhile holds the same open file, and so the lock.
        with contextlib.suppress(OSError):
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)
        with contextlib.suppress(OSError):  # something else is in it
            path.parent.rmdir()


def read_holder(path: Path) -> str:
    """Who holds the lock of `path`, and since when, as its content says; for messages only."""
    try:
        handle = os.open(path, os.O_RDONLY | OPEN_SAFELY)
        try:
            data = os.read(handle, _MAX_CONTENT) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
        finally:
            os.close(handle)
        found = json.loads(data)
        holder, since = str(found["holder"]), str(found["since"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return "an unknown process"
    text = f"{holder} since {since}"[:_MAX_HOLDER_CHARACTERS]
    return "".join(character if character.isprintable() else "?" for character in text)


def _write_holder(handle: int, holder: str) -> None:
    content = json.dumps({"holder": holder[:_MAX_HOLDER_CHARACTERS], "since": rfc3339()}).encode()
    with contextlib.suppress(OSError):  # a full disk, or a file of another user: the lock holds without it
        os.ftruncate(handle, 0)
        os.pwrite(handle, content, 0)


def _take(path: Path) -> int | None:
    """The descriptor of the locked file; None when another one holds it."""
    for _ in range(_MAX_VANISHED):
        with full_disk_named(path):
            handle = _open_lock_file(path)
        if handle is None:
            continue
        try:
            if not lock_now(handle, path):
                os.close(handle)
                return None
            if _is_still_named(handle, path):
                return handle
        except BaseException:
            with contextlib.suppress(OSError):  # no locks there: nobody holds it
                path.unlink()
                path.parent.rmdir()
            os.close(handle)
            raise
        os.close(handle)
    return None


def _is_still_named(handle: int, path: Path) -> bool:
    """Whether `path` still names the open file; opens it, because NFS may answer anything else from a cache."""
    try:
        named = os.open(path, os.O_RDONLY | OPEN_SAFELY)
    except OSError:
        return False
    try:
        return os.path.sameopenfile(handle, named)
    finally:
        os.close(named)


def _open_lock_file(path: Path) -> int | None:
    """Open the file for writing if that is allowed; None when it was created or removed in between."""
    make_temporary_directory(path.parent)
    try:
        handle = os.open(path, os.O_RDWR | OPEN_SAFELY)
    except FileNotFoundError:
        # Not O_CREAT alone: in a sticky directory that refuses to open another user's file.
        try:
            return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_SAFELY, 0o666)
        except (FileExistsError, FileNotFoundError):
            return None
    except PermissionError:
        handle = os.open(path, os.O_RDONLY | OPEN_SAFELY)
    except OSError as error:
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise _not_a_lock_file(path) from error
        raise
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise _not_a_lock_file(path)
    return handle


def _not_a_lock_file(path: Path) -> ConfigError:
    return ConfigError(f"{path} is not a regular file, so it cannot be locked: remove it")
