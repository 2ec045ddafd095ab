"""The store on S3: the suite of all stores, and what only this service can show."""

from __future__ import annotations

import dataclasses
import json
import pickle
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bronze.errors import (
    AccessDeniedError,
    BronzeError,
    ConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StoreError,
    is_transient,
)
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.store import ObjectStore
from tests.bronze.storage.store_suite import Opener, StoreSuite, race
from tests.support.s3_server import (
    ACCESS_KEY,
    REGION,
    SECRET_KEY,
    S3Server,
    environment,
    running_s3_server,
    s3_bucket,
    s3_server,
)

__all__ = ["s3_bucket", "s3_server"]


class TestS3Store(StoreSuite):
    open_readers_keep_the_object = False

    @pytest.fixture
    def open_store(self, s3_server: S3Server, s3_bucket: str) -> Opener:
        return lambda: ObjectStore(s3_server.location(s3_bucket, "some/prefix"))


@pytest.fixture
def store(s3_server: S3Server, s3_bucket: str) -> ObjectStore:
    return ObjectStore(s3_server.location(s3_bucket, "some/prefix"))


def upload(store: ObjectStore, key: str, size: int) -> None:
    with store.upload(key) as upload:
        for _ in range(size >> 20):
            upload.write(bytes(1 << 20))
        upload.publish()


def test_bucket_contains_only_the_written_objects(s3_server: S3Server, s3_bucket: str, store: ObjectStore) -> None:
    store.create("a", b"1")
    store.update("b", lambda old: b"2")
    upload(store, "c/d", 20 << 20)
    assert s3_server.keys(s3_bucket) == ["some/prefix/a", "some/prefix/b", "some/prefix/c/d"]
    assert s3_server.uploads(s3_bucket) == []


def test_concurrent_publishers_leave_no_unfinished_uploads(
    s3_server: S3Server, s3_bucket: str, store: ObjectStore
) -> None:
    if s3_server.kind == "moto":
        pytest.skip(f"lets several publish one object: {s3_server.why}")
    outcomes = race(8, lambda racer: upload(store, "a", 9 << 20))
    assert outcomes.count(None) == 1
    assert all(isinstance(outcome, ObjectExistsError) for outcome in outcomes if outcome is not None), outcomes
    assert s3_server.uploads(s3_bucket) == []
    assert s3_server.keys(s3_bucket) == ["some/prefix/a"]


@pytest.mark.parametrize("size", [0, 1, 9, 20])
def test_abandoned_upload_leaves_no_parts(s3_server: S3Server, s3_bucket: str, store: ObjectStore, size: int) -> None:
    with store.upload("a") as stopped:
        stopped.write(bytes(size << 20))
    assert s3_server.uploads(s3_bucket) == s3_server.keys(s3_bucket) == []


def test_upload_above_largest_object_is_refused(s3_server: S3Server, s3_bucket: str, store: ObjectStore) -> None:
    store.bucket.largest_object = 10 << 20
    upload(store, "exact", 10 << 20)
    with pytest.raises(
        ObjectTooLargeError, match=r"some/prefix/a: more than 10485760 bytes.* smaller partition_size"
    ) as caught:
        upload(store, "a", 11 << 20)
    assert not is_transient(caught.value)
    assert s3_server.keys(s3_bucket) == ["some/prefix/exact"]
    assert s3_server.uploads(s3_bucket) == []


def test_copy_refused_by_the_service_publishes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    with running_s3_server("--copy-object-threshold", str(10 << 20)) as server:
        if server.kind != "versitygw":
            pytest.skip(server.why)
        store = ObjectStore(server.location(bucket := server.new_bucket()), retry=RetryPolicy(8, 1))
        with pytest.raises(StoreError, match="a was not published: "):
            upload(store, "a", 18 << 20)
        assert server.keys(bucket) == []


def test_missing_bucket_is_config_error(s3_server: S3Server, s3_bucket: str) -> None:
    store = ObjectStore(s3_server.location("no-such-bucket"))
    uses: list[Callable[[], object]] = [
        lambda: store.read("a"),
        lambda: store.create("a", b""),
        lambda: store.replace("a", b""),
        lambda: list(store.list_children("")),
        lambda: upload(store, "a", 9 << 20),
        store.check_conditional_writes,
    ]
    for use in uses:
        with pytest.raises(ConfigError, match=r"s3://no-such-bucket.*: the bucket does not exist"):
            use()


