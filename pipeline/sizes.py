"""Numbers for people."""

from __future__ import annotations


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
