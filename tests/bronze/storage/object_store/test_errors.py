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


#: As obstore words it.
UNSENT = """Generic S3 error: Error performing GET http://me:hunter22@127.0.0.1:9/nope/x in 1.5s, after 10 retries, \
max_retries: 10, retry_timeout: 180s  - HTTP error: error sending request

Debug source:
Generic {{ source: RetryError( uri: Some( http://127.0.0.1:9/nope/x, ), inner: Http( {} ) ) }}"""


@pytest.mark.parametrize(
    ("details", "words"),
    [
        ('Os { code: 111, kind: ConnectionRefused, message: "Connection refused" }', "Connection refused"),
        ('Custom { error: "failed to lookup address information" }', "failed to lookup address information"),
    ],
)
def test_silence_names_service_and_reason(details: str, words: str) -> None:
    error = client_error(GenericError(UNSENT.format(details)), "s3://bucket/a")
    assert type(error) is UnreachableError
    assert str(error) == f"s3://bucket/a: http://127.0.0.1:9 does not answer: {words}, after 10 retries"


def test_silence_without_reason_keeps_clients_words() -> None:
    error = client_error(GenericError(UNSENT.format("TimedOut")), "s3://bucket/a")
    assert (type(error), "error sending request" in str(error)) == (UnreachableError, True)


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
