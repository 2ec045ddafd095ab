"""Translation of client and service errors: the class, the message, and that no secret is shown."""

from __future__ import annotations

import pytest
from obstore.exceptions import AlreadyExistsError, GenericError, PermissionDeniedError, PreconditionError

from bronze.errors import (
    AccessDeniedError,
    BronzeError,
    ConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    StateError,
    StoreError,
    UnreachableError,
)
from bronze.storage.object_store.errors import (
    client_error,
    client_gave_up,
    redacted_message,
    response_error,
    translated,
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (FileNotFoundError("x"), ObjectNotFoundError),
        (AlreadyExistsError("x"), ObjectExistsError),
        (PreconditionError("x"), ObjectExistsError),
        (PermissionDeniedError("x"), AccessDeniedError),
        (GenericError("status code: 403 Forbidden"), AccessDeniedError),
        (GenericError("status code: 503"), UnreachableError),
        (GenericError("status code: 429"), UnreachableError),
        (GenericError("status code: 501"), StoreError),
        (GenericError("status code: 400"), StoreError),
        (GenericError("HTTP error: error sending request"), UnreachableError),
        (GenericError("the answer makes no sense"), StoreError),
        (FileNotFoundError("<Code>NoSuchBucket</Code>"), ConfigError),
        (PreconditionError("<Code>ConditionalRequestConflict</Code>"), StoreError),
        (OSError("connection reset"), UnreachableError),
        (StateError("own"), StateError),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else str(value),
)
def test_client_error_is_translated(error: Exception, expected: type[BronzeError]) -> None:
    assert type(client_error(error, "s3://bucket/a")) is expected


def test_translated_error_keeps_no_client_error() -> None:
    def fail() -> None:
        raise GenericError("status code: 503")

    with pytest.raises(StoreError, match=r"^s3://bucket/a: status code: 503$") as caught:
        translated("s3://bucket/a", fail)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (404, ObjectNotFoundError),
        (401, AccessDeniedError),
        (403, AccessDeniedError),
        (503, UnreachableError),
        (400, StoreError),
        (None, StoreError),
    ],
)
def test_response_error_follows_the_status(status: int | None, expected: type[StoreError]) -> None:
    error = response_error("gs://bucket", "list unfinished uploads", status, "the answer")
    assert type(error) is expected
    assert str(error).startswith("gs://bucket: cannot list unfinished uploads: ")


def test_message_hides_secrets_and_is_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI")
    shown = redacted_message(
        "error at https://host/x?X-Amz-Signature=abcdef for wJalrXUtnFEMI" + " word" * 200 + "\n\nDebug source: y"
    )
    assert not [secret for secret in ("abcdef", "wJalrXUtnFEMI", "Debug") if secret in shown]
    assert len(shown) == 300


@pytest.mark.parametrize(("text", "expected"), [("after 10 retries, max_retries: 10", True), ("503", False)])
def test_client_that_gave_up_is_recognized(text: str, expected: bool) -> None:
    assert client_gave_up(StoreError(text)) == expected