def test_wrong_credentials_are_redacted_access_denied_error(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    if s3_server.kind != "versitygw":
        pytest.skip(f"takes any credentials: {s3_server.why}")
    wrong = "wrong/" + SECRET_KEY[6:]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", wrong)
    store = ObjectStore(s3_server.location(s3_bucket))
    uses: list[Callable[[], object]] = [
        lambda: store.read("a"),
        lambda: store.size("a"),
        lambda: store.open_read("a"),
        lambda: store.create("a", b"x"),
        lambda: store.replace("a", b"x"),
        lambda: store.update("a", lambda old: b"x"),
        lambda: store.delete("a"),
        lambda: list(store.list_children("")),
        lambda: upload(store, "a", 1 << 20),
        lambda: upload(store, "a", 20 << 20),
        store.check_conditional_writes,
        store.remove_leftovers,
    ]
    shown = [
        repr(store),
        repr(store.bucket),
        repr(vars(store)),
        repr(vars(store.bucket)),
        repr(store.location),
        caplog.text,
    ]
    for use in uses:
        with pytest.raises(AccessDeniedError, match="s3://") as caught:
            use()
        assert not is_transient(caught.value)
        assert len(str(caught.value)) < 500
        shown.append("".join(traceback.format_exception(caught.value)))
        assert caught.value.__context__ is None or isinstance(caught.value.__context__, BronzeError)
    shown += [repr(pickle.dumps(store.location)), caplog.text]
    for secret in (wrong, SECRET_KEY, ACCESS_KEY, "StringToSign>AWS4"):
        assert not [text for text in shown if secret in text], secret


def test_published_objects_get_lock_and_class(s3_server: S3Server, s3_bucket: str) -> None:
    if s3_server.kind != "versitygw":
        pytest.skip(s3_server.why)
    bucket = s3_server.new_bucket(ObjectLockEnabledForBucket=True)
    options = {"object_lock_mode": "GOVERNANCE", "object_lock_days": 2, "storage_class": "STANDARD"}
    store = ObjectStore(s3_server.location(bucket, "", **options))
    store.create("created", b"x")
    upload(store, "published", 9 << 20)
    store.replace("state", b"x")
    store.update("state", lambda old: b"y")
    assert [entry.name for entry in store.list_children("")] == ["created", "published", "state"]
    for key in ("created", "published"):
        until = s3_server.client.head_object(Bucket=bucket, Key=key)["ObjectLockRetainUntilDate"]
        assert 2 * 86400 <= until.timestamp() - time.time() <= 2 * 86400 + 3600
    assert "ObjectLockMode" not in s3_server.client.head_object(Bucket=bucket, Key="state")


def test_environment_sets_endpoint_and_region(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_server.url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    store = ObjectStore(StorageLocation(f"s3://{s3_bucket}"))
    upload(store, "a", 9 << 20)
    with store.upload("b") as stopped:
        stopped.write(bytes(9 << 20))
    assert s3_server.keys(s3_bucket) == ["a"]
    assert s3_server.uploads(s3_bucket) == []


def test_anonymous_store_reads_public_objects_only(
    s3_server: S3Server, s3_bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if s3_server.kind != "versitygw":
        pytest.skip(f"has no policies: {s3_server.why}")
    location = s3_server.location(s3_bucket)
    ObjectStore(location).create("p/a", b"x")
    for name in environment():
        monkeypatch.delenv(name)
    anonymous = ObjectStore(dataclasses.replace(location, anonymous=True))
    with pytest.raises(AccessDeniedError):
        anonymous.read("p/a")
    everyone = {"Effect": "Allow", "Principal": "*"}
    allowed = [
        {**everyone, "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{s3_bucket}/*"},
        {**everyone, "Action": "s3:ListBucket", "Resource": f"arn:aws:s3:::{s3_bucket}"},
    ]
    policy = json.dumps({"Version": "2012-10-17", "Statement": allowed})
    s3_server.client.put_bucket_policy(Bucket=s3_bucket, Policy=policy)
    assert anonymous.read("p/a") == b"x"
    assert [entry.name for entry in anonymous.list_children("p")] == ["a"]
    with pytest.raises(AccessDeniedError):
        anonymous.create("p/b", b"x")


class Counter:
    def __init__(self) -> None:
        self.taken = 0

    def acquire(self, size: int) -> None:
        self.taken += size


def test_every_byte_counts_against_the_rate_limit(store: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> None:
    up, down = Counter(), Counter()
    monkeypatch.setattr(store.bucket, "upload_limit", up)
    monkeypatch.setattr(store.bucket, "download_limit", down)
    upload(store, "a", 9 << 20)
    store.create("b", bytes(1000))
    assert up.taken == (9 << 20) + 1000
    store.read("a")
    with store.open_read("b") as file:
        assert len(file.read()) == 1000
    assert down.taken == (9 << 20) + 1000


def test_check_conditional_writes_leaves_nothing(s3_server: S3Server, s3_bucket: str, store: ObjectStore) -> None:
    store.check_conditional_writes()
    assert s3_server.keys(s3_bucket) == []


PREAMBLE = """
import os, re, sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
def peak():  # MB, of this program alone: ru_maxrss begins with that of the process that started it
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
store = open_store(StorageLocation(sys.argv[1], endpoint=sys.argv[2], region="us-east-1"))
"""


def python(code: str, server: S3Server, bucket: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PREAMBLE + code, f"s3://{bucket}/root", server.url],
        cwd=Path(__file__).parents[4], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_upload_needs_little_memory(s3_server: S3Server, s3_bucket: str) -> None:
    code = """
with store.upload("warm") as upload: upload.write(bytes(1 << 20)); upload.publish()
before = peak()
with store.upload("large") as upload:
    for _ in range(300): upload.write(os.urandom(1 << 20))  # the client keeps each one until it is sent
    upload.publish()
print(peak() - before)
"""
    with python(code, s3_server, s3_bucket) as process:
        megabytes = int(process.communicate()[0])
    assert 8 <= megabytes < 80
    assert s3_server.client.head_object(Bucket=s3_bucket, Key="root/large")["ContentLength"] == 300 << 20


def test_small_views_do_not_keep_large_buffers(s3_server: S3Server, s3_bucket: str) -> None:
    code = """
store.create("small", bytes(5_000))
store.create("large", bytes(400_000))
def read(number): return store.read_view("large") and store.read_view("small")
with ThreadPoolExecutor(16) as pool:
    list(pool.map(read, range(200)))
    before = peak()
    held = list(pool.map(read, range(1_500)))
print(peak() - before)
"""
    with python(code, s3_server, s3_bucket) as process:
        megabytes = int(process.communicate()[0])
    assert megabytes < 40  # 7.5 MB are held; with their buffers it is ten times as much


def test_leftovers_of_killed_run_go_after_a_day(s3_server: S3Server, s3_bucket: str) -> None:
    code = """
with store.upload("part.parquet") as upload:
    upload.write(bytes(40 << 20)); print("written", flush=True); sys.stdin.readline()
"""
    with python(code, s3_server, s3_bucket) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        process.kill()
    (left,) = s3_server.uploads(s3_bucket)
    assert left.startswith("root/_temporary/part.parquet.")
    location = s3_server.location(s3_bucket, "root")
    store = ObjectStore(location)
    store.replace("_temporary/named-otherwise", b"x")
    store.replace("kept", b"x")
    assert store.remove_leftovers() == []
    assert s3_server.uploads(s3_bucket) == [left]
    assert s3_server.keys(s3_bucket) == ["root/_temporary/named-otherwise", "root/kept"]
    later = ObjectStore(location, clock=lambda: time.time() + 86_410)
    assert sorted(later.remove_leftovers()) == ["_temporary/named-otherwise", left.removeprefix("root/")]
    assert later.remove_leftovers() == s3_server.uploads(s3_bucket) == []
    assert s3_server.keys(s3_bucket) == ["root/kept"]


Recorded = tuple[str, list[tuple[str, dict[str, str]]]]


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorded]:
    """The address of a server that writes down what it is asked, takes every object and has none; and what it wrote."""
    seen: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def any(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            seen.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200 if self.command == "PUT" else 404)
            self.send_header("ETag", '"x"')
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_GET = do_HEAD = do_PUT = any

        def log_message(self, *_: object) -> None:
            pass

    for name, value in environment().items():
        monkeypatch.setenv(name, value)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", seen
    server.shutdown()
    server.server_close()


def test_requester_pays_is_sent_with_every_request(recorded: Recorded) -> None:
    url, seen = recorded
    store = ObjectStore(StorageLocation("s3://bucket", endpoint=url, region=REGION, requester_pays=True))
    with pytest.raises(ObjectNotFoundError):
        store.read("a")
    assert store.size("a") is None
    with pytest.raises(ObjectNotFoundError):
        store.bucket.checksums.stated("a", "a")
    assert [command for command, _ in seen] == ["GET", "HEAD", "HEAD"]
    assert {headers.get("x-amz-request-payer") for _, headers in seen} == {"requester"}


def test_kms_key_is_sent_with_every_write(recorded: Recorded) -> None:
    url, seen = recorded
    store = ObjectStore(
        StorageLocation("s3://bucket", endpoint=url, region=REGION, kms_key="arn:key", storage_class="STANDARD_IA")
    )
    store.create("a", b"x")
    store.replace("a", b"y")
    (_, created), (_, replaced) = seen
    for headers in (created, replaced):
        assert headers["x-amz-server-side-encryption"] == "aws:kms"
        assert headers["x-amz-server-side-encryption-aws-kms-key-id"] == "arn:key"
    assert created["x-amz-storage-class"] == "STANDARD_IA"
    assert "x-amz-storage-class" not in replaced
