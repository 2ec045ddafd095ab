"""An opened Galexie ledger lake: the keys of its objects, their bytes, the newest one.

Keys are computed, never looked up in a listing (`bronze.lake.layout`). `bronze.lake.opening` finds the layout.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

from bronze.errors import BronzeError, FrameError, LakeError, ObjectNotFoundError, ObjectTooLargeError
from bronze.lake.layout import (
    LakeLayout,
    ParsedName,
    other_extension,
    parse_directory,
    parse_object,
    with_extension,
)
from bronze.lake.oldest import OldestObject, find_oldest
from bronze.lake.survey import count_objects
from bronze.measurements import SOURCE_ERROR, SOURCE_READ, report
from bronze.stellar import FIRST_LEDGER
from bronze.storage.store import Store, join


@dataclass(frozen=True, slots=True)
class NewestObject:
    """The newest object of a lake: its key and the last ledger (inclusive) of its name."""

    key: str
    ledger: int


class Lake:
    """A lake whose layout is known. Objects of both extensions are read, as lakes hold both while they migrate.

    Safe to share between threads.

    Attributes:
        store: holds the lake at its root.
        layout: how the lake names its objects.
        passphrase: of the network, as the lake's ``.config.json`` states it; None when it does not.
    """

    def __init__(self, store: Store, layout: LakeLayout, passphrase: str | None) -> None:
        self.store = store
        self.layout = layout
        self.passphrase = passphrase
        #: The extension of the last object that was found: tried first for the next.
        self._extension = layout.extension
        #: Whether objects may be there under either extension.
        self._is_mixed = layout.is_mixed

    @property
    def is_remote(self) -> bool:
        """Whether reading an object costs a request to another machine."""
        return self.store.is_remote

    def key(self, ledger: int) -> str:
        """Key of the object that holds `ledger`, with the layout's extension."""
        return self.layout.key(ledger)

    def read(self, key: str, max_bytes: int | None = None) -> memoryview:
        """The object's bytes as stored, that is, compressed, under whichever extension the object has.

        The extension of the object before is tried first, so that the other one costs requests only where the
        extension changes. Whether the object is there under both is looked up where that costs no request, and in
        lakes that are known to hold both extensions.

        Args:
            key: with either extension.

        Raises:
            LakeError: the object is missing, larger than `max_bytes`, or there under both extensions with different
                content.
        """
        extension = self._extension  # once: another thread may change it meanwhile
        expected, other = (with_extension(key, one) for one in (extension, other_extension(extension)))
        found = self._read(expected, max_bytes)
        if found is not None:
            if (self._is_mixed or not self.is_remote) and self.store.size(other) is not None:
                self._check_same(expected, found, other, max_bytes)
            return found
        found = self._read(other, max_bytes)
        if found is None:
            report(SOURCE_ERROR)
            raise LakeError(f"object {self.describe(key)} is missing from the lake: have it exported again")
        self._extension, self._is_mixed = other.rpartition(".")[2], True
        return found

    def _read(self, key: str, max_bytes: int | None) -> memoryview | None:
        started = time.perf_counter()
        try:
            found = self.store.read_view(key, max_bytes)
        except ObjectNotFoundError:
            return None
        except (BronzeError, OSError) as error:
            report(SOURCE_ERROR)
            if isinstance(error, ObjectTooLargeError):
                raise LakeError(str(error)) from error
            raise
        report(SOURCE_READ, time.perf_counter() - started)
        return found

    def _check_same(self, key: str, data: memoryview, other: str, max_bytes: int | None) -> None:
        """Check that the object `other` has the content of the object `key`, whose stored bytes are `data`."""
        from bronze.lake.zstd_frame import content_digest  # most lakes never need it

        self._is_mixed = True
        second = self._read(other, max_bytes)
        if second is None or second == data:
            return
        both = f"object {self.describe(key)} is also there as {other.rpartition('/')[2]}"
        try:
            same = content_digest(data, max_bytes) == content_digest(second, max_bytes)
        except FrameError as error:
            raise LakeError(f"{both}, and one of them is damaged ({error}): remove that one") from error
        if not same:
            raise LakeError(f"{both}, with different content: remove the wrong one")

    def describe(self, key: str) -> str:
        """The object's full address, for messages."""
        return f"{self.store.url}/{key}"

    def describe_found(self, key: str) -> str:
        """The full address of the object, with the extension that it has: for messages about an object that was read.

        Costs requests in lakes that hold both extensions.
        """
        if self._is_mixed:
            with suppress(BronzeError, OSError):
                keys = (key, with_extension(key, other_extension(key.rpartition(".")[2])))
                key = next((one for one in keys if self.store.size(one) is not None), key)
        return self.describe(key)

    def file_starts(self, start: int, end: int) -> range:
        """First ledgers of the names of the files that hold the inclusive range `start`..`end`.

        Ledgers 0 and 1 exist in no file.
        """
        first = max(start, FIRST_LEDGER)
        return range(self.layout.file_start(first), end + 1, self.layout.ledgers_per_file)

    def newest(self) -> NewestObject | None:
        """The newest object, or None when the lake is empty. Costs a few listings."""
        return next((NewestObject(key, name.end) for key, name in list_objects(self.store)), None)

    def oldest(self) -> OldestObject | None:
        """The oldest object, or None when the lake is empty. Costs a few listings."""
        return find_oldest(self.store, self.layout)

    def holds(self, ledger: int) -> bool:
        """Whether there is an object, of either extension, whose name says that it holds `ledger`."""
        key = self.key(ledger)  # of the likelier extension
        keys = (key, with_extension(key, other_extension(self.layout.extension)))
        return any(self.store.size(one) is not None for one in keys)

    def first_absent(self, start: int, end: int) -> int | None:
        """The first ledger of the first file of the inclusive range `start`..`end` that is not there; None: all are.

        Costs a listing of each directory of the range.
        """
        with closing(count_objects(self.store, self.layout, [self.file_starts(start, end)])) as windows:
            return next((window.missing[0][0] for window in windows if window.missing), None)


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
