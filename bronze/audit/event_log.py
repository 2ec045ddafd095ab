"""The event files of one chain, and the chain heads beside them.

An event file is created once and never rewritten; the files are the truth, the chain heads
(``pas-chain-heads.json``) say the same faster.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from bronze.audit.chain_hash_file import ChainHashFile
from bronze.audit.event import Event, parse_event
from bronze.errors import ObjectExistsError, ObjectNotFoundError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.store import Store

HEADS = "pas-chain-heads.json"
#: Where events claim their places, by the hash of the event before, in stores that cannot keep others waiting.
_LINKS = "_links"
_LISTINGS = 3


class EventLog:
    """The audit events of `era`'s chain below the root of `store`."""

    def __init__(self, store: Store, era: Era) -> None:
        self._store = store
        self._era = era
        self._heads = ChainHashFile(
            store,
            HEADS,
            what="chain heads",
            entry="head",
            remedy="Restore the file, or remove it: it is rebuilt from the event files",
        )
        # Event files are never rewritten, so what was read once needs no second look.
        self._seen: dict[str, Event] = {}
        self._name = re.compile(re.escape(era.file_prefix) + r"_\d{1,10}-\d{1,10}(\.[1-9]\d{0,5})?\.json")

    @property
    def where(self) -> str:
        """The directory as people look for it."""
        return self._store.url

    @property
    def supports_locking(self) -> bool:
        """Whether `lock` really keeps others waiting."""
        return self._store.supports_locking

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Keep every other copier on this machine from appending, if the store can; ends with the process."""
        with self._store.lock():
            yield

    def key(self, partition: Partition, revision: int = 1) -> str:
        """Name of the event file of a partition; corrections of it are numbered from 2 on."""
        return f"{self._era.file_prefix}_{partition}{'' if revision == 1 else f'.{revision}'}.json"

    def latest(self, partition: Partition) -> tuple[Event | None, int]:
        """The last event of `partition` and the number of its revision; None and 0 when it has no event.

        Raises:
            StateError: a file is damaged, or of another chain or range.
        """
        event, revision = None, 0
        while True:
            try:
                event = self._read(self.key(partition, revision + 1))
            except ObjectNotFoundError:
                return event, revision
            revision += 1

    def append(self, event: Event, revision: int = 1) -> None:
        """Create the event's file.

        Where the store cannot keep others waiting, the event first claims its place behind the one before it: an
        object that can be created once, by one of several copiers. Whoever finds the place taken completes the
        event that took it.

        Raises:
            ObjectExistsError: its range has an event of this revision, or another event follows the one before it.
        """
        key = self.key(event.partition, revision)
        data = event.to_bytes()
        if self._store.supports_locking:
            self._store.create(key, data)
        else:
            self._claim(event, key)
            try:
                self._store.create(key, data)
            except ObjectExistsError:  # completed by another copier meanwhile, or another event
                if self._store.read(key) != data:
                    raise
        self._seen[key] = event

    def _claim(self, event: Event, key: str) -> None:
        location = f"{_LINKS}/{self._era.file_prefix}/{event.prev_hash.removeprefix('sha256:') or 'first'}"
        try:
            self._store.create(location, f"{key}\n".encode() + event.to_bytes())
            return
        except ObjectExistsError:
            name, _, data = self._store.read(location).partition(b"\n")
        where = f"{self._store.url}/{location}"
        other = parse_event(data, where)
        stem = self.key(other.partition).removesuffix("json").encode()
        fits = self._name.fullmatch(name.decode(errors="replace")) and name.startswith(stem)
        if not fits or other.chain != self._era.chain or other.prev_hash != event.prev_hash:
            raise StateError(f"{where} claims no place for an event of {self._era.chain} behind {event.prev_hash}")
        if other.event_hash == event.event_hash:
            return
        with suppress(ObjectExistsError):
            self._store.create(name.decode(), data)
        raise ObjectExistsError(f"{where} is taken by the event of {other.partition}")

    def ensure_durable(self, event: Event) -> None:
        """Make sure that an event that was found stays: who created its file may have died before that was certain."""
        self._store.ensure_durable(self.key(event.partition))

    def load(self) -> list[Event]:
        """All events in the order of their links.

        The first may follow one whose file was pruned.

        Raises:
            StateError: a file is damaged, or the links fork, break or run in a circle.
        """
        for attempt in range(_LISTINGS):
            names = [entry.name for entry in self._store.list_children("") if self._name.fullmatch(entry.name)]
            try:
                return in_link_order([self._read(name) for name in names], self.where)
            except StateError:
                # Unlocked, a listing of several pages may show an event and not the one before, made a moment earlier.
                if self._store.supports_locking or attempt == _LISTINGS - 1:
                    raise
        raise AssertionError

    def head(self) -> str | None:
        """The chain's head as ``pas-chain-heads.json`` has it, or None."""
        return self._heads.load().get(self._era.chain)

    def set_head(self, event_hash: str, expected: Collection[str | None] | None = None) -> None:
        """Put the chain's head; those of other chains stay.

        Args:
            expected: only where the head is one of these (None: there is none); None: whatever it is.
        """
        self._heads.put(self._era.chain, event_hash, expected)

    def _read(self, name: str) -> Event:
        if name in self._seen:
            return self._seen[name]
        where = f"{self._store.url}/{name}"
        event = parse_event(self._store.read(name), where)
        stem = self.key(event.partition).removesuffix("json")
        if event.chain != self._era.chain or not name.startswith(stem):
            raise StateError(f"event {where} is of {event.chain} {event.partition}, which does not fit its name")
        self._seen[name] = event
        return event


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
        raise StateError(f"the chain {first[0].chain} in {where} is broken: {links}")
    ordered: list[Event] = []
    following_event = first[0] if first else None
    while following_event is not None:
        ordered.append(following_event)
        following_event = following.get(following_event.event_hash)
    return ordered
