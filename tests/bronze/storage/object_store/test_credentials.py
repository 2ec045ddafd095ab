"""Credentials: where they are found, that they are used, and what a person reads when they are missing."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from bronze.errors import AccessDeniedError, ConfigError
from bronze.storage.location import StorageLocation
from bronze.storage.object_store.store import ObjectStore
from tests.support.scripted_server import Answer, Request, ScriptedServer, running_server

pytestmark = pytest.mark.timeout(60)
OBJECT = Answer(headers={"ETag": '"x"', "Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT"})


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No credentials anywhere."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    for name in (
        "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_REGION",
        "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "GOOGLE_APPLICATION_CREDENTIALS", "STORAGE_EMULATOR_HOST",
        "AWS_EC2_METADATA_DISABLED",
    ):  # fmt: skip
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CLOUDSDK_CONFIG", str(tmp_path))
    monkeypatch.setenv("NO_GCE_CHECK", "true")
    monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1/")


@pytest.fixture
def service() -> Iterator[ScriptedServer]:
    with running_server(lambda _: OBJECT) as server:
        yield server


def write_profiles(home: Path) -> None:
    (home / ".aws").mkdir()
    (home / ".aws" / "credentials").write_text(
        "[default]\naws_access_key_id = AKIADEFAULT\naws_secret_access_key = a\n"
        "[other]\naws_access_key_id = AKIAOTHER\naws_secret_access_key = b\naws_session_token = t\n"
    )
    (home / ".aws" / "config").write_text("[profile other]\nregion = eu-west-9\n")


@pytest.mark.parametrize(
    ("profile", "key", "region"), [(None, "AKIADEFAULT", "us-east-1"), ("other", "AKIAOTHER", "eu-west-9")]
)
def test_profiles_of_aws_files_are_used(
    profile: str | None, key: str, region: str, service: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profiles(tmp_path)
    if profile:
        monkeypatch.setenv("AWS_PROFILE", profile)
    store = ObjectStore(StorageLocation("s3://bucket", endpoint=service.url), client_retries=0)
    assert store.size("a") == 0
    store.bucket.service.stated_digest("a")
    assert len(service.requests) == 2  # by obstore and by boto3
    for request in service.requests:
        assert f"Credential={key}/" in request.headers["authorization"]
        assert f"/{region}/s3/" in request.headers["authorization"]
        assert request.headers.get("x-amz-security-token") == ("t" if profile else None)


def test_expiring_credentials_are_refreshed(
    service: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = tmp_path / "asked"
    program = tmp_path / "credentials.sh"
    expiry = (datetime.now(UTC) + timedelta(minutes=2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    program.write_text(
        f"#!/bin/sh\necho x >> {asked}\nn=$(wc -l < {asked})\n"
        f'echo "{{\\"Version\\": 1, \\"AccessKeyId\\": \\"AKIA$n\\", \\"SecretAccessKey\\": \\"s\\",'
        f' \\"SessionToken\\": \\"t\\", \\"Expiration\\": \\"{expiry}\\"}}"\n'
    )
    program.chmod(0o700)
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "config").write_text(f"[default]\ncredential_process = {program}\n")
    monkeypatch.setattr("bronze.storage.object_store.credentials._VALIDITY", timedelta(seconds=1))
    store = ObjectStore(StorageLocation("s3://bucket", endpoint=service.url), client_retries=0)
    used: set[str] = set()
    deadline = time.monotonic() + 30
    while len(used) < 2 and time.monotonic() < deadline:  # the client asks at most ten times in a second
        store.size("a")
        used.add(service.requests[-1].headers["authorization"].split("Credential=")[1].split("/")[0])
    assert len(used) == 2


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        ({}, "no AWS credentials were found: looked in AWS_ACCESS_KEY_ID and .*, in the profile default of "),
        ({"AWS_PROFILE": "nope"}, r"AWS credentials cannot be used: The config profile \(nope\) could not be found; "),
        ({"AWS_ACCESS_KEY_ID": "x"}, "missing: AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_missing_aws_credentials_are_config_error(
    variables: dict[str, str], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigError, match=f"^s3://bucket/p: .*{message}") as caught:
        ObjectStore(StorageLocation("s3://bucket/p"))
    assert "`anonymous: true`" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_hanging_metadata_service_is_left_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def hang(_: Request) -> Answer:
        ended.wait(50)
        return Answer(500)

    with running_server(hang) as service:
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", f"{service.url}/")
        started = time.monotonic()
        with pytest.raises(ConfigError, match=r"no AWS credentials were found: looked in .*metadata service"):
            ObjectStore(StorageLocation("s3://bucket"))
        ended.set()
        assert service.requests
        assert time.monotonic() - started < 30


EXTERNAL = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/x",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "credential_source": {"file": "{directory}/subject"},
    "token_url": "https://sts.googleapis.com/v1/token",
}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "was not found"),
        ("{", "is not a valid json file"),
        (json.dumps({"type": "unheard_of"}), "unheard_of"),
        (json.dumps({"type": "service_account"}), "client_email|token_uri|fields"),
        (json.dumps(EXTERNAL), "subject.* was not found"),
        (json.dumps({"type": "impersonated_service_account", "source_credentials": {}}), ""),
    ],
)
def test_unusable_google_file_is_config_error(
    content: str | None, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "key.json"
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    if content is not None:
        file.write_text(content.replace("{directory}", str(tmp_path)))
    with pytest.raises(
        ConfigError, match=f"^gs://bucket/p: Google credentials cannot be used: .*({message})"
    ) as caught:
        ObjectStore(StorageLocation("gs://bucket/p"))
    assert f"(GOOGLE_APPLICATION_CREDENTIALS is '{file}')" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_google_credentials_are_config_error() -> None:
    with pytest.raises(ConfigError, match=r"credentials were not found.*; set GOOGLE_APPLICATION_CREDENTIALS"):
        ObjectStore(StorageLocation("gs://bucket"))


@pytest.fixture
def google() -> Iterator[ScriptedServer]:
    """Answers requests for tokens (the second one for an impersonated account), and has every object."""

    def answer(request: Request) -> Answer:
        later = (datetime.now(UTC) + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        if request.path == "/token":
            return Answer(body=json.dumps({"access_token": "first", "expires_in": 3600}).encode())
        if request.path.endswith(":generateAccessToken"):
            return Answer(body=json.dumps({"accessToken": "second", "expireTime": later}).encode())
        return Answer(headers={**OBJECT.headers, "x-goog-hash": "crc32c=AAAAAA=="})

    with running_server(answer) as server:
        yield server


def test_external_account_is_used(google: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "subject").write_text("subject-token")
    file = tmp_path / "key.json"
    text = json.dumps({**EXTERNAL, "token_url": f"{google.url}/token"})
    file.write_text(text.replace("{directory}", str(tmp_path)))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    assert_used(google, "first")


def test_impersonated_service_account_is_used(
    google: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    source = {
        "type": "service_account",
        "client_email": "source@p.iam.gserviceaccount.com",
        "private_key": key.decode(),
        "private_key_id": "k",
        "token_uri": f"{google.url}/token",
    }
    account = "a@p.iam.gserviceaccount.com"
    file = tmp_path / "key.json"
    impersonation = f"{google.url}/v1/serviceAccounts/{account}:generateAccessToken"
    text = {"type": "impersonated_service_account", "service_account_impersonation_url": impersonation}
    file.write_text(json.dumps({**text, "source_credentials": source}))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(file))
    # The library asks Google, whatever the file says.
    monkeypatch.setattr("google.auth.iam._IAM_ENDPOINT", f"{google.url}/v1/{{}}:generateAccessToken")
    assert_used(google, "second")


def assert_used(google: ScriptedServer, token: str) -> None:
    store = ObjectStore(StorageLocation("gs://bucket", endpoint=google.url), client_retries=0)
    assert store.size("a") == 0
    store.bucket.service.stated_digest("a")
    used = [request.headers["authorization"] for request in google.requests if request.path == "/bucket/a"]
    assert used == [f"Bearer {token}"] * 2  # by obstore and by this project's own requests


def test_netrc_is_not_read(google: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login someone password hunter2\n")
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", google.url)
    ObjectStore(StorageLocation("gs://bucket")).bucket.service.stated_digest("a")
    assert google.requests[-1].headers["authorization"] == "Bearer emulator"
    monkeypatch.delenv("STORAGE_EMULATOR_HOST")
    anonymous = ObjectStore(StorageLocation("gs://bucket", endpoint=google.url, anonymous=True))
    anonymous.bucket.service.stated_digest("a")
    assert "authorization" not in google.requests[-1].headers


@pytest.mark.parametrize("value", ["not a url", "minio:9000", "http://[bad", "ftp://host", "http://", "http://h:99999"])
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "STORAGE_EMULATOR_HOST"])
def test_invalid_endpoint_of_environment_is_config_error(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if (variable, value) == ("STORAGE_EMULATOR_HOST", "minio:9000"):
        value = "minio:port"
    monkeypatch.setenv(variable, value)
    with pytest.raises(ConfigError, match=rf"^the environment variable {variable} is .*, but must be http"):
        ObjectStore(StorageLocation("gs://bucket" if variable.startswith("STORAGE") else "s3://bucket"))


def test_refused_refresh_is_access_denied(service: ScriptedServer, tmp_path: Path) -> None:
    """Credentials that were found when the store was opened, and are withdrawn later."""
    write_profiles(tmp_path)
    store = ObjectStore(StorageLocation("s3://bucket", endpoint=service.url), client_retries=0)

    class Gone:
        refresh_needed = True

        def get_frozen_credentials(self) -> object:
            raise ValueError("token \x1b[2J expired")

    provider = store.bucket.service._credentials  # type: ignore[attr-defined]
    known, provider._credentials = provider._credentials, Gone()
    try:
        with pytest.raises(AccessDeniedError, match="expired") as caught:
            store.read("a")
        assert str(caught.value).isprintable()
    finally:
        provider._credentials = known
