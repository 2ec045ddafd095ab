"""The event files of one chain, and the chain heads beside them.

An event file is created once and never rewritten. The files are authoritative; the chain heads
(``pas-chain-heads.json``) are a cache of each chain's last hash.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress

from bronze.audit.chain_hash_file import ChainHashFile
from bronze.audit.claims import claim_place
from bronze.audit.event import MAX_EVENT_BYTES, Event, parse_event
from bronze.errors import ObjectExistsError, ObjectNotFoundError, ObjectTooLargeError, StateError
from bronze.log_fields import chain_fields
from bronze.measurements import EVENT_EMITTED, report
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.json_object import unusable_object_error
from bronze.storage.store import Store

HEADS = "pas-chain-heads.json"
#: Folder of event files that are no longer of the chain; it is not read.
SET_ASIDE = "_set_aside"
_MAX_LISTING_ATTEMPTS = 3


class EventLog:
    """The audit events of `era`'s chain below the root of `store`."""

    def __init__(self, store: Store, era: Era) -> None:
        self._store = store
        self._era = era
        self._heads = ChainHashFile(
            store=store,
            name=HEADS,
            kind="chain heads",
            entry="head",
            remedy="Restore the file, or remove it: it is rebuilt from the event files",
        )
        # Event files are never rewritten: each is read once.
        self._cache: dict[str, Event] = {}
        self._prev_hashes: dict[str, str] = {}
        self._file_name = re.compile(re.escape(era.file_prefix) + r"_\d{1,10}-\d{1,10}(\.[1-9]\d{0,5})?\.json")

    @property
    def store(self) -> Store:
        """The store that the event files are in, at its root."""
        return self._store

    @property
    def where(self) -> str:
        """URL of the directory."""
        return self._store.url

    @property
    def supports_locking(self) -> bool:
        """Whether `lock` excludes other copiers; otherwise `append` claims the event's place in the chain."""
        return self._store.supports_locking

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Exclude every other copier on this machine from appending, if the store supports locking.

        The lock ends with the process.
        """
        with self._store.lock():
            yield

    def key(self, partition: Partition, revision: int = 1) -> str:
        """Name of the event file of a partition; its corrections are numbered from 2 on."""
        return f"{self._era.file_prefix}_{partition}{'' if revision == 1 else f'.{revision}'}.json"

    def latest(self, partition: Partition) -> tuple[Event | None, int]:
        """The last event of `partition` and its revision number; None and 0 when the partition has no event.

        Raises:
            StateError: a file is damaged, or of another chain or range.
        """
        event, revision = None, 0
        while True:
            try:
                event = self.read_event(self.key(partition, revision + 1))
            except ObjectNotFoundError:
                return event, revision
            revision += 1

    def hashes_before(self, event: Event) -> list[str]:
        """The hashes of the partition's events that `event`, which has a file, is a correction of."""
        found: list[str] = []
        with suppress(ObjectNotFoundError):  # pruned meanwhile
            while (other := self.read_event(self.key(event.partition, len(found) + 1))) != event:
                found.append(other.event_hash)
        return found

    def names(self) -> list[str]:
        """The names of the chain's event files, in no order; one listing, no event is read."""
        return self.names_and_odd_ones()[0]

    def names_and_odd_ones(self) -> tuple[list[str], list[str]]:
        """As `names`; and the names under which there is no file, but a pipe, a device or a link that leads to none."""
        children = [child for child in self._store.list_children("") if self._file_name.fullmatch(child.name)]
        files, odd = ([child.name for child in children if child.is_odd is is_odd] for is_odd in (False, True))
        return files, odd

    def append(self, event: Event, revision: int = 1) -> None:
        """Create the event's file.

        Where the store does not support locking, the event first claims its place after the event before it: an
        object that only one of several copiers can create. Whoever finds the place taken creates the file of the
        event that took it.

        Raises:
            ObjectExistsError: the partition has an event of this revision, or another event follows the one before it.
            StateError: the claim of the event's place is damaged.
        """
        key = self.key(event.partition, revision)
        data = event.to_bytes()
        if self._store.supports_locking:
            self._store.create(key, data)
        else:
            claim_place(self._store, self._era, event, key, self._file_name)
            try:
                self._store.create(key, data)
            except ObjectExistsError:  # created by another copier that found the claim, or it is another event
                if not self._holds(key, data):
                    raise
        self._remember(key, event)
        report(EVENT_EMITTED, 1, **chain_fields(event.chain))

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self._store.read(key, len(data)) == data
        except ObjectTooLargeError:
            return False

    def ensure_durable(self, event: Event) -> None:
        """Make the file of an event that was found durable: its writer may have crashed before fsync."""
        self._store.ensure_durable(self.key(event.partition))

    def load(self) -> list[Event]:
        """All events in the order of their links.

        The first one may follow an event whose file was pruned.

        Raises:
            StateError: a file is damaged, or the links fork, break or form a circle.
        """
        for attempt in range(_MAX_LISTING_ATTEMPTS):
            try:
                return in_link_order([self.read_event(name) for name in self.names()], self.where)
            except StateError:
                # Unlocked, a listing of several pages may show an event and not the one before, made a moment earlier.
                if self._store.supports_locking or attempt == _MAX_LISTING_ATTEMPTS - 1:
                    raise
        raise AssertionError

    @property
    def read_names(self) -> Collection[str]:
        """The names of the event files that this instance has read or created."""
        return self._cache.keys()

    def names_by_hash(self) -> dict[str, str]:
        """The names of the event files that this instance has read or created, by the hashes of their events."""
        return {event.event_hash: name for name, event in self._cache.items()}

    def list_partitions(self) -> frozenset[Partition]:
        """The partitions that have an event, by the names of the event files; one listing, no event is read."""
        return self.partitions_of(self.names())

    def partitions_of(self, names: Iterable[str]) -> frozenset[Partition]:
        """The partitions that the event files `names` are of."""
        found = set()
        for name in names:
            start, _, end = name.removeprefix(f"{self._era.file_prefix}_").partition(".")[0].partition("-")
            if int(start) <= int(end):
                found.add(Partition(int(start), int(end)))
        return frozenset(found)

    def set_aside(self, name: str) -> None:
        """Move the event file `name` where it is not read; doing it again changes nothing."""
        with suppress(ObjectExistsError):
            self._store.create(f"{SET_ASIDE}/{name}", self._store.read(name, MAX_EVENT_BYTES))
        self._store.delete(name)
        event = self._cache.pop(name, None)
        if event is not None:
            self._prev_hashes.pop(event.event_hash, None)

    def head(self) -> str | None:
        """The chain's head as ``pas-chain-heads.json`` has it, or None."""
        return self._heads.load().get(self._era.chain)

    def hashes_between(self, first: str, last: str) -> list[str]:
        """The hashes of the events after `first` and before `last`, newest first, as far as their files were read."""
        found: list[str] = []
        at = self._prev_hashes.get(last, first)
        while at not in (first, ""):
            found.append(at)
            at = self._prev_hashes.get(at, first)
        return found

    def set_head(self, event_hash: str, expected: Collection[str | None] | None = None) -> None:
        """Set the chain's head; the heads of other chains stay.

        Args:
            event_hash: empty: the chain has no head.
            expected: set it only when the head is one of these (None among them: when there is none); None: always.
        """
        self._heads.set(self._era.chain, event_hash, expected)

    def read_event(self, name: str) -> Event:
        """The event in the file `name`. Raises `StateError` when it is damaged, or of another chain or range."""
        if name in self._cache:
            return self._cache[name]
        where = f"{self._store.url}/{name}"
        with unusable_object_error(f"event {where}"):
            data = self._store.read(name, MAX_EVENT_BYTES)
        event = parse_event(data, where)
        stem = self.key(event.partition).removesuffix("json")
        if event.chain != self._era.chain or not name.startswith(stem):
            raise StateError(f"event {where} is of {event.chain} {event.partition}, which does not match its file name")
        self._remember(name, event)
        return event

    def _remember(self, name: str, event: Event) -> None:
        self._cache[name] = event
        self._prev_hashes[event.event_hash] = event.prev_hash


