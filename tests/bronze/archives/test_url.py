"""URLs of archives: what names one, and what does not."""

from __future__ import annotations

import pytest

from bronze.archives.url import check_archive_url
from bronze.errors import ConfigError


@pytest.mark.parametrize(
    ("url", "checked"),
    [
        ("https://history.stellar.org/prd/core-live/core_live_001", None),
        (
            "https://history.stellar.org/prd/core-live/core_live_001/",
            "https://history.stellar.org/prd/core-live/core_live_001",
        ),
        ("http://127.0.0.1:8000", None),
        ("http://[::1]:8000/a", None),
        ("s3://history-bucket/prd/core", None),
        ("gs://history-bucket", None),
        ("file:///srv/archive", None),
    ],
)
def test_archive_url_is_accepted(url: str, checked: str | None) -> None:
    assert check_archive_url(url) == (checked or url)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/srv/archive",
        "srv/archive",
        "ftp://host/a",
        "https://",
        "https:///a",
        "https://user:secret@host/a",
        "https://host/a?token=secret",
        "https://host/a#b",
        "https://host/a b",
        "https://host/../a",
        "https://host:port/a",
        "https://host:0/a",
        "https://[x/a",
        "https://host/\x00",
        "s3://x",
        "s3://bucket/../a",
        "s3://bucket/a?b",
        "file://host/a",
        "file:///a/../b",
    ],
)
def test_other_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as refused:
        check_archive_url(url)
    assert "secret" not in str(refused.value)
