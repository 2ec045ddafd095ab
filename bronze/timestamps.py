"""Timestamps as manifests, events and checkpoints hold them: RFC 3339 in UTC."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def rfc3339(nanoseconds: int | None = None) -> str:
    """Format a time as Go's ``time.RFC3339Nano`` does: the fraction without trailing zeros, none when it is 0.

    >>> rfc3339(1_500_000_000)
    '1970-01-01T00:00:01.5Z'
    >>> rfc3339(2_000_000_000)
    '1970-01-01T00:00:02Z'

    Args:
        nanoseconds: since 1970-01-01T00:00:00Z; None: the present time.
    """
    seconds, fraction = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"


def seconds_of(text: str) -> float | None:
    """The seconds since 1970 of an RFC 3339 time; None when `text` is not one, or states no zone.

    >>> seconds_of("1970-01-01T00:00:01.5Z"), seconds_of("yesterday"), seconds_of("1970-01-01T00:00:01")
    (1.5, None, None)
    """
    try:
        time = datetime.fromisoformat(text)
        return time.astimezone(UTC).timestamp() if time.tzinfo else None
    except (ValueError, OverflowError):  # OverflowError: in UTC its year is 0 or 10000
        return None


def is_later(time: str, than: str) -> bool:
    """Whether an RFC 3339 time is later than another one. False when either is not such a time, or states no zone.

    >>> is_later("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:00Z"), is_later("2026-01-01T00:00:00Z", "")
    (True, False)
    """
    try:
        return datetime.fromisoformat(time) > datetime.fromisoformat(than)
    except (TypeError, ValueError):  # TypeError: only one of them states a zone
        return False
