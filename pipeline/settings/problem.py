"""What is wrong with a setting: the key, and a message about it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TypeAlias

#: The path of a key from the top of the document: ``("eras", 1, "partition_size")``; empty for the whole document.
KeyPath: TypeAlias = tuple[str | int, ...]


def key_name(key: KeyPath) -> str:
    """The key as messages write it: ``eras[1].partition_size``."""
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in key)
    return name.removeprefix(".")


@dataclass(frozen=True, slots=True)
class Problem:
    """A problem of one key.

    Attributes:
        key: the key that it is reported at; empty when it concerns the document as a whole.
        message: what is wrong, such as ``is missing: source.mode s3 needs it``.
        origin: where the value was given (``line 7``, or the name of a variable); empty when that is not known.
        depends_on: other keys that the problem depends on: it is not reported when one of them has a problem already.
    """

    key: KeyPath
    message: str
    origin: str = ""
    depends_on: tuple[KeyPath, ...] = ()

    def __str__(self) -> str:
        if not self.key:
            return f"{self.origin}: {self.message}" if self.origin else self.message
        return f"{key_name(self.key)}{f' ({self.origin})' if self.origin else ''}: {self.message}"

    def concerns(self, keys: Collection[KeyPath]) -> bool:
        """Whether the problem's key, or a key that it depends on, is one of `keys` or lies in a section of them."""
        return any(own[: len(key)] == key for own in (self.key, *self.depends_on) for key in keys)
