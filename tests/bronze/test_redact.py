"""Redaction: what is masked, and what is left unchanged."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.redact import MASK, clean, printable, redact, secrets_in

SECRET = "hunter2x"


@pytest.mark.parametrize(
    "text",
    [
        f"postgresql://user:{SECRET}@host/db",
        f"postgres://user:{SECRET}@host:5432/db?sslmode=require",
        f"postgresql://user:p@ss/{SECRET}@host/db",  # an unescaped @ and / inside the password
        f"postgresql://user@host/db?password={SECRET}",
        f"host=h password={SECRET} dbname=d",
        f"host=h password = '{SECRET} \\' x' dbname=d",  # quoted, with a blank and a quote in it
        f"host=h password='{SECRET}",  # the quote never ends
        f"PASSWORD={SECRET}",
        f"https://user:{SECRET}@host/path",
        f"https://{SECRET}@host/path",  # a token in the place of the user
        f"https://host/events?token={SECRET}&x=1",
        f"https://host/events?x=1&api_key={SECRET}",
        f"https://host/o?X-Amz-Signature={SECRET}",
        f'{{"password": "{SECRET}"}}',
        f"Authorization: Bearer {SECRET}",
        f"'authorization': 'AWS4-HMAC-SHA256 Credential=x, Signature={SECRET}'",
        f"<AWSAccessKeyId>{SECRET}</AWSAccessKeyId>",
        f"<StringToSign>a\n{SECRET}</StringToSign>",  # what an S3 server says about a bad signature
        f"<StringToSign>{SECRET}",  # cut off
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
    ],
)
def test_secret_is_masked(text: str) -> None:
    assert SECRET not in redact(text)
    assert MASK in redact(text)
    assert redact(redact(text)) == redact(text)


def test_access_key_id_is_masked() -> None:
    assert redact("the key AKIAIOSFODNN7EXAMPLE is not known") == f"the key {MASK} is not known"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        # the user and the place of a connection are worth knowing
        ("postgresql://user:x1@host/db", "postgresql://user:***@host/db"),
        ("host=h password=x1 dbname=d", "host=h password=*** dbname=d"),
        ("https://h/p?token=x1&y=2", "https://h/p?token=***&y=2"),
    ],
)
def test_everything_but_the_secret_is_kept(text: str, shown: str) -> None:
    assert redact(text) == shown


@pytest.mark.parametrize(
    "text",
    [
        "postgresql://user@host/db",  # a user is no secret
        "http://localhost:9000/bucket/a@b",  # a port, and an @ of the path
        'FATAL: password authentication failed for user "x"',
        "{'network_passphrase': 'Public Global Stellar Network ; September 2015'}",  # public knowledge
        "partition_key=3 range=0-9",
        "s3://bucket/prefix",
    ],
)
def test_text_without_secret_is_unchanged(text: str) -> None:
    assert redact(text) == text


def test_known_secret_is_masked_anywhere() -> None:
    assert redact("could not translate host name correct-horse", ["correct-horse"]).endswith(MASK)


def test_very_short_known_secret_is_ignored() -> None:
    assert redact("a partition", ["a"]) == "a partition"


def test_short_known_secret_is_masked_as_a_word() -> None:
    assert redact("a partition of a/b", ["a"], short=True) == "*** partition of ***/b"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, \u00fcber, \u65e5\u672c", "plain text, \u00fcber, \u65e5\u672c"),
        ("\x1b[31mred\x07\x00", r"\x1b[31mred\x07\x00"),
        ("\x9b31m \x7f", r"\x9b31m \x7f"),
        ("a\u202eb\u2028c\u200d", r"a\u202eb\u2028c\u200d"),
        ("\udc80", r"\udc80"),
        ("a\nb\tc", r"a\nb\tc"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_kept_control_characters_stay() -> None:
    assert printable("a\nb\tc\r", keep="\n\t") == "a\nb\tc\\r"


def test_cleaned_text_is_one_line_without_secrets() -> None:
    assert clean(f"x\r\n  password={SECRET}\x1b[0m y", [SECRET]) == "x password=*** y"


@given(st.text(max_size=200))
def test_cleaned_text_is_printable(text: str) -> None:
    assert clean(text).isprintable()


def test_secrets_are_found_quoted_and_unquoted() -> None:
    assert secrets_in("postgresql://u:p%40ss@h/d") == {"p%40ss", "p@ss"}
    assert "it's" in secrets_in(r"host=h password='it\'s'")


@given(st.text(alphabet="ab:/@?&=='\"<> \n-", max_size=200))
def test_redaction_of_any_text_is_idempotent(text: str) -> None:
    assert redact(redact(text)) == redact(text)


@pytest.mark.timeout(10)
@pytest.mark.parametrize("piece", ["a://", "password=", "a.b", "?a", "<Signature>", "://a:", "'"])
def test_redaction_takes_linear_time(piece: str) -> None:
    redact(piece * 20_000)
