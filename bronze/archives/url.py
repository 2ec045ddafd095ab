"""Which URLs name a history archive."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from bronze.errors import ConfigError
from bronze.storage.location import StorageLocation

_STORES = ("s3://", "gs://", "file://")
#: White space, a query, a fragment, backslashes, what is not plain ASCII, and segments that lead upwards.
_NOT_PLAIN = re.compile(r"[?#\\]|[^\x21-\x7e]|(?:^|/)\.\.?(?:/|$)")


def check_archive_url(url: str) -> str:
    """The URL of an archive, without a slash at its end.

    >>> check_archive_url("https://history.stellar.org/prd/core-testnet/core_testnet_001/")
    'https://history.stellar.org/prd/core-testnet/core_testnet_001'

    Raises:
        ConfigError: it is not the URL of one, or has credentials, a query or a fragment.
    """
    if url.startswith(_STORES):
        StorageLocation(url)
    elif not is_http(url):
        raise ConfigError(
            "must be the URL of a history archive: https://host/path, http://host/path, s3://bucket/prefix,"
            " gs://bucket/prefix or file:///path, without credentials, query and fragment"
        )
    return url.rstrip("/")


def is_http(url: str) -> bool:
    """Whether it is a plain HTTP or HTTPS URL, without credentials, query and fragment."""
    try:
        parts = urlsplit(url)
        is_host = bool(parts.hostname) and parts.port != 0  # asking for the port raises when it is no number
    except ValueError:
        return False
    is_plain = "@" not in parts.netloc and not _NOT_PLAIN.search(url.partition("://")[2])
    return parts.scheme in ("http", "https") and is_host and is_plain
