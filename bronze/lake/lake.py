"""An opened Galexie ledger lake: the keys of its objects, their bytes, the newest one.

Keys are computed, never looked up in a listing (`bronze.lake.layout`). `bronze.lake.opening` finds the layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from bronze.errors import LakeError, ObjectNotFoundError, ObjectTooLargeError
from bronze.lake.layout import LakeLayout, ParsedName, parse_directory, parse_object
from bronze.stellar import FIRST_LEDGER
from bronze.storage.store import Store, join


@dataclass(frozen=True, slots=True)
class NewestObject:
    """The newest object of a lake: its key and the last ledger (inclusive) of its name."""

    key: str
    ledger: int


class Lake:
    """A lake whose layout is known.

    Attributes:
        store: holds the lake at its root.
        layout: how the lake names its objects.
        passphrase: of the network, as the lake's ``.config.json`` states it; None when it does not.
    """

    def __init__(self, store: Store, layout: LakeLayout, passphrase: str | None) -> None:
        self.store = store
        self.layout = layout
        self.passphrase = passphrase

    @property
    def is_remote(self) -> bool:
        """Whether reading an object costs a request to another machine."""
        return self.store.is_remote

    def key(self, ledger: int) -> str:
        """Key of the object that holds `ledger`."""
        return self.layout.key(ledger)

    def read(self, key: str, max_bytes: int | None = None) -> memoryview:
        """The object's bytes as stored, that is, compressed.

        Raises:
            LakeError: the object is missing, or larger than `max_bytes`.
        """
        try:
            return self.store.read_view(key, max_bytes)
        except ObjectNotFoundError as error:
            raise LakeError(f"object {self.describe(key)} is missing from the lake") from error
        except ObjectTooLargeError as error:
            raise LakeError(str(error)) from error

    def describe(self, key: str) -> str:
        """The object's full address, for messages."""
        return f"{self.store.url}/{key}"

    def file_starts(self, start: int, end: int) -> range:
        """First ledgers of the names of the files that hold the inclusive range `start`..`end`.

        Ledgers 0 and 1 exist in no file.
        """
        first = max(start, FIRST_LEDGER)
        return range(self.layout.file_start(first), end + 1, self.layout.ledgers_per_file)

    def newest(self) -> NewestObject | None:
        """The newest object, or None when the lake is empty. Costs a few listings."""
        return next((NewestObject(key, name.end) for key, name in list_objects(self.store)), None)


def list_objects(store: Store) -> Iterator[tuple[str, ParsedName]]:
    """Keys and parsed names of the objects of the lake in `store`, newest first.

    Lazy: one listing for each directory entered. Files and directories whose names are not a lake's are skipped.
    """
    for entry in store.list_children(""):
        if not entry.is_prefix:
            name = parse_object(entry.name)
            if name is not None:
                yield entry.name, name
        elif parse_directory(entry.name) is not None:
            for child in store.list_children(entry.name):
                name = None if child.is_prefix else parse_object(child.name)
                if name is not None:
                    yield join(entry.name, child.name), name
