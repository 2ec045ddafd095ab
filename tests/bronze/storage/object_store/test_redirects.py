"""Redirects of a service: never followed to another host, and said so."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator

import pytest

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.redirects import look_up_address, new_address
from bronze.storage.object_store.store import ObjectStore
from tests.support.scripted_server import Answer, Request, ScriptedServer, running_server

pytestmark = pytest.mark.timeout(120)
OBJECT = Answer(headers={"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})
USES: list[Callable[[ObjectStore], object]] = [
    lambda store: store.read("a"),
    lambda store: store.size("a"),
    lambda store: store.replace("a", b"x"),
    lambda store: store.create("a", b"x"),
    lambda store: list(store.list_children("p")),
    lambda store: store.bucket.service.stated_digest("a"),
    lambda store: list(store.bucket.service.list_multipart_uploads("a")),
]


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTONLYBRONZE42")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/of+the+test")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-the-session")


@pytest.fixture
def elsewhere() -> Iterator[ScriptedServer]:
    with running_server(lambda _: OBJECT, "127.0.0.2") as server:
        yield server


@pytest.fixture
def redirecting(elsewhere: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    def answer(request: Request) -> Answer:
        return Answer(307, {"Location": f"{elsewhere.url}{request.path}?token=of-the-signature"})

    with running_server(answer) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_redirect_to_other_host_is_refused(
    scheme: str, use: Callable[[ObjectStore], object], redirecting: ScriptedServer, elsewhere: ScriptedServer
) -> None:
    store = ObjectStore(StorageLocation(f"{scheme}://bucket", endpoint=redirecting.url), client_retries=1)
    with pytest.raises(
        ConfigError, match=re.escape(f"redirects to another address ({elsewhere.url}), which")
    ) as caught:
        use(store)
    assert "token" not in str(caught.value)
    assert redirecting.requests
    assert elsewhere.requests == []


#: What S3 answers for a bucket in another region.
MOVED = Answer(
    301,
    {"x-amz-bucket-region": "eu-central-1", "Content-Type": "application/xml"},
    b"<Error><Code>PermanentRedirect</Code><Endpoint>bucket.s3.eu-central-1.amazonaws.com</Endpoint></Error>",
)
SIGNED_FOR_ANOTHER = Answer(
    400,
    {"Content-Type": "application/xml"},
    b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>expecting 'eu-central-1'</Message>"
    b"<Region>eu-central-1</Region></Error>",
)


@pytest.mark.parametrize("use", USES)
def test_redirect_without_location_names_the_region(use: Callable[[ObjectStore], object]) -> None:
    with running_server(lambda _: MOVED) as server:
        store = ObjectStore(StorageLocation("s3://bucket", endpoint=server.url), client_retries=1)
        with pytest.raises(ConfigError, match=r"redirects to another address \((https://.*, )?region eu-central-1\)"):
            use(store)
        assert len(server.requests) <= 3  # it is not retried


@pytest.mark.parametrize("use", [USES[0], USES[2], USES[4]])
def test_bucket_of_another_region_is_named(use: Callable[[ObjectStore], object]) -> None:
    with running_server(lambda _: SIGNED_FOR_ANOTHER) as server:
        store = ObjectStore(StorageLocation("s3://bucket", endpoint=server.url), client_retries=1)
        with pytest.raises(ConfigError, match="the bucket is in the region eu-central-1, which the settings do not"):
            use(store)


@pytest.mark.parametrize(
    ("headers", "body", "shown"),
    [
        ({}, "", ""),
        ({"location": "/elsewhere?X-Amz-Signature=abcdef"}, "", ""),
        ({"location": "https://user:secret@[::1]:443/a?X-Amz-Signature=abcdef"}, "", " (https://[::1]:443)"),
        ({"location": "https://host:port/"}, "", ""),
        ({"location": "http://a\x1b2Jb/"}, "", r" (http://a\x1b2jb)"),
        ({"x-amz-bucket-region": "eu\nx" + "x" * 1000}, "", f" (region eu {'x' * 190})"),
        ({}, "<Endpoint>host</Endpoint><Region>eu\x1b</Region>", r" (https://host, region eu\x1b)"),
    ],
)
def test_new_address_is_cleaned(headers: dict[str, str], body: str, shown: str) -> None:
    assert new_address(headers, body) == shown


def test_slow_lookup_of_address_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.storage.object_store.redirects._LOOKUP_TIMEOUT_S", 0.2)
    released = threading.Event()

    def answer(_: Request) -> Answer:
        released.wait(30)
        return MOVED

    with running_server(answer) as server:
        assert look_up_address(f"{server.url}/bucket/a") == ""
        released.set()


def test_proxy_of_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with running_server(lambda _: OBJECT) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        store = ObjectStore(StorageLocation("s3://bucket", endpoint="http://store.invalid"), client_retries=0)
        assert store.size("a") == 0
        assert [request.path for request in proxy.requests] == ["http://store.invalid/bucket/a"]
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        direct = ObjectStore(StorageLocation("s3://bucket", endpoint=proxy.url), client_retries=0)
        assert direct.size("a") == 0
        assert proxy.requests[-1].path == "/bucket/a"
