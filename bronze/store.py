"""The store port: what the copier needs of a place that keeps objects under keys.

Keys are relative, with ``/`` between plain segments; no key leaves its root. Everything here is safe to
repeat: creating the same object twice is told apart from overwriting another one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from bronze.errors import StoreError

#: Everything unfinished lies under this prefix of a store's root: no reader's glob for ``range=`` meets it.
TEMPORARY = "_temporary"


@dataclass(frozen=True, slots=True)
class Entry:
    """One child of a prefix; `name` is its last segment."""

    name: str
    is_prefix: bool


class Upload(Protocol):
    """An object on its way: written piece by piece, then published under its key or given up."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`; return how many bytes that were (all of them)."""
        ...

    def publish(self, *, replace: bool = False) -> None:
        """Make the whole object durable and visible under its key, at once.

        Raises:
            ObjectExists: something lies there and `replace` is false; the upload stays unpublished.
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

    def read(self, key: str) -> bytes:
        """The whole object. Raises `ObjectMissing`."""
        ...

    def size(self, key: str) -> int | None:
        """Bytes of the object, or None when there is none."""
        ...

    def children(self, prefix: str) -> Iterator[Entry]:
        """The direct children of `prefix` (a "directory", without trailing slash), in name order; one listing."""
        ...

    def create(self, key: str, data: bytes) -> None:
        """Create a small object, durable and all at once. Raises `ObjectExists`."""
        ...

    def replace(self, key: str, data: bytes) -> None:
        """Create or replace a small object, durable and all at once."""
        ...

    def delete(self, key: str) -> None:
        """Remove the object; nothing happens when there is none."""
        ...

    def settle(self, key: str) -> None:
        """Make sure that what was found at `key` stays: who put it there may have died before that was certain."""
        ...

    def upload(self, key: str) -> Upload:
        """Begin an object too large for memory."""
        ...

    def open_read(self, key: str) -> BinaryReader:
        """The object as a seekable binary file. Raises `ObjectMissing`."""
        ...

    def lock(self, prefix: str = "") -> AbstractContextManager[None]:
        """Keep other publishers of the objects right below `prefix` waiting, where the store can do that."""
        ...

    def clean(self) -> list[str]:
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
    """Return `key`, or raise `StoreError` when it could leave its root or means no object."""
    segments = key.split("/")
    if any(segment in ("", ".", "..") for segment in segments) or "\0" in key or "\\" in key:
        raise StoreError(f"key {key!r} is not a relative path of plain segments")
    return key


def join(*parts: str) -> str:
    """Join key parts with single slashes; empty ones are left out."""
    return "/".join(stripped for part in parts if (stripped := part.strip("/")))
