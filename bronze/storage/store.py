"""The store port: objects under keys.

Keys are relative, with ``/`` between plain segments; no key leaves its root. Every operation is safe to retry: creating
an object never overwrites another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from bronze.errors import StoreError

#: Everything unfinished is under this prefix of a store's root, where no reader's glob for ``range=`` matches.
TEMPORARY = "_temporary"

#: Makes an object's new bytes from its old ones (None: there is no object); returning None leaves it unchanged.
Change = Callable[[bytes | None], bytes | None]

#: Segments that are empty, ``.`` or ``..``; control characters and backslashes.
_INVALID_KEY = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One child of a prefix; `name` is its last segment.

    Attributes:
        is_odd: whether it is neither a prefix nor an object: on disks a pipe, a device, or a link that leads to no
            file below the root.
    """

    name: str
    is_prefix: bool
    is_odd: bool = False


@dataclass(frozen=True, slots=True)
class ListedObject:
    """An object as a listing shows it; `name` is its key's last segment, `size` its bytes."""

    name: str
    size: int


class Upload(Protocol):
    """An object being written: piece by piece, then published under its key or abandoned."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`; return the number of bytes (all of them).

        A writable buffer may be changed afterwards; a read-only one may not, for it need not be copied.
        """
        ...

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """Make the whole object durable and visible under its key, atomically.

        Args:
            checksum: ``sha256:`` and the hex digest of all that was written; required with `caller_hashes`.

        Raises:
            ObjectExistsError: there is an object and `replace` is false; the upload stays unpublished.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Abandon the upload unless it was published."""
        ...


class Store(Protocol):
    """Objects under keys; see each backend for what it adds."""

    @property
    def url(self) -> str:
        """The root, to be shown to people; without trailing slash, holds no secret."""
        ...

    @property
    def supports_locking(self) -> bool:
        """Whether `lock` excludes other processes and threads."""
        ...

    @property
    def is_remote(self) -> bool:
        """Whether each call costs a request to another machine."""
        ...

    @property
    def tells_dead_writers(self) -> bool:
        """Whether `remove_leftovers` can tell a dead writer's objects from a live one's, whatever their age."""
        ...

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """The whole object, in memory.

        Args:
            max_bytes: the largest size to accept; checked before anything is read.

        Raises:
            ObjectNotFoundError: there is no such object.
            ObjectTooLargeError: it has more than `max_bytes` bytes.
        """
        ...

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """Like `read`, without a copy where the client hands over its own memory; read-only."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes of the object, or None when there is none."""
        ...

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        """The direct children of `prefix` (a "directory", without trailing slash), in name order; one listing.

        Args:
            after: only children whose names come after this, which need not be a child's.
        """
        ...

    def list_objects(self, prefix: str, *, after: str = "") -> Generator[ListedObject, None, None]:
        """The objects directly in `prefix` (a "directory", without trailing slash), in name order, with their sizes.

        Lazy: on object stores a page of names is requested when it is needed, on disks a size is looked up when its
        object is. On disks what is no regular file, and a link that leads out of the root, is left out.

        Args:
            after: only objects whose names come after this, which need not be an object's.
        """
        ...

    def list_directories(self, prefix: str) -> Iterator[tuple[str, frozenset[str]]]:
        """Each "directory" directly below `prefix`, in name order, with the names of the objects directly in it, and of
        the directories in it, which end with a slash.

        What is no object is left out, whatever its name.

        One listing on object stores, where a directory without objects does not exist; elsewhere one for each
        directory.
        """
        ...

    def create(self, key: str, data: bytes) -> None:
        """Create a small object, durable and atomic. Raises `ObjectExistsError`."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Create or replace a small object, durable and atomic."""
        ...

    def update(self, key: str, change: Change) -> bytes | None:
        """Read, change and write a small object in one step; return its bytes afterwards.

        No update of another process or thread comes in between, and none is lost. (`create`, `replace` and `delete` of
        the same key are not updates: they may.)

        Args:
            change: called with the object's bytes, and again whenever another update came first; so it must not have
                side effects, or update this store itself.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def ensure_durable(self, key: str) -> None:
        """Make an object found in place durable; its writer may have crashed before fsync."""
        ...

    def upload(self, key: str, *, caller_hashes: bool = False) -> Upload:
        """Begin to write an object too large for memory.

        Args:
            caller_hashes: the caller hashes what it writes and passes the checksum to `Upload.publish`, so the store
                need not.
        """
        ...

    def open_read(self, key: str) -> BinaryReader:
        """The object as a seekable binary file. Raises `ObjectNotFoundError`."""
        ...

    def lock(self, prefix: str = "") -> AbstractContextManager[None]:
        """Exclude others that lock `prefix`, waiting for them, if the store `supports_locking`; else do nothing."""
        ...

    def exclusive(self, name: str, *, holder: str, wait_s: float) -> AbstractContextManager[None]:
        """Exclude others that ask for the same `name`, for as long as a whole run, if the store `supports_locking`.

        Where it does not, the block begins at once and excludes nobody. Not reentrant. The lock ends with the process.
        It has nothing to do with `lock`.

        Args:
            name: what is protected, such as a chain; any text.
            holder: who asks (host, process, user, command, run), as others are told that have to wait.
            wait_s: seconds to wait for the present holder; 0 gives up at once (within half a second).

        Raises:
            LockedError: another one holds it; says who, and since when.
            RunStoppedError: the process was asked to stop while it waited (`bronze.waiting`).
        """
        ...

    def check_conditional_writes(self) -> list[str]:
        """Check that the store honours conditional writes; leaves nothing behind.

        Returns:
            What works less well than it should, a sentence each; the store can be used all the same.

        Raises:
            ConfigError: it does not, or cannot be written to.
        """
        ...

    def remove_leftovers(self) -> list[str]:
        """Remove what dead runs left unfinished; return the keys. Objects of live runs stay."""
        ...


class BinaryReader(Protocol):
    """The part of a binary file that parquet readers and hashing need; as in `io.RawIOBase`."""

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes, all that is left when negative."""
        ...

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to an offset; return the new position."""
        ...

    def tell(self) -> int:
        """The current position."""
        ...

    def close(self) -> None:
        """Release what is held."""
        ...

    @property
    def closed(self) -> bool:
        """Whether it was closed."""
        ...


def checked_key(key: str) -> str:
    """Return `key`, or raise `StoreError` when it could leave the root or does not name an object.

    Control characters are refused too: object stores cannot list such keys.

    >>> checked_key("a/b.parquet")
    'a/b.parquet'
    """
    if _INVALID_KEY.search(key):
        raise StoreError(f"key {key!r} is not a relative path of plain segments")
    return key


def join(*parts: str) -> str:
    """Join key parts with single slashes; empty parts are left out.

    >>> join("bronze/", "", "testnet/era1")
    'bronze/testnet/era1'
    """
    return "/".join(stripped for part in parts if (stripped := part.strip("/")))