def names_digest(names: Iterable[str], start: str = "") -> str:
    """A digest of a set of file names, whatever their order; another name is added to a digest without the others.

    >>> names_digest(["a", "b"]) == names_digest(["b"], names_digest(["a"])) != names_digest(["a"])
    True

    Args:
        start: the digest of names that are in the set besides; empty for none.
    """
    digest = int(start or "0", 16)
    for name in names:
        digest ^= int.from_bytes(hashlib.sha256(name.encode()).digest())
    return f"{digest:064x}"


def in_link_order(events: list[Event], where: str) -> list[Event]:
    """Order the events of one chain by their links.

    Raises:
        StateError: two follow the same event, or they are not one unbroken chain.
    """
    following: dict[str, Event] = {}
    for event in events:
        other = following.setdefault(event.prev_hash, event)
        if other is not event:
            raise StateError(
                f"the chain {event.chain} in {where} forks: the events of {other.partition} and"
                f" {event.partition} both follow {event.prev_hash or 'nothing'}"
            )
    known = {event.event_hash for event in events}
    first = [event for event in events if event.prev_hash not in known]
    if len(first) > 1:
        links = ", ".join(f"{event.partition} follows {event.prev_hash or 'nothing'}" for event in first[:5])
        raise StateError(
            f"the chain {first[0].chain} in {where} is broken: {links}. Restore the event files that are missing"
            " between them; if they are lost for good, move those before them away too: the oldest by links may be"
            " removed"
        )
    ordered: list[Event] = []
    following_event = first[0] if first else None
    while following_event is not None:
        ordered.append(following_event)
        following_event = following.get(following_event.event_hash)
    return ordered
