"""Names that become path segments: networks, eras, version labels, tables."""

from __future__ import annotations

import re

from bronze.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

#: What a plain segment is, in words, for error messages.
ALLOWED = "letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128 characters"


def is_plain_segment(name: str) -> bool:
    """Whether `name` can be one segment of a path or an object key and nothing else."""
    return _PLAIN.fullmatch(name) is not None


def plain_segment(name: str, what: str) -> str:
    """Return `name`, or raise `ConfigError` when it is not a plain path segment."""
    if not is_plain_segment(name):
        raise ConfigError(f"{what} {name!r} is not a plain path segment: allowed are {ALLOWED}")
    return name
