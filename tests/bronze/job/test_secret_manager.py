"""Secrets in Secret Manager: read over HTTP from a stand-in of its REST API, once, and shown nowhere."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator

import pytest
from google.auth.credentials import AnonymousCredentials
from google.cloud.secretmanager_v1 import SecretManagerServiceClient
from google.cloud.secretmanager_v1.services.secret_manager_service.transports.rest import (
    SecretManagerServiceRestTransport,
)

from bronze.errors import ConfigError
from bronze.job import secret_manager
from bronze.job.connections import Connections
from bronze.job.secrets import Secrets
from tests.support.http_server import RequestHandler, Server
from tests.transforms.conftest import make_job

DSN = "postgresql://me:hunter2@db/catalog"
VERSION = "projects/p1/secrets/dsn/versions/3"


class SecretServer(Server):
    """Answers as the service does; `secrets` by the names of their versions."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.secrets: dict[str, bytes] = {VERSION: DSN.encode()}
        self.asked: list[str] = []


class _Handler(RequestHandler):
    server: SecretServer

    def handle_request(self) -> None:
        name = self.path.partition("?")[0].removeprefix("/v1/").removesuffix(":access")
        self.server.asked.append(name)
        data = self.server.secrets.get(name)
        if data is None:
            status, answer = 404, {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
        else:
            status, answer = 200, {"name": name, "payload": {"data": base64.b64encode(data).decode()}}
        self.reply_json(status, answer)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[SecretServer]:
    with SecretServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=[0.05])
        thread.start()

        def client() -> SecretManagerServiceClient:
            host = f"127.0.0.1:{server.server_address[1]}"
            transport = SecretManagerServiceRestTransport(
                host=host, url_scheme="http", credentials=AnonymousCredentials()
            )
            return SecretManagerServiceClient(transport=transport)

        monkeypatch.setattr(secret_manager, "open_client", client)
        secret_manager.read_secret.cache_clear()
        yield server
        secret_manager.read_secret.cache_clear()
        server.shutdown()
        thread.join()


def test_worker_reads_named_secrets_once(service: SecretServer) -> None:
    service.secrets["projects/p1/secrets/pas/versions/latest"] = b"https://me:hunter3@pas/events\n"
    for _ in range(2):
        found = Secrets.for_worker("a", dsn_secret=VERSION, endpoint_secret="projects/p1/secrets/pas/versions/latest")
        assert (found.dsn, found.endpoint) == (DSN, "https://me:hunter3@pas/events")
    assert service.asked == [VERSION, "projects/p1/secrets/pas/versions/latest"]


def test_held_and_stated_secrets_come_first(service: SecretServer, monkeypatch: pytest.MonkeyPatch) -> None:
    with Secrets(dsn="held").held_for("a"):
        assert Secrets.for_worker("a", dsn_secret=VERSION).dsn == "held"
    monkeypatch.setenv("BRONZE_WORKER_CATALOG_DSN", "stated")
    assert Secrets.for_worker("a", dsn_secret=VERSION).dsn == "stated"
    assert service.asked == []


@pytest.mark.parametrize("content", [None, b"", b"  ", b"\xff\xfe", b"x" * 20_000], ids=str)
def test_unusable_secret_is_named_not_shown(content: bytes | None, service: SecretServer) -> None:
    service.secrets = {} if content is None else {VERSION: content}
    with pytest.raises(ConfigError, match=VERSION) as raised:
        secret_manager.read_secret(VERSION)
    assert "xxx" not in str(raised.value)


def test_connections_of_worker_use_named_secret(service: SecretServer, tmp_path: object) -> None:
    job = make_job(tmp_path, chain={"has_catalog": True, "dsn_secret": VERSION})  # type: ignore[arg-type]
    assert Connections.of_worker(job).secrets.dsn == DSN
    assert "hunter" not in repr(job)
    service.secrets = {}
    secret_manager.read_secret.cache_clear()
    with pytest.raises(ConfigError, match="secretAccessor"):
        Connections.of_worker(job)
