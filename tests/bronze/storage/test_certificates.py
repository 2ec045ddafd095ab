"""Private certificate authorities: one variable for every client, and errors that say "certificate"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bronze.audit.endpoint import DeliveryEndpoint
from bronze.errors import ConfigError, DeliveryError
from bronze.retry import RetryPolicy
from bronze.storage.certificates import VARIABLES, ca_bundle, ca_certificates
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.store import ObjectStore
from tests.bronze.audit.conftest import chained
from tests.support.scripted_server import Answer, ScriptedServer, running_server
from tests.support.tls import Authority, make_authority

pytestmark = pytest.mark.timeout(60)
(EVENT,) = chained(1)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def server(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATESTONLYBRONZE42")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret/of+the+test")
    headers = {"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"}
    with running_server(lambda _: Answer(headers=headers), tls=authority.context()) as running:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", running.url)
        yield running


def store(server: ScriptedServer, scheme: str) -> ObjectStore:
    return ObjectStore(
        StorageLocation(f"{scheme}://bucket", endpoint=server.url), client_retries=0, retry=RetryPolicy(1, 1)
    )


CLIENTS: dict[str, Callable[[ScriptedServer], object]] = {
    "endpoint": lambda server: DeliveryEndpoint(server.url, RetryPolicy(1, 1)).send(EVENT),
    "s3 by obstore": lambda server: store(server, "s3").size("a"),
    "s3 by boto3": lambda server: store(server, "s3").bucket.service.stated_digest("a"),
    "gs by obstore": lambda server: store(server, "gs").size("a"),
    "gs by requests": lambda server: store(server, "gs").bucket.service.stated_digest("a"),
}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("variable", VARIABLES)
def test_private_authority_serves_every_client(
    variable: str, client: str, server: ScriptedServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, str(authority.certificate))
    CLIENTS[client](server)
    assert len(server.requests) == 1


@pytest.mark.parametrize("client", CLIENTS)
def test_unknown_authority_is_named_with_remedy(client: str, server: ScriptedServer) -> None:
    expected = DeliveryError if client == "endpoint" else ConfigError
    with pytest.raises(expected, match=r"certificate .*set SSL_CERT_FILE to a PEM file"):
        CLIENTS[client](server)
    assert server.requests == []


@pytest.mark.parametrize("client", CLIENTS)
def test_missing_bundle_is_config_error(
    client: str, server: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(ConfigError, match=r"SSL_CERT_FILE names '.*none\.pem', which does not exist"):
        CLIENTS[client](server)


def test_directory_of_authorities_is_left_to_the_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path))
    assert ca_bundle() == str(tmp_path)
    assert ca_certificates() is None
