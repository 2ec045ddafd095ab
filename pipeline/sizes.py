"""Numbers for people."""

from __future__ import annotations

from datetime import UTC, datetime


def format_size(count: float) -> str:
    """`count` bytes in the decimal unit that fits: ``999 B``, ``1.5 MB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def number_of(count: int, noun: str) -> str:
    """``1 ledger``, ``1,200 ledgers``."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def format_time(seconds: float) -> str:
    """The time `seconds` after 1970, in UTC; whatever a file states as one.

    >>> format_time(1700000205), format_time(2**62)
    ('2023-11-14T22:16:45Z', '4611686018427387904 s after 1970')
    """
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{round(seconds)} s after 1970"


def format_rate(per_second: float) -> str:
    """``1,204``, and ``0.4`` where there are few.

    >>> format_rate(1204.4), format_rate(0.42), format_rate(0)
    ('1,204', '0.4', '0')
    """
    return f"{per_second:.1f}" if 0 < per_second < 9.95 else f"{per_second:,.0f}"
