"""Redirects of a service: never followed to another host, and said so."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation
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
        return Answer(307, {"Location": elsewhere.url + request.path})

    with running_server(answer) as server:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", server.url)
        yield server


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("scheme", ["s3", "gs"])
def test_redirect_to_other_host_is_refused(
    scheme: str, use: Callable[[ObjectStore], object], redirecting: ScriptedServer, elsewhere: ScriptedServer
) -> None:
    store = ObjectStore(StorageLocation(f"{scheme}://bucket", endpoint=redirecting.url), client_retries=1)
    with pytest.raises(ConfigError, match="redirects to another address"):
        use(store)
    assert redirecting.requests
    assert elsewhere.requests == []


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
