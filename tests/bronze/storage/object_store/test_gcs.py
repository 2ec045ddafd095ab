"""The store on Google Cloud Storage: the suite of all stores, and what only this service can show."""

from __future__ import annotations

import dataclasses
import time
from urllib.parse import unquote

import pytest

from bronze.errors import AccessDeniedError, ConfigError, is_transient
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.store import ObjectStore
from tests.bronze.storage.store_suite import Opener, StoreSuite
from tests.support.gcs_server import GcsServer, gcs_bucket, gcs_server, running_gcs_server

__all__ = ["gcs_bucket", "gcs_server"]


class TestGcsStore(StoreSuite):
    open_readers_keep_the_object = False

    @pytest.fixture
    def open_store(self, gcs_server: GcsServer, gcs_bucket: str) -> Opener:
        return lambda: ObjectStore(StorageLocation(f"gs://{gcs_bucket}/some/prefix"))


@pytest.fixture
def store(gcs_bucket: str) -> ObjectStore:
    return ObjectStore(StorageLocation(f"gs://{gcs_bucket}/root"))


def lists(server: GcsServer) -> int:
    return sum("prefix=" in request for request in server.take_log())


def test_first_child_costs_one_page(gcs_server: GcsServer, store: ObjectStore) -> None:
    for number in range(2_500):
        store.replace(f"flat/{number:04}", b"")
    gcs_server.take_log()
    assert next(store.list_children("flat")).name == "0000"
    assert lists(gcs_server) == 1
    assert [entry.name for entry in store.list_children("flat")] == [f"{number:04}" for number in range(2_500)]
    assert lists(gcs_server) == 3
    assert [entry.name for entry in store.list_objects("flat", after="1999")] == [
        f"{n:04}" for n in range(2_000, 2_500)
    ]
    assert lists(gcs_server) == 1
    store.replace("flat/2000/nested", b"")  # first met on a later page
    assert [entry.name for entry in store.list_children("flat")] == sorted(
        [f"{number:04}" for number in range(2_500)] + ["2000"]
    )


def test_prefix_sorted_after_longer_names_is_listed(store: ObjectStore) -> None:
    names = [f"b.{number:04}" for number in range(1_100)]
    for name in names:
        store.replace(f"p/{name}", b"")
    store.replace("p/b/nested", b"")  # as a key after all of them, as a name before
    found = list(store.list_children("p"))
    assert sorted(entry.name for entry in found) == sorted([*names, "b"])
    assert [entry.name for entry in found if entry.is_prefix] == ["b"]


def reads_of_temporaries(log: list[str]) -> int:
    return sum(request.startswith("GET ") and "_temporary" in unquote(request) for request in log)


def test_upload_with_stated_checksum_is_not_read(gcs_server: GcsServer, store: ObjectStore) -> None:
    gcs_server.take_log()
    with store.upload("a") as upload:
        upload.write(bytes(20 << 20))
        upload.publish()
    assert reads_of_temporaries(gcs_server.take_log()) == 0
    assert store.bucket.checksums.service_states_digests
    assert store.read("a") == bytes(20 << 20)


def test_upload_without_stated_checksum_is_read_back(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_gcs_server(reticent=True) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        store = ObjectStore(StorageLocation(f"gs://{server.new_bucket()}/root"))
        with store.upload("a") as upload:
            upload.write(bytes(20 << 20))
            upload.publish()
        assert reads_of_temporaries(server.take_log()) == 3
        assert not store.bucket.checksums.service_states_digests
        assert store.read("a") == bytes(20 << 20)


def test_leftovers_are_removed_after_a_day(gcs_server: GcsServer, store: ObjectStore) -> None:
    stopped = store.upload("a")
    stopped.write(bytes(20 << 20))  # and nothing more, as if the run had been killed
    store.replace("_temporary/x", b"")
    assert store.remove_leftovers() == []
    later = ObjectStore(store.location, clock=lambda: time.time() + 86_410)
    removed = sorted(later.remove_leftovers())
    assert [key[: len("_temporary/a.")] for key in removed] == ["_temporary/a.", "_temporary/x"]
    assert later.remove_leftovers() == []
    with store.upload("b") as upload:
        upload.write(bytes(20 << 20))
    gcs_server.take_log()
    assert later.remove_leftovers() == []  # giving up has aborted it


def test_check_conditional_writes_leaves_nothing(store: ObjectStore) -> None:
    store.check_conditional_writes()
    assert list(store.list_children("")) == []


def test_service_that_ignores_conditions_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_gcs_server(heedless=True) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        location = StorageLocation(f"gs://{server.new_bucket()}")
        with pytest.raises(
            ConfigError, match=r"ignores create-only writing .* create-only copying, writing over a known"
        ):
            ObjectStore(location).check_conditional_writes()
        allowed = ObjectStore(dataclasses.replace(location, allow_unconditional=True))
        (notice,) = allowed.check_conditional_writes()
        assert "two runs at once could overwrite" in notice
        assert list(allowed.list_children("")) == []


def test_missing_bucket_is_config_error(store: ObjectStore) -> None:
    missing = ObjectStore(StorageLocation("gs://no-such-bucket/x"))
    for use in (lambda: missing.read("a"), lambda: list(missing.list_children("")), missing.check_conditional_writes):
        with pytest.raises(ConfigError, match=r"gs://no-such-bucket/x.*: the bucket does not exist"):
            use()


def test_refused_credentials_are_access_denied_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_gcs_server("another token") as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        store = ObjectStore(StorageLocation(f"gs://{server.new_bucket()}"))
        for use in (lambda: store.read("a"), lambda: list(store.list_children("")), lambda: store.create("a", b"x")):
            with pytest.raises(AccessDeniedError) as caught:
                use()
            assert not is_transient(caught.value)


def test_anonymous_store_reads_public_objects_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any credentials, and without asking for some."""
    with running_gcs_server(public=True) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        location = StorageLocation(f"gs://{server.new_bucket()}/p")
        ObjectStore(location).create("a/b", b"x")
        monkeypatch.delenv("STORAGE_EMULATOR_HOST")
        anonymous = ObjectStore(dataclasses.replace(location, endpoint=server.url, anonymous=True))
        assert anonymous.read("a/b") == b"x"
        assert [entry.name for entry in anonymous.list_children("a")] == ["b"]
        assert anonymous.size("a/c") is None
    with running_gcs_server() as private:
        bucket = private.new_bucket()
        refused = ObjectStore(StorageLocation(f"gs://{bucket}/p", endpoint=private.url, anonymous=True))
        with pytest.raises(AccessDeniedError):
            refused.read("a")
