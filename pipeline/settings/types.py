"""The types of keys: each converts a text (or takes a value of its own type), or raises ValueError with what is
allowed.
"""

from __future__ import annotations

import re
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import BeforeValidator, SecretStr

from bronze.archives.url import check_archive_url
from bronze.errors import ConfigError
from bronze.partitioning.path_names import SEGMENT_RULE, is_plain_segment
from bronze.stellar import MAX_LEDGER

_TRUE = frozenset(("true", "yes", "on", "y", "1"))
_FALSE = frozenset(("false", "no", "off", "n", "0"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,220}[A-Za-z0-9]")
_ADDRESS = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]*):(?P<port>[0-9]{1,5})")
#: The genesis of the public network.
EXAMPLE_ANCHOR = "1:39c2a3cd4141b2853e70d84601faa44744660334b48f3228e0309342e3f4eb48"
EXAMPLE_ARCHIVE = "https://history.stellar.org/prd/core-live/core_live_001"
_ANCHOR = re.compile(r"([0-9]{1,10}):([0-9a-f]{64})")
_DSN_PAIR = r"[A-Za-z_]+\s*=\s*(?:'(?:\\.|[^'\\])*'|[^\s']\S*)?"
_DSN_PAIRS = re.compile(rf"\s*{_DSN_PAIR}(?:\s+{_DSN_PAIR})*\s*")


def integer(low: int, high: int, meaning: str = "") -> BeforeValidator:
    """An integer from `low` to `high` (inclusive), decimal or ``0x…``, optionally with ``_`` between digits.

    Args:
        meaning: the unit or a remark, for the message.
    """
    allowed = f"a whole number from {low} to {high}" + (f" ({meaning})" if meaning else "")

    def parse(value: object) -> int:
        if isinstance(value, str):
            try:
                value = int(value, 0)  # base 0 refuses a leading zero: is it octal or decimal?
            except ValueError:
                raise ValueError(f"must be {allowed}") from None
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"must be {allowed}")
        return value

    return BeforeValidator(parse)


def choice(*allowed: str, upper: bool = False, synonyms: dict[str, str] | None = None) -> BeforeValidator:
    """One of the words `allowed`, in upper or lower case.

    Args:
        upper: whether the words are normalised to upper case instead of lower case.
        synonyms: other words, to the allowed word that each stands for.
    """

    def parse(value: object) -> str:
        word = str(value).strip()
        word = word.upper() if upper else word.lower()
        word = (synonyms or {}).get(word, word)
        if word not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return word

    return BeforeValidator(parse)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    word = str(value).strip().lower()
    if word not in _TRUE | _FALSE:
        raise ValueError("must be true or false")
    return word in _TRUE


def _as_text(value: object) -> str:
    if isinstance(value, str) or type(value) is int:
        return str(value)
    raise ValueError("must be text")


def _text(value: object) -> str:
    text = _as_text(value)
    if _CONTROL.search(text):
        raise ValueError("must not contain control characters")
    return text


def _path_segment(value: object) -> str:
    text = _text(value)
    if not is_plain_segment(text):
        raise ValueError(f"must be a plain path segment: {SEGMENT_RULE}")
    return text


def _identity(value: object) -> str:
    text = _path_segment(value) if value != "" else ""
    if not text:
        raise ValueError(
            "is empty, and the default is not taken for that: give it a value (was a variable not set?) or leave it out"
        )
    return text


def _bucket_of(scheme: str) -> BeforeValidator:
    """The name of a bucket, or ``scheme://bucket/prefix``, which becomes ``bucket/prefix``."""

    def parse(value: object) -> str:
        text = _text(value)
        if text.startswith(f"{scheme}://"):
            return _bucket_and_prefix(text.removeprefix(f"{scheme}://"))
        if "://" in text:
            raise ValueError(f"must be the name of a bucket, or {scheme}://bucket/prefix")
        if "/" in text:
            raise ValueError("must be the name of a bucket: what follows the slash belongs in the prefix")
        if text and not _BUCKET.fullmatch(text):
            raise ValueError("must be the name of a bucket: 3 to 222 letters, digits, '.', '_' and '-'")
        return text

    return BeforeValidator(parse)


def _bucket_and_prefix(text: str) -> str:
    bucket, _, prefix = text.partition("/")
    if not _BUCKET.fullmatch(bucket):
        raise ValueError("must be bucket/prefix, beginning with the name of a bucket")
    return f"{bucket}/{_clean_prefix(prefix.lstrip('/'))}".rstrip("/")


def _clean_prefix(text: str) -> str:
    """The prefix without empty and ``.`` segments and with a slash at its end; an empty prefix stays empty."""
    if "://" in text:
        raise ValueError("must be a path, not a URL")
    if text.startswith("/") or "\\" in text or _CONTROL.search(text) or ".." in text.split("/"):
        raise ValueError("must be a relative path without '..', backslashes and control characters, such as bronze/")
    segments = [segment for segment in text.split("/") if segment not in ("", ".")]
    return "".join(f"{segment}/" for segment in segments)


def _prefix(value: object) -> str:
    return _clean_prefix(_as_text(value))


