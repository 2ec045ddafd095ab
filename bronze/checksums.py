"""Checksums as manifests, events and chain files write them: ``sha256:`` and 64 lower-case hex digits."""

from __future__ import annotations

import re

CHECKSUM = re.compile(r"sha256:[0-9a-f]{64}")


def is_checksum(text: str) -> bool:
    """Whether `text` is exactly one checksum.

    >>> is_checksum("sha256:" + "0" * 64), is_checksum("sha256:" + "0" * 63)
    (True, False)
    """
    return CHECKSUM.fullmatch(text) is not None
