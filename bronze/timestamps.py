"""Times as the formats write them: RFC 3339 in UTC, trailing zeros of the fraction dropped."""

from __future__ import annotations

import time
from datetime import UTC, datetime


def rfc3339(nanoseconds: int | None = None) -> str:
    """Nanoseconds since 1970 as ``2026-11-20T17:25:23.958408739Z``; now when None.

    The fraction is what Go's time.RFC3339Nano writes: without trailing zeros, none at all when it is 0.
    """
    seconds, fraction = divmod(time.time_ns() if nanoseconds is None else nanoseconds, 1_000_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    digits = f"{fraction:09d}".rstrip("0")
    return f"{text}.{digits}Z" if digits else f"{text}Z"
