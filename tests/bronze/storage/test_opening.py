"""Opening stores: which one, how many, what is loaded, and what happens in a forked process."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from bronze.storage.local import LocalStore
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.store import ObjectStore
from bronze.storage.opening import open_store

REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def location(monkeypatch: pytest.MonkeyPatch) -> StorageLocation:
    """A prefix of a bucket; nothing answers there, and no credentials are needed."""
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "127.0.0.1:1")
    return StorageLocation("gs://bucket/x")


@pytest.mark.parametrize("as_url", [False, True])
def test_path_opens_a_local_store(tmp_path: Path, as_url: bool) -> None:
    store = open_store(StorageLocation(tmp_path.as_uri() if as_url else str(tmp_path)))
    assert isinstance(store, LocalStore)
    assert store.root == tmp_path
    assert (store.supports_locking, store.is_remote, store.tells_dead_writers) == (True, False, True)


def test_bucket_opens_an_object_store(location: StorageLocation) -> None:
    store = open_store(location)
    assert isinstance(store, ObjectStore)
    assert store.url == "gs://bucket/x"
    assert (store.supports_locking, store.is_remote, store.tells_dead_writers) == (False, True, False)


def test_equal_locations_share_one_store(location: StorageLocation) -> None:
    store = open_store(location)
    assert open_store(pickle.loads(pickle.dumps(location))) is store
    assert open_store(StorageLocation("gs://bucket/y")) is not store


def test_another_process_opens_its_own(location: StorageLocation, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(location)
    monkeypatch.setattr("os.getpid", lambda: -1)
    assert open_store(location) is not store


def test_object_store_refuses_pickling(location: StorageLocation) -> None:
    with pytest.raises(TypeError, match="send its location"):
        pickle.dumps(open_store(location))


def test_forked_process_has_a_free_lock() -> None:
    code = """
import os
from bronze.storage import opening
from bronze.storage.location import StorageLocation
opening._LOCK.acquire()
if (child := os.fork()) == 0:
    os._exit(0 if opening._LOCK.acquire(timeout=10) else 1)
assert os.waitpid(child, 0)[1] == 0
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)


def test_clients_are_loaded_only_when_needed(tmp_path: Path) -> None:
    slow = {"obstore", "boto3", "google.auth", "requests", "awscrt"}
    code = f"""
import sys
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
open_store(StorageLocation({str(tmp_path)!r}))
assert not {slow} & set(sys.modules), {slow} & set(sys.modules)
"""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, check=True)
