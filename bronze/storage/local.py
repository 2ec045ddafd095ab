"""The store on a local (or mounted) file system.

Publishing: a temporary file under ``_temporary/``, fsync, a hard link to the final name (which fails when that name
exists, so it is create-only and atomic; a rename replaces), fsync of the directory. The temporary file is on the file
system of its final name: another one mounted below the root has a ``_temporary/`` of its own.

A temporary file is locked (``flock``) for as long as its writer lives, so `LocalStore.remove_leftovers` can tell a dead
run's leftovers from a live run's files (see `bronze.storage.posix`).

Whatever other people can have put below the root is opened without blocking and must be a regular file that lies below
the root: symbolic links may lead from one place below the root to another, and the root itself may be one.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import BinaryIO

from bronze.errors import ObjectNotFoundError, ObjectTooLargeError
from bronze.storage.leftovers import remove_dead_files
from bronze.storage.local_probe import check_file_system
from bronze.storage.local_root import LOOK, RootDirectory
from bronze.storage.local_upload import LocalUpload
from bronze.storage.lock_file import lock_file_name, locked_file, this_process
from bronze.storage.posix import sync_directory
from bronze.storage.store import TEMPORARY, Change, ListedObject, ListEntry, checked_key, join

#: Seconds that `LocalStore.lock` and `LocalStore.update` wait; what they protect takes a second at most.
LOCK_WAIT_S = 60.0
_NOTICE_AFTER_S = 3.0
#: Seconds that such a wait goes on after a request to stop: the holder may be another thread about to end.
_STOP_GRACE_S = 2.0
#: Bytes of an object that `LocalStore.update` accepts.
_MAX_UPDATED_BYTES = 64 << 20
#: Seconds after which a temporary file counts as left where locks do not tell; as on object stores.
_MIN_LEFTOVER_AGE_S = 24 * 3600.0


class LocalStore:
    """Objects as files below `root`; see `bronze.storage.store.Store` for what each method promises."""

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root).absolute()
        self._directory = RootDirectory(self.root)

    @property
    def url(self) -> str:
        """The root as a path."""
        return str(self.root)

    @property
    def supports_locking(self) -> bool:
        """Always true: files below ``_temporary/`` are locked with ``flock``."""
        return True

    @property
    def is_remote(self) -> bool:
        """Always false."""
        return False

    @property
    def tells_dead_writers(self) -> bool:
        """Whether the kernel drops a dead writer's lock; false on mounts whose locks do not reach other machines."""
        return not self._directory.has_local_locks

    def path(self, key: str) -> Path:
        """The file of `key`."""
        return self.root / checked_key(key)

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `bronze.storage.store.Store`.

        Raises:
            NotAnObjectError: a symbolic link leads out of the root, or no regular file is there.
        """
        handle, size = self._directory.open(checked_key(key))
        try:
            limit = size if max_bytes is None else max_bytes
            if size > limit:
                raise ObjectTooLargeError(f"{self.path(key)} has {size} bytes, more than the {max_bytes} allowed")
            data = os.read(handle, size + 1)
            if len(data) == size:
                return data
            # It grows or shrinks meanwhile, or has more bytes than one call reads.
            os.lseek(handle, 0, os.SEEK_SET)
            with os.fdopen(os.dup(handle), "rb") as file:
                data = file.read() if max_bytes is None else file.read(max_bytes + 1)
            if max_bytes is not None and len(data) > max_bytes:
                raise ObjectTooLargeError(f"{self.path(key)} has more than the {max_bytes} bytes allowed")
            return data
        finally:
            os.close(handle)

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """See `bronze.storage.store.Store`."""
        return memoryview(self.read(key, max_bytes))

    def size(self, key: str) -> int | None:
        """See `bronze.storage.store.Store`.

        Raises:
            NotAnObjectError: as in `read`.
        """
        path = f"{self.root}/{checked_key(key)}"
        try:
            # The cheap answer where nothing is there: of the other extension of every lake object.
            os.lstat(path)
            handle, size = self._directory.open(key, LOOK)
        except (FileNotFoundError, NotADirectoryError, ObjectNotFoundError):
            return None
        os.close(handle)
        return size

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        """See `bronze.storage.store.Store`."""
        yield from self._directory.entries(checked_key(prefix) if prefix else "", after)

    def list_objects(self, prefix: str, *, after: str = "") -> Generator[ListedObject, None, None]:
        """See `bronze.storage.store.Store`."""
        yield from self._directory.objects(checked_key(prefix) if prefix else "", after)

    def list_directories(self, prefix: str) -> Iterator[tuple[str, frozenset[str]]]:
        """See `bronze.storage.store.Store`."""
        for entry in self.list_children(prefix):
            if entry.is_prefix:
                children = self.list_children(join(prefix, entry.name))
                yield (
                    entry.name,
                    frozenset(f"{one.name}/" if one.is_prefix else one.name for one in children if not one.is_odd),
                )

    def open_read(self, key: str) -> BinaryIO:
        """See `bronze.storage.store.Store` and `read`."""
        return os.fdopen(self._directory.open(checked_key(key))[0], "rb")

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
        """See `bronze.storage.store.Store`; an object of more than 64 MiB cannot be updated."""
        with self.upload(key) as upload, self._locked("update", "", self.path(key)):
            try:
                old: bytes | None = self.read(key, _MAX_UPDATED_BYTES)
            except ObjectNotFoundError:
                old = None
            new = change(old)
            if new is None:
                if old is not None:  # it counts as written; an attempt before may have failed before it was durable
                    self.ensure_durable(key)
                return old
            upload.write(new)
            upload.publish(replace=True)
            return new

    def delete(self, key: str) -> None:
        """See `bronze.storage.store.Store`."""
        path = self.path(key)
        self._directory.check_inside(os.path.realpath(path.parent), path)
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
            sync_directory(path.parent)

    def ensure_durable(self, key: str) -> None:
        """See `bronze.storage.store.Store`."""
        sync_directory(self.path(key).parent)

    def lock(self, prefix: str = "") -> contextlib.AbstractContextManager[None]:
        """Lock `prefix` against every other process and thread; not reentrant.

        Waits for the holder, up to `LOCK_WAIT_S` seconds. The kernel drops the lock with the process, so a dead holder
        blocks nobody.

        Raises:
            LockedError: another one holds it for longer than that; says who.
            RunStoppedError: the process was asked to stop while it waited (`bronze.waiting`).
        """
        return self._locked("prefix", prefix, self.path(prefix) if prefix else self.root)

    def _locked(self, kind: str, name: str, what: Path) -> contextlib.AbstractContextManager[None]:
        return locked_file(
            self.root / TEMPORARY / lock_file_name(kind, name),
            what=str(what),
            holder=this_process(),
            wait_s=LOCK_WAIT_S,
            notice_after_s=_NOTICE_AFTER_S,
            stop_grace_s=_STOP_GRACE_S,
        )

    def exclusive(self, name: str, *, holder: str, wait_s: float) -> contextlib.AbstractContextManager[None]:
        """See `bronze.storage.store.Store`: a lock file below ``_temporary/``; see `bronze.storage.lock_file`."""
        path = self.root / TEMPORARY / lock_file_name("run", name)
        return locked_file(path, what=f"{name} in {self.root}", holder=holder, wait_s=wait_s)

    def upload(self, key: str, *, caller_hashes: bool = False) -> LocalUpload:
        """See `bronze.storage.store.Store`.

        Raises:
            NotAnObjectError: a symbolic link leads out of the root.
        """
        final = self.path(key)
        mount_point = self._directory.mount_point_of(final)
        return LocalUpload(mount_point / TEMPORARY, final)

    def check_conditional_writes(self) -> list[str]:
        """See `bronze.storage.store.Store`, and `bronze.storage.local_probe` for what a file system must do."""
        return check_file_system(self.root, self.root / TEMPORARY)

    def remove_leftovers(self) -> list[str]:
        """See `bronze.storage.store.Store`."""
        min_age_s = 0 if self.tells_dead_writers else _MIN_LEFTOVER_AGE_S
        removed = []
        for mount_point in self._directory.mount_points():
            folder = join(mount_point, TEMPORARY)
            removed += [f"{folder}/{name}" for name in remove_dead_files(self.root / folder, min_age_s=min_age_s)]
        return removed
