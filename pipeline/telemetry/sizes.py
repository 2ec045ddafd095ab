"""Numbers of bytes for people."""

from __future__ import annotations


def format_size(count: float) -> str:
    """`count` bytes in the decimal unit that fits: ``999 B``, ``1.5 MB``."""
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
