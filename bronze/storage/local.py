"""The store on a local (or mounted) file system.

Publishing: a temporary file under ``_temporary/``, fsync, a hard link to the final name (which fails when that name
exists, so it is create-only and atomic; a rename replaces), fsync of the directory.

A temporary file is locked (``flock``) for as long as its writer lives, so `LocalStore.remove_leftovers` can tell a dead
run's leftovers from a live run's files (see `bronze.storage.posix`).
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from bronze.errors import ObjectExistsError, ObjectNotFoundError, ObjectTooLargeError, StoreError
from bronze.storage.lock_file import lock_file_name, locked_file
from bronze.storage.posix import (
    create_owned_file,
    locked_directory,
    make_durable_directories,
    owner_is_dead,
    sync_directory,
)
from bronze.storage.store import TEMPORARY, Change, ListEntry, checked_key

#: What the system raises when there is no object; a directory is not an object.
_NOT_FOUND = (FileNotFoundError, NotADirectoryError, IsADirectoryError)


class LocalStore:
    """Objects as files below `root`; see `bronze.storage.store.Store` for what each method promises."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()

    @property
    def url(self) -> str:
        """The root as a path."""
        return str(self.root)

    @property
    def supports_locking(self) -> bool:
        """Always true: directories are locked with ``flock``."""
        return True

    @property
    def is_remote(self) -> bool:
        """Always false."""
        return False

    @property
    def tells_dead_writers(self) -> bool:
        """Always true: the kernel drops a dead writer's lock."""
        return True

    def path(self, key: str) -> Path:
        """The file of `key`."""
        return self.root / checked_key(key)

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `bronze.storage.store.Store`."""
        with self.open_read(key) as file:
            size = os.fstat(file.fileno()).st_size
            if max_bytes is not None and size > max_bytes:
                raise ObjectTooLargeError(f"{self.path(key)} has {size} bytes, more than the {max_bytes} allowed")
            return file.read()

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """See `bronze.storage.store.Store`."""
        return memoryview(self.read(key, max_bytes))

    def size(self, key: str) -> int | None:
        """See `bronze.storage.store.Store`."""
        try:
            found = os.stat(f"{self.root}/{checked_key(key)}")  # noqa: PTH116 - quick, for each lake object
        except _NOT_FOUND:
            return None
        return found.st_size if stat.S_ISREG(found.st_mode) else None

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        """See `bronze.storage.store.Store`."""
        folder = self.path(prefix) if prefix else self.root
        try:
            # Directory entries carry their kind: one listing, no stat for each.
            with os.scandir(folder) as found:
                entries = [ListEntry(entry.name, entry.is_dir()) for entry in found if entry.name > after]
        except (FileNotFoundError, NotADirectoryError):
            return
        yield from sorted(entries, key=lambda entry: entry.name)

    def open_read(self, key: str) -> BinaryIO:
        """See `bronze.storage.store.Store`."""
        try:
            return self.path(key).open("rb")
        except _NOT_FOUND as error:
            raise ObjectNotFoundError(f"{self.path(key)} does not exist") from error

    def create(self, key: str, data: bytes) -> None:
        """See `bronze.storage.store.Store`."""
        self._put(key, data, replace=False)

    def replace(self, key: str, data: bytes) -> None:
        """See `bronze.storage.store.Store`."""
        self._put(key, data, replace=True)

    def _put(self, key: str, data: bytes, *, replace: bool) -> None:
        with self.upload(key) as upload:
            upload.write(data)
            upload.publish(replace=replace)

    def update(self, key: str, change: Change) -> bytes | None:
        """See `bronze.storage.store.Store`."""
        # The lock is on the directory of temporary files, which nobody can remove while one of ours is in it: so
        # all updates lock the same directory, and `lock` never meets it.
        with self.upload(key) as upload, locked_directory(self.root / TEMPORARY):
            try:
                old: bytes | None = self.read(key)
            except ObjectNotFoundError:
                old = None
            new = change(old)
            if new is None:
                return old
            upload.write(new)
            upload.publish(replace=True)
            return new

    def delete(self, key: str) -> None:
        """See `bronze.storage.store.Store`."""
        path = self.path(key)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            sync_directory(path.parent)

    def ensure_durable(self, key: str) -> None:
        """See `bronze.storage.store.Store`."""
        sync_directory(self.path(key).parent)

    @contextlib.contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        """Lock the directory `prefix` (created when missing) against every other process and thread.

        Waits for the holder. The kernel drops the lock with the process, so a dead holder blocks nobody.
        """
        folder = self.path(prefix) if prefix else self.root
        make_durable_directories(folder)
        with locked_directory(folder):
            yield

    @contextlib.contextmanager
    def exclusive(self, name: str, *, holder: str, wait_s: float) -> Iterator[None]:
        """See `bronze.storage.store.Store`: a lock file below ``_temporary/``; see `bronze.storage.lock_file`."""
        path = self.root / TEMPORARY / lock_file_name("run", name)
        with locked_file(path, what=f"{name} in {self.root}", holder=holder, wait_s=wait_s):
            yield

    def upload(self, key: str, *, caller_hashes: bool = False) -> LocalUpload:
        """See `bronze.storage.store.Store`."""
        return LocalUpload(self.root / TEMPORARY, self.path(key))

    def check_conditional_writes(self) -> None:
        """See `bronze.storage.store.Store`: nothing to check; every publication would fail by itself."""

    def remove_leftovers(self) -> list[str]:
        """See `bronze.storage.store.Store`."""
        removed = []
        for entry in self.list_children(TEMPORARY):
            path = self.root / TEMPORARY / entry.name
            with owner_is_dead(path) as dead:
                if dead:
                    with contextlib.suppress(FileNotFoundError):
                        path.unlink()
                        removed.append(f"{TEMPORARY}/{entry.name}")
        with contextlib.suppress(OSError):  # not there, or a live run writes in it
            (self.root / TEMPORARY).rmdir()
        return removed


class LocalUpload:
    """A locked temporary file that becomes `final`; see `bronze.storage.store.Upload`."""

    def __init__(self, folder: Path, final: Path) -> None:
        self._final = final
        self._temporary, self._handle = create_owned_file(folder, final.name)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `bronze.storage.store.Upload`."""
        view = memoryview(data).cast("B")
        at = 0
        while at < len(view):
            at += os.write(self._handle, view[at:])
        return at

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """See `bronze.storage.store.Upload`."""
        os.fsync(self._handle)
        make_durable_directories(self._final.parent)
        if replace:
            self._temporary.replace(self._final)
        else:
            try:
                os.link(self._temporary, self._final)
            except FileExistsError as error:
                # The caller will take the existing file for published, so it has to be durable.
                sync_directory(self._final.parent)
                raise ObjectExistsError(f"{self._final} exists already") from error
            except OSError as error:
                if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS):
                    raise StoreError(
                        f"the file system of {self._final.parent} has no hard links, which creating a file"
                        " without ever replacing another one needs: choose a directory on another file system"
                    ) from error
                raise
        sync_directory(self._final.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Unlinked before it is unlocked: a cleaner that gets the lock finds nothing.
        with contextlib.suppress(FileNotFoundError):
            self._temporary.unlink()
        # A caller that still holds the upload must not write into the next file that gets the same descriptor.
        handle, self._handle = self._handle, -1
        os.close(handle)
        with contextlib.suppress(OSError):  # another writer's file is there still
            self._temporary.parent.rmdir()
