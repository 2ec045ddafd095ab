"""The directory at the root of a local store: nothing outside of it is opened, and nothing but regular files."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from bronze.errors import NotAnObjectError, ObjectNotFoundError
from bronze.storage.mounts import Mount, is_below, mount_of, read_mounts
from bronze.storage.store import ListedObject, ListEntry, join

#: What the system raises when there is no object; a directory is not an object.
_NOT_FOUND = (FileNotFoundError, NotADirectoryError, IsADirectoryError)
#: What opening a socket, a device without driver or a circle of links answers.
_NO_FILE = frozenset({errno.ENXIO, errno.ENODEV, errno.ELOOP})
_OPEN = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY
#: How a file is opened that is only looked at: what others may not read, or would block, is not opened itself.
LOOK = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK) | os.O_CLOEXEC


class RootDirectory:
    """The directory `root` and what is mounted below it, as it was when that was first asked for.

    The root may be a symbolic link, and links below it may lead to other places below it, but not elsewhere.

    Args:
        root: an absolute path; it need not exist.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = os.path.realpath(root)
        self._mounts: list[Mount] | None = None

    def open(self, key: str, flags: int = _OPEN) -> tuple[int, int]:
        """The descriptor and the size in bytes of the object `key`, a checked one.

        Raises:
            ObjectNotFoundError: nothing is there, or a directory.
            NotAnObjectError: a symbolic link leads nowhere or out of the root, or no regular file is there.
        """
        path = f"{self._root}/{key}"
        try:
            handle = os.open(path, flags)
        except _NOT_FOUND as error:
            if os.path.islink(path):  # noqa: PTH114 - as above
                raise NotAnObjectError(
                    f"{path} is a symbolic link to {os.readlink(path)}, where no file is: is the volume mounted that it"  # noqa: PTH115
                    " leads to? Else restore the file"
                ) from error
            raise ObjectNotFoundError(f"{path} does not exist") from error
        except OSError as error:
            if error.errno in _NO_FILE:
                raise NotAnObjectError(f"{path} is not a regular file ({error.strerror}): remove it") from error
            raise
        try:
            found = os.fstat(handle)
            if stat.S_ISDIR(found.st_mode):
                raise ObjectNotFoundError(f"{path} does not exist: it is a directory")
            real = _opened_path(handle, path)
            self.check_inside(real, path)
            if not stat.S_ISREG(found.st_mode):
                raise NotAnObjectError(f"{path} is not a regular file: remove it")
        except BaseException:
            os.close(handle)
            raise
        return handle, found.st_size

    def open_directory(self, path: str) -> int:
        """The descriptor of the directory `path`, to be listed.

        Raises:
            FileNotFoundError, NotADirectoryError: nothing is there, or no directory.
            NotAnObjectError: a symbolic link leads out of the root.
        """
        handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self.check_inside(_opened_path(handle, path), path)
        except BaseException:
            os.close(handle)
            raise
        return handle

    def entries(self, prefix: str, after: str = "") -> list[ListEntry]:
        """What lies in the directory `prefix`, a checked key or empty, in name order; nothing when there is none.

        Args:
            after: only what has a name after this.

        Raises:
            NotAnObjectError: a symbolic link leads out of the root.
        """
        handle = self._open_listed(prefix)
        if handle is None:
            return []
        try:
            # Directory entries carry their kind: one listing, no stat for each.
            with os.scandir(handle) as found:
                entries = [self._entry(prefix, entry) for entry in found if entry.name > after]
        finally:
            os.close(handle)
        return sorted(entries, key=lambda entry: entry.name)

    def objects(self, prefix: str, after: str = "") -> Iterator[ListedObject]:
        """The objects in the directory `prefix`, in name order, with their sizes; each is looked at when it is needed.

        What cannot be read as an object, or is gone meanwhile, is left out. Arguments and errors as of `entries`.
        """
        handle = self._open_listed(prefix)
        if handle is None:
            return
        try:
            with os.scandir(handle) as found:
                entries = [entry for entry in found if entry.name > after]
            for entry in sorted(entries, key=lambda entry: entry.name):
                size = self._size(prefix, entry)
                if size is not None:
                    yield ListedObject(entry.name, size)
        finally:
            os.close(handle)

    def _open_listed(self, prefix: str) -> int | None:
        """The descriptor of the directory `prefix`; None when there is none. Raises `NotAnObjectError`."""
        try:
            return self.open_directory(f"{self._root}/{prefix}" if prefix else str(self._root))
        except (FileNotFoundError, NotADirectoryError):
            return None

    def _size(self, prefix: str, entry: os.DirEntry[str]) -> int | None:
        """Bytes of the object that the entry is; None when it is none. Only links are opened."""
        if entry.is_symlink():
            return self._linked_size(prefix, entry)
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        return status.st_size if stat.S_ISREG(status.st_mode) else None

    def _linked_size(self, prefix: str, entry: os.DirEntry[str]) -> int | None:
        """Bytes of the object that the link `entry` leads to; None when it leads to none."""
        try:
            handle, size = self.open(join(prefix, entry.name), LOOK)
        except (NotAnObjectError, ObjectNotFoundError):
            return None
        os.close(handle)
        return size

    def _entry(self, prefix: str, entry: os.DirEntry[str]) -> ListEntry:
        if _is_directory(entry):
            return ListEntry(entry.name, is_prefix=True)
        return ListEntry(entry.name, is_prefix=False, is_odd=not self._is_object(prefix, entry))

    def _is_object(self, prefix: str, entry: os.DirEntry[str]) -> bool:
        """Whether the entry, which is no directory, can be read; only links are looked up."""
        if entry.is_symlink():
            return self._linked_size(prefix, entry) is not None
        return entry.is_file(follow_symlinks=False)

    def check_inside(self, real: str, path: str | Path) -> None:
        """Raise `NotAnObjectError` unless `real`, where `path` leads, is the root or below it."""
        if real == self._real_root or is_below(real, self._real_root):
            return
        self._real_root = os.path.realpath(self._root)  # it may be a link that was changed
        if real != self._real_root and not is_below(real, self._real_root):
            raise NotAnObjectError(
                f"{path} leads to {real}, out of {self._root}: symbolic links are only followed within the root of a"
                " store. Mount what is elsewhere below the root (mount --bind), or make the root itself a link"
            )

    @property
    def has_local_locks(self) -> bool:
        """Whether locks there are known to exclude processes of this machine only (`Mount.has_local_locks`)."""
        mount = mount_of(self._real_root, self._read_mounts())
        return mount is not None and mount.has_local_locks

    def mount_point_of(self, path: Path) -> Path:
        """The root, or the mount point below it, on whose file system the existing or future file `path` is.

        Raises:
            NotAnObjectError: a symbolic link leads out of the root.
        """
        folder = os.path.realpath(path.parent)
        self.check_inside(folder, path)
        mount = mount_of(folder, self._mounts_below())
        return Path(mount.point) if mount else self._root

    def mount_points(self) -> list[str]:
        """The root (the empty string) and the mount points below it, relative to it."""
        start = len(self._real_root.rstrip("/")) + 1
        return list(dict.fromkeys(["", *(mount.point[start:] for mount in self._mounts_below())]))

    def _mounts_below(self) -> list[Mount]:
        return [mount for mount in self._read_mounts() if is_below(mount.point, self._real_root)]

    def _read_mounts(self) -> list[Mount]:
        if self._mounts is None:
            self._mounts = read_mounts()
        return self._mounts


def _opened_path(handle: int, path: str) -> str:
    """Where `path` led when `handle` was opened, without symbolic links."""
    try:
        return os.readlink(f"/proc/self/fd/{handle}")  # noqa: PTH115 - on the path of every lake object
    except OSError:
        return os.path.realpath(path)


def _is_directory(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a directory; not when that cannot be told, as of a link to itself: reading it tells why."""
    try:
        return entry.is_dir()
    except OSError:
        return False
