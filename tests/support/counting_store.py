"""A store in memory that counts requests as an object store would: one for each call, one for each page of a listing.

`lay_chain` fills three of them with a chain of any length, without copying ledgers.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bronze.audit.event import make_event
from bronze.audit.event_log import HEADS, EventLog, names_digest
from bronze.commit.chain_end import ChainEnd, merged_ranges
from bronze.commit.checkpoint import CheckpointFile
from bronze.dataset.dataset import Dataset
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era
from bronze.storage.memory import MemoryStore
from bronze.storage.store import Change, ListEntry
from tests.bronze.conftest import PRODUCER, lay, summary

#: Entries of one page, as S3 and GCS answer.
PAGE = 1000


class CountingStore(MemoryStore):
    """Counts the requests that its callers make.

    Args:
        supports_locking: false as an object store.
        delay_s: how long each request takes.
    """

    def __init__(self, name: str, *, supports_locking: bool = False, delay_s: float = 0.0) -> None:
        super().__init__(name, supports_locking=supports_locking, is_remote=not supports_locking)
        self.requests: Counter[str] = Counter()
        self.delay_s = delay_s
        self._is_counting = True

    def _count(self, kind: str, number: int = 1) -> None:
        if self._is_counting:
            self.requests[kind] += number
            time.sleep(self.delay_s * number)

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        self._count("read")
        return super().read(key, max_bytes)

    def size(self, key: str) -> int | None:
        self._count("size")
        data = self._objects.get(key)
        return None if data is None else len(data)

    def create(self, key: str, data: bytes) -> None:
        self._count("create")
        super().create(key, data)

    def replace(self, key: str, data: bytes) -> None:
        self._count("replace")
        super().replace(key, data)

    def delete(self, key: str) -> None:
        self._count("delete")
        super().delete(key)

    def update(self, key: str, change: Change) -> bytes | None:
        self._count("update: read")
        self._count("update: write")
        self._is_counting = False
        try:
            return super().update(key, change)
        finally:
            self._is_counting = True

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        entries = list(super().list_children(prefix, after=after))
        self._count_listing(len(entries))
        return iter(entries)

    def list_directories(self, prefix: str) -> Iterator[tuple[str, frozenset[str]]]:
        entries = list(super().list_directories(prefix))
        self._count_listing(sum(len(names) for _, names in entries))
        return iter(entries)

    def _count_listing(self, entries: int) -> None:
        self._count("listings")
        self._count("further pages", max(0, -(-entries // PAGE) - 1))


@dataclass(frozen=True, slots=True)
class CountedStores:
    """The stores of the dataset, of the events and of the checkpoint."""

    dataset: CountingStore
    events: CountingStore
    state: CountingStore

    def taken(self) -> dict[str, Counter[str]]:
        """The requests since the last call, by store; kinds without any are left out."""
        found = {}
        for name in ("dataset", "events", "state"):
            store: CountingStore = getattr(self, name)
            found[name], store.requests = Counter({k: v for k, v in store.requests.items() if v}), Counter()
        return found


def counted_stores(*, supports_locking: bool = False) -> CountedStores:
    """Three empty stores."""
    names = ("dataset", "events", "state")
    return CountedStores(*(CountingStore(name, supports_locking=supports_locking) for name in names))


def lay_chain(stores: CountedStores, dataset: Dataset, era: Era, copier_id: str, partitions: int) -> PartitionSummary:
    """Publish and commit the first `partitions` partitions of `era`, with event files, head and checkpoint.

    Returns:
        The summary of the last one.
    """
    log, head, names = EventLog(stores.events, era), "", []
    for number in range(partitions):
        made = nth(era, number)
        lay(dataset, era, made)
        event = make_event(made, dataset.table, head, PRODUCER, "2026-01-01T00:00:01Z")
        head, name = event.event_hash, log.key(made.partition)
        names.append(name)
        stores.events.replace(name, event.to_bytes())
    stores.events.replace(HEADS, json.dumps({era.chain: head}).encode())
    ranges = merged_ranges([(era.ledger_start, made.partition.end)])
    end = ChainEnd(head, partitions, names_digest(names), ranges)
    CheckpointFile(stores.state, era, copier_id, single=True).save(made.partition, made.checksum, chain=end)
    stores.taken()
    return made


def nth(era: Era, number: int) -> PartitionSummary:
    """The summary of a partition of the era's grid, counted from 0."""
    start = era.ledger_start + number * era.partition_size
    return summary(start, start + era.partition_size - 1, of=era, byte_size=1)
