"""The store port: what the copier needs of a place that keeps objects under keys.

Keys are relative, with ``/`` between plain segments; no key leaves its root. Everything here is safe to
repeat: creating the same object twice is told apart from overwriting another one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from bronze.errors import StoreError

#: Everything unfinished lies under this prefix of a store's root: no reader's glob for ``range=`` meets it.
TEMPORARY = "_temporary"

#: Makes an object's new bytes out of its old ones (None: there is none); None leaves what lies there.
Change = Callable[[bytes | None], bytes | None]

#: Segments that are empty, ``.`` or ``..``; control characters and backslashes.
_NEVER_IN_KEYS = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\x00-\x1f\x7f\\]")


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One child of a prefix; `name` is its last segment."""

    name: str
    is_prefix: bool


class Upload(Protocol):
    """An object on its way: written piece by piece, then published under its key or given up."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`; return how many bytes that were (all of them).

        What is writable may be changed afterwards, what is read-only may not: it need not be copied.
        """
        ...

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """Make the whole object durable and visible under its key, at once.

        Args:
            checksum: ``sha256:`` and the hex digest of all that was written; needed if `Store.upload` was told so.

        Raises:
            ObjectExistsError: something lies there and `replace` is false; the upload stays unpublished.
        """
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give up what was not published."""
        ...


class Store(Protocol):
    """A place that keeps objects under keys."""

    @property
    def url(self) -> str:
        """Where the root is, to be shown to people; holds no secret."""
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
            ObjectNotFoundError: nothing lies there.
            ObjectTooLargeError: it has more than `max_bytes` bytes.
        """
        ...

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """Like `read`, without a copy where the object comes in memory that is not Python's."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes of the object, or None when there is none."""
        ...

    def list_children(self, prefix: str) -> Iterator[ListEntry]:
        """The direct children of `prefix` (a "directory", without trailing slash), in name order; one listing."""
        ...

    def create(self, key: str, data: bytes) -> None:
        """Create a small object, durable and all at once. Raises `ObjectExistsError`."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Create or replace a small object, durable and all at once."""
        ...

    def update(self, key: str, change: Change) -> bytes | None:
        """Read, change and write a small object in one step; return what lies there afterwards.

        No update of another process or thread comes in between, and none is lost. (`create`, `replace` and
        `delete` of the same key are no updates: they may.)

        Args:
            change: called with what lies there, again whenever another update came first; so it has no side
                effects, and does not update this store itself.
        """
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def ensure_durable(self, key: str) -> None:
        """Make sure that what was found at `key` stays: who put it there may have died before that was certain."""
        ...

    def upload(self, key: str, *, caller_hashes: bool = False) -> Upload:
        """Begin an object too large for memory.

        Args:
            caller_hashes: the caller hashes what it writes and passes the checksum to `Upload.publish`, so the store
                need not.
        """
        ...

    def open_read(self, key: str) -> BinaryReader:
        """The object as a seekable binary file. Raises `ObjectNotFoundError`."""
        ...

    def lock(self, prefix: str = "") -> AbstractContextManager[None]:
        """Keep other publishers of the objects right below `prefix` waiting, where the store `supports_locking`."""
        ...

    def check_conditional_writes(self) -> None:
        """Find out whether the place keeps what is promised here; leaves nothing behind. Raises `ConfigError`."""
        ...

    def remove_leftovers(self) -> list[str]:
        """Remove what dead runs left unfinished; return the keys. What a live run writes stays."""
        ...


class BinaryReader(Protocol):
    """The part of a binary file that readers of parquet and hashers need; as in `io.RawIOBase`."""

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
    """Return `key`, or raise `StoreError` when it could leave its root or means no object.

    Control characters are refused too: object stores cannot list such keys.
    """
    if _NEVER_IN_KEYS.search(key):
        raise StoreError(f"key {key!r} is not a relative path of plain segments")
    return key


def join(*parts: str) -> str:
    """Join key parts with single slashes; empty ones are left out."""
    return "/".join(stripped for part in parts if (stripped := part.strip("/")))
