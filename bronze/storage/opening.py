"""Opening the store at a location: one object store for each location and process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from bronze.storage.local import LocalStore
from bronze.storage.location import StorageLocation
from bronze.storage.store import Store

if TYPE_CHECKING:
    from bronze.storage.object_store.store import ObjectStore

#: The process id is part of the key: a forked process must not use its parent's connections.
_OBJECT_STORES: dict[tuple[StorageLocation, int], ObjectStore] = {}
_LOCK = threading.Lock()


def open_store(location: StorageLocation) -> Store:
    """The store at `location`; an object store is opened once in each process and shared by its threads.

    Nothing is requested from the service yet, and credentials are only looked up.

    A process forked after the first use of an object store must not use one itself (the client's threads do not exist
    there); spawn processes instead.
    """
    return LocalStore(location.path) if location.scheme == "local" else _open_object_store(location)


def _open_object_store(location: StorageLocation) -> ObjectStore:
    # Imported late: it takes a third of a second of start-up that local runs need not spend.
    from bronze.storage.object_store.store import ObjectStore

    with _LOCK:
        key = (location, os.getpid())
        store = _OBJECT_STORES.get(key)
        if store is None:
            store = _OBJECT_STORES[key] = ObjectStore(location)
        return store


def _replace_lock() -> None:
    global _LOCK  # noqa: PLW0603
    _LOCK = threading.Lock()


# Another thread may hold the lock while the process is forked.
os.register_at_fork(after_in_child=_replace_lock)
