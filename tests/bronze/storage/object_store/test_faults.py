"""Object stores behind a failing network: the same result or a clear error, and nothing done twice."""

from __future__ import annotations

import dataclasses
import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import obstore
import pytest

from bronze.errors import ObjectExistsError, StoreError, is_transient
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.object_store import gcs, s3
from bronze.storage.object_store.bucket import REQUEST_RETRY
from bronze.storage.object_store.clients import DEFAULT_RETRIES
from bronze.storage.object_store.store import ObjectStore
from bronze.storage.store import TEMPORARY
from bronze.waiting import stop_waits_when
from tests.bronze.storage.store_suite import keys_of, race
from tests.support.fault_proxy import Fault, FaultProxy, Kind
from tests.support.gcs_server import GcsServer, gcs_bucket, gcs_server
from tests.support.s3_server import S3Server, s3_bucket, s3_server

__all__ = ["gcs_bucket", "gcs_server", "s3_bucket", "s3_server"]

LOST: list[Kind] = ["lost", "lost-busy"]
#: More than two parts.
LARGE = hashlib.sha256(b"x").digest() * (20_000_000 // 32)


@dataclass
class Shaky:
    """A store behind a proxy, and the same location without it."""

    proxy: FaultProxy
    location: StorageLocation
    direct: ObjectStore

    def open(self, *, client_retries: int = DEFAULT_RETRIES, **changes: Any) -> ObjectStore:
        """A new store behind the proxy that waits little, at the location with some options changed."""
        location = dataclasses.replace(self.location, **changes)
        retry = dataclasses.replace(REQUEST_RETRY, backoff_ms=10)
        return ObjectStore(location, retry=retry, client_retries=client_retries)

    def uploads(self) -> list[str]:
        """The paths of unfinished uploads."""
        return [upload.path for upload in self.direct.bucket.service.list_multipart_uploads("")]


@pytest.fixture(params=["s3", "gs"])
def shaky(request: pytest.FixtureRequest) -> Iterator[Shaky]:
    if request.param == "s3":
        server: S3Server | GcsServer = request.getfixturevalue("s3_server")
        bucket = request.getfixturevalue("s3_bucket")
    else:
        server = request.getfixturevalue("gcs_server")
        bucket = request.getfixturevalue("gcs_bucket")
    with FaultProxy(server.port) as proxy:
        options = {"region": "us-east-1"} if request.param == "s3" else {}
        location, direct = (
            StorageLocation(f"{request.param}://{bucket}/root", endpoint=url, request_timeout_s=20, **options)  # type: ignore[arg-type]
            for url in (proxy.url, server.url)
        )
        yield Shaky(proxy, location, ObjectStore(direct))


def upload(store: ObjectStore, key: str, data: bytes, *, replace: bool = False) -> None:
    with store.upload(key) as upload:
        for start in range(0, len(data), 3_000_000):
            upload.write(data[start : start + 3_000_000])
        upload.publish(replace=replace)


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("data", [b"", b"small", bytes(5_000_000)], ids=len)
def test_create_succeeds_despite_lost_answer(shaky: Shaky, kind: Kind, data: bytes) -> None:
    shaky.proxy.faults = [Fault(kind, "PUT .*root/a")]
    shaky.open().create("a", data)
    assert shaky.direct.read("a") == data
    assert shaky.proxy.log[0][1] == kind


@pytest.mark.parametrize("kind", [*LOST, "busy", "drop"])
def test_create_of_existing_object_is_always_refused(shaky: Shaky, kind: Kind) -> None:
    shaky.direct.create("a", b"the same")
    shaky.proxy.faults = [Fault(kind, "PUT")]
    with pytest.raises(ObjectExistsError):
        shaky.open().create("a", b"the same")  # equal, but another's: its token tells


@pytest.mark.parametrize("kind", ["busy", "drop", *LOST])
# S3 copies in three requests, Google in one; before that comes one object, or its parts.
@pytest.mark.parametrize(
    ("size", "step"),
    [(100, "PUT .*_temporary"), (100, "PUT .*root/a"), (100, "HEAD"), (100, "DELETE")]
    + [(len(LARGE), "PUT .*_temporary"), (len(LARGE), "POST .*uploads"), (len(LARGE), "POST .*uploadId")],
)
def test_publish_succeeds_whatever_step_fails(shaky: Shaky, kind: Kind, size: int, step: str) -> None:
    shaky.proxy.faults = [Fault(kind, step, times=2)]
    upload(shaky.open(), "a", LARGE[:size])
    assert shaky.direct.read("a") == LARGE[:size]
    assert keys_of(shaky.direct) == ["a"]
    # a part of the upload may be begun twice: that is left to the cleaner
    assert [path for path in shaky.uploads() if TEMPORARY not in path] == []
    assert len(shaky.uploads()) <= 2


@pytest.mark.parametrize("kind", ["busy", *LOST])
def test_publish_onto_existing_object_is_refused(shaky: Shaky, kind: Kind) -> None:
    shaky.direct.create("a", b"first")
    shaky.proxy.faults = [Fault(kind, "root/a")]
    with pytest.raises(ObjectExistsError):
        upload(shaky.open(), "a", b"other")
    assert shaky.direct.read("a") == b"first"
    assert keys_of(shaky.direct) == ["a"]


@pytest.mark.parametrize("kind", LOST)
def test_replace_succeeds_despite_lost_answer(shaky: Shaky, kind: Kind) -> None:
    shaky.direct.create("a", b"old")
    shaky.proxy.faults = [Fault(kind, "root/a")]
    upload(shaky.open(), "a", b"new", replace=True)
    assert shaky.direct.read("a") == b"new"
    shaky.proxy.faults = [Fault(kind, "root/a")]
    shaky.open().replace("a", b"newer")
    assert shaky.direct.read("a") == b"newer"


@pytest.mark.parametrize("kind", ["busy", "drop", *LOST])
def test_update_takes_effect_exactly_once(shaky: Shaky, kind: Kind) -> None:
    store = shaky.open()
    for expected in (b"1", b"2"):
        shaky.proxy.faults = [Fault(kind, "PUT", times=1)]
        assert store.update("counter", lambda old: b"%d" % (int(old or b"0") + 1)) == expected
        assert shaky.direct.read("counter") == expected


def test_delete_succeeds_despite_lost_answer(shaky: Shaky) -> None:
    shaky.direct.create("a", b"x")
    shaky.proxy.faults = [Fault("lost", "DELETE"), Fault("lost-busy", "DELETE")]
    shaky.open().delete("a")
    assert shaky.direct.size("a") is None


def test_truncated_bodies_are_read_again(shaky: Shaky) -> None:
    shaky.direct.replace("a", LARGE)
    shaky.proxy.faults = [Fault("truncate", "GET .*root/a", times=2)]
    assert shaky.open().read("a") == LARGE
    shaky.proxy.faults = [Fault("truncate", "GET .*root/a", times=2, skip=1)]
    with shaky.open().open_read("a") as file:
        assert file.read() == LARGE


def test_truncated_listings_are_retried(shaky: Shaky) -> None:
    for number in range(5):
        shaky.direct.create(f"flat/{number}", b"")
        shaky.direct.create(f"deep/{number}/x", b"")
    for prefix in ("flat", "deep"):
        shaky.proxy.faults = [Fault("truncate", r"GET .*prefix=", times=2)]
        assert [entry.name for entry in shaky.open().list_children(prefix)] == list("01234")
        assert [kind for _, kind in shaky.proxy.log].count("truncate") == 2
        shaky.proxy.calm()
    shaky.proxy.faults = [Fault("truncate", r"GET .*prefix=", times=100)]
    with pytest.raises(StoreError) as caught:
        list(shaky.open().list_children("flat"))
    assert is_transient(caught.value)


def test_unavailable_server_is_transient_error(shaky: Shaky) -> None:
    shaky.proxy.faults = [Fault("busy", "PUT", times=1000)]
    with pytest.raises(StoreError, match="503") as caught:
        shaky.open().create("a", b"x")
    assert is_transient(caught.value)
    with pytest.raises(StoreError) as caught:
        shaky.open().update("a", lambda old: b"x")
    assert is_transient(caught.value)
    shaky.proxy.calm()
    assert keys_of(shaky.direct) == []


@pytest.mark.parametrize("seed", range(3))
def test_concurrent_writers_survive_random_faults(shaky: Shaky, seed: int) -> None:
    shaky.proxy.storm(seed, 0.15, "busy", "drop", "lost", "lost-busy", "truncate")
    data = LARGE[: 9 << 20]

    def run(racer: int) -> int:
        store = shaky.open()
        won = 0
        for number in range(4):
            store.update("counter", lambda old: b"%d" % (int(old or b"0") + 1))
            try:
                store.create(f"p/{number}", b"by %d" % racer)
                won += 1
            except ObjectExistsError:
                pass
        # as its callers do: what failed for a while is done again from the start
        RetryPolicy(6, 10).call("upload", lambda: upload(store, f"q/{racer}", data))
        assert store.read(f"q/{racer}") == data
        return won

    won = race(4, run)
    shaky.proxy.calm()
    assert all(isinstance(number, int) for number in won), won
    assert sum(won) == 4  # type: ignore[arg-type]
    # a change may be made again when its answer is lost and another writer comes before it is looked at: never fewer
    assert int(shaky.direct.read("counter")) >= 16
    assert [key for key in keys_of(shaky.direct) if not key.startswith(TEMPORARY)] == sorted(
        ["counter", *(f"p/{number}" for number in range(4)), *(f"q/{racer}" for racer in range(4))]
    )
    assert keys_of(shaky.direct, TEMPORARY) == []


def test_write_that_takes_effect_late_counts_once(shaky: Shaky) -> None:
    slow = Fault("slow", "(PUT|POST) .*root/[abc]", seconds=0.8)
    store = shaky.open(request_timeout_s=0.5)
    shaky.proxy.faults = [dataclasses.replace(slow)]
    store.create("a", b"1")
    assert shaky.direct.read("a") == b"1"
    shaky.proxy.faults = [dataclasses.replace(slow)]
    assert store.update("b", lambda old: (old or b"") + b"2") == b"2"
    for skip in range(3):  # S3 needs several requests to copy
        shaky.proxy.faults = [dataclasses.replace(slow, skip=skip)]
        upload(store, "c", b"3", replace=shaky.direct.size("c") is not None)
        assert shaky.direct.read("c") == b"3"
    assert shaky.direct.read("b") == b"2"
    assert keys_of(shaky.direct) == ["a", "b", "c"]


def test_upload_with_failed_part_is_unusable(shaky: Shaky) -> None:
    # the client itself would complete it without the part
    shaky.proxy.faults = [Fault("busy", "PUT .*partNumber=1", times=2)]
    with shaky.open(client_retries=1).upload("a") as upload:
        with pytest.raises(StoreError, match="503"):
            upload.write(bytes(100 << 20))
        with pytest.raises(ValueError, match="has ended"):
            upload.write(b"x")
        with pytest.raises(ValueError, match="has ended"):
            upload.publish()
    assert shaky.uploads() == keys_of(shaky.direct) == []


@pytest.mark.parametrize("stated", [True, False])
def test_corrupted_upload_is_not_published(stated: bool, shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """Found by the service's checksum, or else by the ETag (S3) or by reading it back (Google)."""
    real = obstore.open_writer

    class Altering:
        def __init__(self, *arguments: Any, **options: Any) -> None:
            self.writer = real(*arguments, **options)
            self.close = self.writer.close

        def write(self, data: memoryview) -> int:
            return self.writer.write(bytes([data[0] ^ 1]) + data[1:])

    if not stated:
        for service in (s3, gcs):
            monkeypatch.setattr(service, "parse_checksum", lambda text: None)
    store = shaky.open()
    upload(store, "whole", LARGE)
    assert store.bucket.checksums.service_states_digests == stated
    monkeypatch.setattr(obstore, "open_writer", Altering)
    with pytest.raises(StoreError, match="a: its temporary object differs from what was written"):
        upload(store, "a", LARGE)
    assert keys_of(shaky.direct) == ["whole"]


def test_unavailable_checksum_falls_back_to_comparison(shaky: Shaky, caplog: pytest.LogCaptureFixture) -> None:
    attempts = 5 if shaky.location.scheme == "s3" else REQUEST_RETRY.attempts
    shaky.proxy.faults = [Fault("busy", "HEAD .*_temporary", times=attempts + 1)]
    upload(shaky.open(), "a", LARGE)
    assert shaky.direct.read("a") == LARGE
    assert "compared by other means" in caplog.text


@pytest.mark.parametrize("use", ["create", "update", "publish"])
def test_stop_request_ends_retries(shaky: Shaky, use: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service is busy for as long as it is asked; the delays between the requests are minutes."""
    monkeypatch.setattr("random.uniform", lambda low, high: high)
    asked = threading.Event()
    shaky.proxy.faults = [Fault("busy", "PUT .*root/a|POST .*rewriteTo|POST .*uploads", times=1000)]
    retry = dataclasses.replace(REQUEST_RETRY, backoff_ms=600_000, max_delay_s=600.0)
    store = ObjectStore(shaky.location, retry=retry, client_retries=0)

    def write() -> None:
        if use == "create":
            store.create("a", b"x")
        elif use == "update":
            store.update("a", lambda _: b"x")
        else:
            upload(store, "a", b"x")

    threading.Timer(1, asked.set).start()
    started = time.monotonic()
    with stop_waits_when(asked.is_set), pytest.raises(StoreError):
        write()
    assert time.monotonic() - started < 30
    assert asked.is_set()
    shaky.proxy.faults = []
    assert keys_of(shaky.direct) == []


def test_object_of_another_writer_is_refused(shaky: Shaky, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first attempt fails without effect; before the next one another writer creates the object."""

    def overtaken(_: float) -> bool:
        shaky.direct.create("a", b"another's")
        return True

    monkeypatch.setattr("bronze.storage.object_store.conditional.pause", overtaken)
    shaky.proxy.faults = [Fault("busy", "PUT .*root/a")]
    with pytest.raises(ObjectExistsError):
        shaky.open(client_retries=0).create("a", b"mine")
    assert shaky.direct.read("a") == b"another's"
