"""Listings: keys that are not ours, and servers that do not keep to the protocol."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import pytest

from bronze.errors import ConfigError, ObjectTooLargeError, StoreError
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.store import ObjectStore
from tests.support.gcs_server import GcsServer, gcs_bucket, gcs_server
from tests.support.s3_server import S3Server, s3_bucket, s3_server
from tests.support.scripted_server import Answer, Request, running_server

__all__ = ["gcs_bucket", "gcs_server", "s3_bucket", "s3_server"]
pytestmark = pytest.mark.timeout(120)


def page(keys: list[str], more: str = "", escaped: bool = False, size: str = "1") -> Answer:
    rows = "".join(
        f"<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>{size}</Size></Contents>"
        for key in keys
    )
    token = f"<NextContinuationToken>{more}</NextContinuationToken>" if more else ""
    encoding = "<EncodingType>url</EncodingType>" if escaped else ""
    truncated = f"<IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
    return Answer(body=f"<ListBucketResult>{encoding}{truncated}{token}{rows}</ListBucketResult>".encode())


def asked(request: Request) -> dict[str, str]:
    return {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}


@pytest.fixture(params=["s3", "gs"])
def store_of(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Callable[[Request], Answer]], ObjectStore]]:
    """Opens a store on a server that answers as stated."""
    for name in ("http_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTONLYBRONZE42")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/of+the+test")
    servers = []

    def opened(answer: Callable[[Request], Answer]) -> ObjectStore:
        server = running_server(answer)
        servers.append(server)
        url = server.__enter__().url
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        location = StorageLocation(f"{request.param}://bucket", endpoint=url, request_timeout_s=2)
        return ObjectStore(location, retry=RetryPolicy(2, 1))

    yield opened
    for server in servers:
        server.__exit__(None, None, None)


StoreOf = Callable[[Callable[[Request], Answer]], ObjectStore]


def names(store: ObjectStore, prefix: str = "p") -> list[str]:
    return [entry.name for entry in store.list_children(prefix)]


def test_foreign_keys_are_left_out(store_of: StoreOf) -> None:
    odd = ["p/", "p//", "p//x", "p/../x", "p/./x", "p/a\\b", "p/good", "q/x"]
    assert names(store_of(lambda _: page(odd))) == ["good"]


def test_keys_that_xml_cannot_hold_are_left_out(store_of: StoreOf) -> None:
    def answer(request: Request) -> Answer:
        if "encoding-type" in asked(request):
            return page(["p/%01x", "p/a+b", "p/good%2B"], escaped=True)
        return page(["p/&#1;x", "p/a b", "p/good+"])

    assert names(store_of(answer)) == ["a b", "good+"]


def test_keys_are_listed_over_pages(store_of: StoreOf) -> None:
    def answer(request: Request) -> Answer:
        number = int(asked(request).get("continuation-token", "0"))
        return page([f"p/{number}", f"p/{number}x"], more=str(number + 1) if number < 3 else "")

    assert names(store_of(answer)) == ["0", "0x", "1", "1x", "2", "2x", "3", "3x"]


@pytest.mark.parametrize("size", ["", "-1", "1.5", "many", "9" * 20])
def test_sizes_that_are_none_are_refused(store_of: StoreOf, size: str) -> None:
    with pytest.raises(StoreError, match="the service's answer to a list request is not XML"):
        list(store_of(lambda _: page(["p/a"], size=size)).list_objects("p"))


@pytest.mark.parametrize("keys", [["p/a"], ["p/b", "p/a"], ["p//x"]])
def test_repeated_page_ends_the_listing(store_of: StoreOf, keys: list[str]) -> None:
    numbers = itertools.count(1)
    with pytest.raises(StoreError, match=r"://bucket/p: the service lists the same keys again"):
        names(store_of(lambda _: page(keys, more=str(next(numbers)))))


def test_endless_empty_pages_end_the_listing(store_of: StoreOf) -> None:
    numbers = itertools.count(1)
    with pytest.raises(StoreError, match="listing does not end: 21 pages without a key"):
        names(store_of(lambda _: page([], more=str(next(numbers)))))


def test_some_empty_pages_are_accepted(store_of: StoreOf) -> None:
    def answer(request: Request) -> Answer:
        number = int(asked(request).get("continuation-token", "0"))
        return page(["p/a"] if number == 10 else [], more=str(number + 1) if number < 10 else "")

    assert names(store_of(answer)) == ["a"]


def test_oversized_page_is_refused(store_of: StoreOf) -> None:
    with pytest.raises(ObjectTooLargeError, match=r"the answer has more than 8388608 bytes"):
        names(store_of(lambda _: Answer(body=bytes(9 << 20))))


@pytest.mark.parametrize(
    "body",
    [b"", b"<html></html>", b"{}", b"<ListBucketResult>", b'<!DOCTYPE x [<!ENTITY a "aaaa">]><ListBucketResult/>'],
)
def test_answer_that_is_no_listing_is_store_error(store_of: StoreOf, body: bytes) -> None:
    with pytest.raises(StoreError, match="is not XML"):
        names(store_of(lambda _: Answer(body=body)))


def test_transient_failures_of_pages_are_retried(store_of: StoreOf) -> None:
    failures = iter([Answer(503), None, Answer(500), None])

    def answer(request: Request) -> Answer:
        failed = next(failures, None)
        if failed:
            return failed
        return page(["p/b"]) if "continuation-token" in asked(request) else page(["p/a"], more="x")

    assert names(store_of(answer)) == ["a", "b"]


def test_missing_bucket_is_config_error(store_of: StoreOf) -> None:
    with pytest.raises(ConfigError, match="the bucket does not exist"):
        names(store_of(lambda _: Answer(404, body=b"<Error><Code>NoSuchBucket</Code></Error>")))


def test_hanging_listing_ends_at_the_time_limit(store_of: StoreOf) -> None:
    ended = threading.Event()

    def hang(_: Request) -> Answer:
        ended.wait(60)
        return Answer(500)

    try:
        with pytest.raises(StoreError, match="timed out"):
            names(store_of(hang))
    finally:
        ended.set()


def test_endless_list_of_uploads_is_refused(store_of: StoreOf) -> None:
    body = (
        "<ListMultipartUploadsResult><IsTruncated>true</IsTruncated><NextKeyMarker>a</NextKeyMarker>"
        "<NextUploadIdMarker>b</NextUploadIdMarker></ListMultipartUploadsResult>"
    )
    with pytest.raises(StoreError, match=r"list unfinished uploads|makes no progress"):
        list(store_of(lambda _: Answer(body=body.encode())).bucket.service.list_multipart_uploads(""))


def test_odd_keys_do_not_close_gcs_store(gcs_server: GcsServer, gcs_bucket: str) -> None:
    import urllib.request

    for key in ("lake//odd", "lake/a%2F..%2Fb", "lake/%20space", "lake/good"):
        request = urllib.request.Request(
            f"{gcs_server.url}/{gcs_bucket}/{key}", b"x", {"Authorization": "Bearer emulator"}, method="PUT"
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()
    store = ObjectStore(StorageLocation(f"gs://{gcs_bucket}"))
    assert [entry.name for entry in store.list_children("")] == ["lake"]
    assert [entry.name for entry in store.list_children("lake")] == [" space", "good"]


def test_signed_listing_is_accepted_by_s3(s3_server: S3Server, s3_bucket: str) -> None:
    store = ObjectStore(s3_server.location(s3_bucket, "some prefix/with=odd+characters~ü"))
    store.create("a/ü (1)", b"x")
    store.create("a b/c&d", b"x")
    assert [entry.name for entry in store.list_children("")] == ["a", "a b"]
    assert [entry.name for entry in store.list_children("a")] == ["ü (1)"]
    assert [entry.name for entry in store.list_children("a b")] == ["c&d"]
    assert escape("c&d") in store.bucket.service.list_request({"list-type": "2"}).decode()
