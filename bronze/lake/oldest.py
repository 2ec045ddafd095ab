"""Where a lake begins: its oldest object, found from the other end of its names without listing the whole lake.

Names sort from the newest to the oldest object, so the oldest is the last name of the last directory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from bronze.lake.layout import LakeLayout, ParsedName, parse_directory, parse_object
from bronze.stellar import FIRST_LEDGER, MAX_LEDGER
from bronze.storage.store import Store, join

#: Files whose names one or two requests list, under one extension or both.
_FILES = 1000
#: Names that are looked at beyond a position: more than `_FILES` files can have.
_MOST_NAMES = 4 * _FILES


@dataclass(frozen=True, slots=True)
class OldestObject:
    """The oldest object of a lake: its key and the first ledger of its name (2 where that is less)."""

    key: str
    ledger: int


def find_oldest(store: Store, layout: LakeLayout) -> OldestObject | None:
    """The oldest object of the lake in `store`, or None when it has none.

    In a bucket this costs a listing of the directories and one request more where the oldest directory begins with its
    first ledger; otherwise a few more, which halve the range that the oldest object can be in.
    """
    if layout.files_per_directory == 1:
        return _oldest_in(store, "", ParsedName(0, MAX_LEDGER, None), layout.ledgers_per_file)
    names = [entry.name for entry in store.list_children("") if entry.is_prefix]
    directories = [(name, parsed) for name in names if (parsed := parse_directory(name)) is not None]
    found = (_oldest_in(store, name, parsed, layout.ledgers_per_file) for name, parsed in reversed(directories))
    return next((oldest for oldest in found if oldest is not None), None)


def _oldest_in(store: Store, directory: str, ledgers: ParsedName, ledgers_per_file: int) -> OldestObject | None:
    """The oldest object in `directory`, whose name says that it is for these ledgers."""
    page = _FILES * ledgers_per_file
    low, high = ledgers.start, ledgers.end
    if not store.is_remote:
        return max(_objects_from(store, directory, high), key=_age, default=None)
    # No object begins before `low`. Usually the directory begins with its first ledgers; else the range is halved.
    oldest = max(_objects_from(store, directory, min(low + page - 1, high)), key=_age, default=None)
    if oldest is not None or low + page > high:
        return oldest
    low += page
    while high - low >= page:
        middle = (low + high) // 2
        newest = next(_objects_from(store, directory, middle), None)
        if newest is None:
            low = middle + 1
        else:
            high = newest.ledger
    return max(_objects_from(store, directory, high), key=_age, default=None)


def _age(found: OldestObject) -> int:
    return -found.ledger


def _objects_from(store: Store, directory: str, ledger: int) -> Iterator[OldestObject]:
    """The objects of `directory` that begin with `ledger` or before it, newest first; lazy, and bounded in buckets."""
    after = f"{MAX_LEDGER - ledger:08X}"
    children = store.list_children(directory, after=after)
    for child in islice(children, _MOST_NAMES) if store.is_remote else children:
        name = None if child.is_prefix else parse_object(child.name)
        if name is not None:
            yield OldestObject(join(directory, child.name), max(name.start, FIRST_LEDGER))
