"""What a file system must do so that publishing on it is safe: tried once, before a run relies on it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from bronze.errors import DISK_FULL, ConfigError, StoreError
from bronze.storage.disk_space import disk_full
from bronze.storage.local_upload import create_name, has_hard_links
from bronze.storage.mounts import mount_of, read_mounts
from bronze.storage.posix import OPEN_SAFELY, create_owned_file, lock_now, sync_directory

#: What only another directory or other permissions can mend.
_NOT_ALLOWED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR})


def check_file_system(root: Path, temporary: Path) -> list[str]:
    """Check locks, create-only publication, fsync of directories and the visibility of files below `root`.

    What was created is removed again, missing directories too.

    Args:
        temporary: the directory of temporary files.

    Returns:
        What works less well than it should, one sentence each; the store can be used all the same.

    Raises:
        ConfigError: something that must work does not; names the path, the call and what to do.
        DiskFullError: there is no space left.
        StoreError: another call failed that may work later.
    """
    missing = [directory for directory in (temporary, root, *root.parents) if not os.path.lexists(directory)]
    try:
        with _refused(root):
            return [*_local_locks(root), *_check(temporary)]
    finally:
        for directory in missing:
            with contextlib.suppress(OSError):  # somebody else uses it by now
                directory.rmdir()


@contextlib.contextmanager
def _refused(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        where = f" ({error.filename})" if error.filename and str(error.filename) != str(root) else ""
        if error.errno in DISK_FULL:
            raise disk_full(root, error) from error
        message = f"{root} cannot be written to as this program needs it: {error.strerror}{where}"
        if error.errno not in _NOT_ALLOWED:  # an error of the disk, for example
            raise StoreError(message) from error
        raise ConfigError(f"{message}. Give this user the permission, or choose another directory") from error


def _local_locks(root: Path) -> list[str]:
    mount = mount_of(os.path.realpath(root), read_mounts())
    if mount is None or not mount.has_local_locks:
        return []
    return [
        f"{root} is on {mount.kind} at {mount.point}, mounted so that locks do not reach other machines: never run two"
        " copiers on two machines there (NFS: mount it without nolock and local_lock)"
    ]


def _check(temporary: Path) -> list[str]:
    notices = []
    file, handle = create_owned_file(temporary, "probe")
    other = file.with_name(f"{file.name[:-1]}{'1' if file.name[-1] == '0' else '0'}")
    try:
        os.write(handle, b"x")
        os.fsync(handle)
        if file.name not in os.listdir(temporary):  # noqa: PTH208
            raise ConfigError(f"{file} was created and is not listed: the file system delays what others can see")
        _check_exclusion(file)
        if not has_hard_links(file):
            notices.append(f"the file system of {temporary} has no hard links: files are renamed without replacing")
        notices += _check_create_only(file, other)
        notices += _check_directory_sync(temporary)
    finally:
        for path in (file, other):
            with contextlib.suppress(OSError):
                path.unlink()
        os.close(handle)
    return notices


def _check_exclusion(file: Path) -> None:
    again = os.open(file, os.O_RDWR | OPEN_SAFELY)
    try:
        if lock_now(again, file):
            raise ConfigError(
                f"locks on the file system of {file.parent} exclude nobody: flock of {file} is granted twice. Mount it"
                " with locks, or choose a directory on another file system"
            )
    finally:
        os.close(again)


def _check_create_only(file: Path, other: Path) -> list[str]:
    taken = os.open(other, os.O_RDWR | os.O_CREAT | os.O_EXCL | OPEN_SAFELY, 0o600)
    os.close(taken)
    try:
        create_name(file, other)
    except FileExistsError:
        other.unlink()
        create_name(file, other)
        return []
    raise ConfigError(
        f"the file system of {file.parent} replaces files that must not be replaced: link of {other} succeeded though"
        " that existed. Choose a directory on another file system"
    )


def _check_directory_sync(directory: Path) -> list[str]:
    refused = sync_directory(directory)
    if refused is None:
        return []
    return [
        f"fsync of the directory {directory} answers {errno.errorcode[refused]}: what was published may be gone after a"
        " power failure of the machine that stores it"
    ]
