"""A store in the memory of one process, for tests and notebooks: it passes the same suite as the other stores."""

from __future__ import annotations

import contextlib
import hashlib
import io
import threading
from collections import defaultdict
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import Self

from bronze.errors import LockedError, ObjectExistsError, ObjectNotFoundError, ObjectTooLargeError
from bronze.storage.store import TEMPORARY, Change, ListedObject, ListEntry, checked_key
from bronze.timestamps import rfc3339
from bronze.waiting import wait_until


class MemoryStore:
    """Objects in a dict; see `bronze.storage.store.Store` for what each method promises.

    Thread-safe and deterministic: the same calls leave the same state. As in object stores, an object may be at a key
    that is a prefix of others. Objects are gone with the instance.

    Args:
        name: of the store, shown in its URL.
        supports_locking: whether `lock` excludes other threads; false imitates an object store.
        is_remote: what `is_remote` says; nothing else depends on it.
    """

    def __init__(self, name: str = "store", *, supports_locking: bool = True, is_remote: bool = False) -> None:
        self.url = f"memory://{name}"
        self.supports_locking = supports_locking
        self.is_remote = is_remote
        self.tells_dead_writers = True
        self._objects: dict[str, bytes] = {}
        # Reentrant, since a change may read the store that it is made in.
        self._mutex = threading.RLock()
        self._holders: dict[str, tuple[str, str]] = {}
        self._prefix_locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)

    def __repr__(self) -> str:
        return f"MemoryStore({self.url!r}, {len(self._objects)} objects)"

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        """See `Store`."""
        checked_key(key)
        with self._mutex:
            data = self._objects.get(key)
        if data is None:
            raise ObjectNotFoundError(f"{self.url}/{key} does not exist")
        if max_bytes is not None and len(data) > max_bytes:
            raise ObjectTooLargeError(f"{self.url}/{key} has {len(data)} bytes, more than the {max_bytes} allowed")
        return data

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        """See `Store`."""
        return memoryview(self.read(key, max_bytes))

    def open_read(self, key: str) -> io.BytesIO:
        """See `Store`."""
        return io.BytesIO(self.read(key))

    def size(self, key: str) -> int | None:
        """See `Store`."""
        try:
            return len(self.read(key))
        except ObjectNotFoundError:
            return None

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        """See `Store`; lists what exists when it is called."""
        start = f"{checked_key(prefix)}/" if prefix else ""
        with self._mutex:
            rests = [key.removeprefix(start) for key in self._objects if key.startswith(start)]
        entries = {ListEntry(rest.partition("/")[0], "/" in rest) for rest in rests}
        wanted = (entry for entry in entries if entry.name > after)
        return iter(sorted(wanted, key=lambda entry: (entry.name, entry.is_prefix)))

    def list_objects(self, prefix: str, *, after: str = "") -> Generator[ListedObject, None, None]:
        """See `Store`; lists what exists when the first is asked for."""
        start = f"{checked_key(prefix)}/" if prefix else ""
        with self._mutex:
            sizes = {key.removeprefix(start): len(data) for key, data in self._objects.items() if key.startswith(start)}
        yield from (ListedObject(name, sizes[name]) for name in sorted(sizes) if "/" not in name and name > after)

    def list_directories(self, prefix: str) -> Iterator[tuple[str, frozenset[str]]]:
        """See `Store`; lists what exists when it is called."""
        start = f"{checked_key(prefix)}/" if prefix else ""
        found: defaultdict[str, set[str]] = defaultdict(set)
        with self._mutex:
            rests = [key.removeprefix(start) for key in self._objects if key.startswith(start)]
        for rest in rests:
            directory, slash, name = rest.partition("/")
            if slash:
                own, deeper, _ = name.partition("/")
                found[directory].add(own + deeper)
        return iter([(directory, frozenset(names)) for directory, names in sorted(found.items())])

    def create(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._put(key, data, replace=False)

    def replace(self, key: str, data: bytes) -> None:
        """See `Store`."""
        self._put(key, data, replace=True)

    def _put(self, key: str, data: bytes, *, replace: bool) -> None:
        checked_key(key)
        with self._mutex:
            if key in self._objects and not replace:
                raise ObjectExistsError(f"{self.url}/{key} exists already")
            self._objects[key] = bytes(data)

    def update(self, key: str, change: Change) -> bytes | None:
        """See `Store`."""
        checked_key(key)
        with self._mutex:
            old = self._objects.get(key)
            new = change(old)
            if new is None:
                return old
            self._objects[key] = bytes(new)
            return self._objects[key]

    def delete(self, key: str) -> None:
        """See `Store`."""
        checked_key(key)
        with self._mutex:
            self._objects.pop(key, None)

    def ensure_durable(self, key: str) -> None:
        """See `Store`: nothing outlives the instance."""
        checked_key(key)

    def upload(self, key: str, *, caller_hashes: bool = False) -> MemoryUpload:
        """See `Store`."""
        return MemoryUpload(self, checked_key(key), caller_hashes=caller_hashes)

    @contextlib.contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        """Exclude the other threads that lock `prefix`, if the store `supports_locking`; not reentrant."""
        if prefix:
            checked_key(prefix)
        if not self.supports_locking:
            yield
            return
        with self._mutex:
            lock = self._prefix_locks[prefix]
        with lock:
            yield

    @contextlib.contextmanager
    def exclusive(self, name: str, *, holder: str, wait_s: float) -> Iterator[None]:
        """See `Store`; excludes other threads."""
        if not self.supports_locking:
            yield
            return

        def attempt() -> bool:
            with self._mutex:
                return self._holders.setdefault(name, mine) is mine

        mine = (holder, rfc3339())
        what = f"{name} in {self.url}"
        if not wait_until(attempt, limit_s=wait_s, what=what):
            raise LockedError("{} is locked by {} since {}".format(what, *self._holders.get(name, ("nobody", "now"))))
        try:
            yield
        finally:
            with self._mutex:
                del self._holders[name]

    def check_conditional_writes(self) -> list[str]:
        """See `Store`: they always hold."""
        return []

    def remove_leftovers(self) -> list[str]:
        """See `Store`: unfinished uploads are not objects yet, so every temporary object is a leftover."""
        with self._mutex:
            removed = sorted(key for key in self._objects if key.startswith(f"{TEMPORARY}/"))
            for key in removed:
                del self._objects[key]
        return removed


class MemoryUpload:
    """An object being written; see `bronze.storage.store.Upload`. For one thread at a time."""

    def __init__(self, store: MemoryStore, key: str, *, caller_hashes: bool) -> None:
        self._store, self._key, self._caller_hashes = store, key, caller_hashes
        self._data = bytearray()
        self._ended = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `Upload`."""
        self._check_open()
        view = memoryview(data).cast("B")
        self._data += view
        return len(view)

    def publish(self, *, replace: bool = False, checksum: str = "") -> None:
        """See `Upload`.

        Raises:
            ValueError: the caller hashes what it writes, and `checksum` is of something else.
        """
        self._check_open()
        if self._caller_hashes and checksum != f"sha256:{hashlib.sha256(self._data).hexdigest()}":
            raise ValueError(f"{self._store.url}/{self._key}: {checksum!r} is not the checksum of what was written")
        if replace:
            self._store.replace(self._key, bytes(self._data))
        else:
            self._store.create(self._key, bytes(self._data))

    def _check_open(self) -> None:
        if self._ended:
            raise ValueError(f"the upload of {self._store.url}/{self._key} has ended")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._data.clear()
