"""The store in memory: the suite of all stores, and its options for tests."""

from __future__ import annotations

import threading

import pytest

from bronze.errors import ObjectNotFoundError
from bronze.storage.memory import MemoryStore
from bronze.storage.store import ListEntry, Store
from tests.bronze.storage.store_suite import Opener, StoreSuite, keys_of


@pytest.fixture(params=[True, False], ids=["locking", "unlocked"])
def supports_locking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


class TestMemoryStore(StoreSuite):
    @pytest.fixture
    def open_store(self, supports_locking: bool) -> Opener:
        store = MemoryStore(supports_locking=supports_locking)
        return lambda: store


def test_memory_store_satisfies_the_port() -> None:
    store: Store = MemoryStore("x", supports_locking=False, is_remote=True)
    assert store.url == "memory://x"
    assert (store.supports_locking, store.is_remote, store.tells_dead_writers) == (False, True, True)


def test_instances_share_nothing() -> None:
    MemoryStore("same").create("a", b"x")
    with pytest.raises(ObjectNotFoundError, match="memory://same/a does not exist"):
        MemoryStore("same").read("a")


def test_object_may_be_a_prefix() -> None:
    store = MemoryStore()
    store.create("a", b"1")
    store.create("a/b", b"2")
    assert list(store.list_children("")) == [ListEntry("a", False), ListEntry("a", True)]
    assert store.read("a/b") == b"2"


def test_temporary_objects_are_leftovers() -> None:
    store = MemoryStore()
    for key in ("_temporary/b", "_temporary/a", "kept"):
        store.create(key, b"")
    assert store.remove_leftovers() == ["_temporary/a", "_temporary/b"]
    assert keys_of(store) == ["kept"]


def test_upload_with_wrong_checksum_is_refused() -> None:
    store = MemoryStore()
    with store.upload("a", caller_hashes=True) as upload:
        upload.write(b"x")
        with pytest.raises(ValueError, match="is not the checksum"):
            upload.publish(checksum="sha256:" + "0" * 64)
    assert keys_of(store) == []


def test_change_may_read_its_store() -> None:
    store = MemoryStore()
    store.create("other", b"1")
    assert store.update("a", lambda old: store.read("other") + b"2") == b"12"


@pytest.mark.parametrize(("prefix", "expected"), [("p", False), ("q", True)])
def test_lock_excludes_only_its_prefix(prefix: str, expected: bool) -> None:
    store, entered, leave = MemoryStore(), threading.Event(), threading.Event()

    def hold() -> None:
        with store.lock("p"):
            entered.set()
            leave.wait(30)

    got = threading.Event()

    def take() -> None:
        with store.lock(prefix):
            got.set()

    threads = [threading.Thread(target=hold), threading.Thread(target=take)]
    threads[0].start()
    assert entered.wait(30)
    threads[1].start()
    assert got.wait(30 if expected else 0.05) == expected
    leave.set()
    for thread in threads:
        thread.join(30)
    assert got.is_set()