def _datastore_path(value: object) -> str:
    text = _text(value)
    scheme, separator, rest = text.partition("://")
    if not separator:
        return _bucket_and_prefix(text) if text else ""
    if scheme not in ("gs", "s3"):
        raise ValueError("must be bucket/prefix, gs://bucket/prefix or s3://bucket/prefix")
    return f"{scheme}://{_bucket_and_prefix(rest)}"


def _url(value: object) -> str:
    text = _text(value).strip()
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises when it is not a number
    except ValueError:
        raise ValueError("must be a URL, such as https://host:443/path") from None
    if text and (parts.scheme not in ("http", "https") or not parts.hostname or " " in text):
        raise ValueError("must be a URL with http:// or https:// and a host")
    return text


def _server_url(value: object) -> str:
    text = _url(value)
    if "@" in urlsplit(text).netloc:
        raise ValueError("must not contain credentials: give them as AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    return text


def is_dsn(text: str) -> bool:
    """Whether `text` has the shape of a PostgreSQL connection string: a URL, or ``key=value`` pairs."""
    if not text.startswith(("postgres://", "postgresql://")):
        return _DSN_PAIRS.fullmatch(text) is not None
    try:
        # Several hosts (`a:1,b:2`) are legal, but not a URL: only the port of a single host can be checked.
        parts = urlsplit(text)
        host = "," in parts.netloc or parts.port is None or parts.port > 0
    except ValueError:
        return False
    # An unescaped @ or / in the password: libpq would take a part of the password for the host, and show it in errors.
    return host and parts.netloc.count("@") <= 1 and "@" not in parts.path + parts.fragment


def _dsn(value: object) -> SecretStr:
    text = (value.get_secret_value() if isinstance(value, SecretStr) else _as_text(value)).strip()
    if text and (not is_dsn(text) or _CONTROL.search(text)):
        raise ValueError(
            "must be a connection string: postgresql://user:password@host:5432/database (special characters "
            "of the password written as %XX) or host=… dbname=… user=… password=…"
        )
    return SecretStr(text)


#: The name of a secret's version in Google's Secret Manager.
SECRET_VERSION = r"projects/[a-z0-9][a-z0-9:.-]{0,62}/secrets/[A-Za-z0-9_-]{1,255}/versions/(?:latest|[1-9][0-9]{0,9})"


def _secret_version(value: object) -> str:
    text = _text(value).strip()
    if text and not re.fullmatch(SECRET_VERSION, text):
        raise ValueError(
            "must be projects/PROJECT/secrets/NAME/versions/NUMBER (or latest), of Google's Secret Manager"
        )
    return text


def _address(value: object) -> str:
    text = _text(value)
    match = _ADDRESS.fullmatch(text)
    if not match or int(match["port"]) > 65535:
        raise ValueError("must be host:port or :port, with a port from 0 to 65535")
    return text


def _anchor(value: object) -> str:
    text = _as_text(value).strip().lower()
    match = _ANCHOR.fullmatch(text)
    if not match or not 1 <= int(match[1]) <= MAX_LEDGER:
        raise ValueError(f"must be a ledger and its hash in hex, such as {EXAMPLE_ANCHOR}")
    return text


def _archive_url(value: object) -> str:
    try:
        return check_archive_url(_text(value).strip())
    except ConfigError as error:
        raise ValueError(str(error)) from None


def _url_path(value: object) -> str:
    text = _text(value)
    if not text.startswith("/") or any(sign in text for sign in " ?#"):
        raise ValueError("must begin with / and contain no space, '?' or '#'")
    return text


Flag: TypeAlias = Annotated[bool, BeforeValidator(_flag)]
Text: TypeAlias = Annotated[str, BeforeValidator(_text)]
PathSegment: TypeAlias = Annotated[str, BeforeValidator(_path_segment)]
Identity: TypeAlias = Annotated[str, BeforeValidator(_identity)]
GcsBucket: TypeAlias = Annotated[str, _bucket_of("gs")]
S3Bucket: TypeAlias = Annotated[str, _bucket_of("s3")]
Prefix: TypeAlias = Annotated[str, BeforeValidator(_prefix)]
DatastorePath: TypeAlias = Annotated[str, BeforeValidator(_datastore_path)]
Url: TypeAlias = Annotated[str, BeforeValidator(_url)]
ServerUrl: TypeAlias = Annotated[str, BeforeValidator(_server_url)]
Dsn: TypeAlias = Annotated[SecretStr, BeforeValidator(_dsn)]
SecretVersion: TypeAlias = Annotated[str, BeforeValidator(_secret_version)]
Address: TypeAlias = Annotated[str, BeforeValidator(_address)]
Anchor: TypeAlias = Annotated[str, BeforeValidator(_anchor)]
ArchiveUrl: TypeAlias = Annotated[str, BeforeValidator(_archive_url)]
UrlPath: TypeAlias = Annotated[str, BeforeValidator(_url_path)]
Ledger: TypeAlias = Annotated[int, integer(0, MAX_LEDGER)]
LedgerCount: TypeAlias = Annotated[int, integer(1, MAX_LEDGER)]
