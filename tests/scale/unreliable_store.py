"""A store in memory whose requests fail now and then, before they are done or after."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import TypeVar

from bronze.errors import StoreError
from bronze.storage.store import Change
from tests.support.counting_store import CountedStores, CountingStore

Answer = TypeVar("Answer")


class UnreliableStore(CountingStore):
    """Fails a share of its requests; half of those that write have been done all the same.

    Args:
        chance: of a request to fail; it can be changed.
    """

    def __init__(self, name: str, rng: random.Random, chance: float) -> None:
        super().__init__(name)
        self._rng = rng
        self._rng_lock = threading.Lock()
        self.chance = chance
        self.failed = 0

    def _request(self, call: Callable[[], Answer]) -> Answer:
        with self._rng_lock:
            fails, is_done = self._rng.random() < self.chance, self._rng.random() < 0.5
            self.failed += fails
        if fails and not is_done:
            raise StoreError(f"{self.url}: 503, not done")
        answer = call()
        if fails:
            raise StoreError(f"{self.url}: the answer was lost")
        return answer

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        return self._request(lambda: super(UnreliableStore, self).read(key, max_bytes))

    def size(self, key: str) -> int | None:
        return self._request(lambda: super(UnreliableStore, self).size(key))

    def create(self, key: str, data: bytes) -> None:
        self._request(lambda: super(UnreliableStore, self).create(key, data))

    def replace(self, key: str, data: bytes) -> None:
        self._request(lambda: super(UnreliableStore, self).replace(key, data))

    def update(self, key: str, change: Change) -> bytes | None:
        return self._request(lambda: super(UnreliableStore, self).update(key, change))


def unreliable_stores(rng: random.Random, chance: float) -> CountedStores:
    """Three empty stores."""
    return CountedStores(*(UnreliableStore(name, rng, chance) for name in ("dataset", "events", "state")))
