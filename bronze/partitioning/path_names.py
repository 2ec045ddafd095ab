"""Names that become one segment of a path or of an object key: networks, eras, version labels, tables.

>>> is_plain_segment("pre_p23"), is_plain_segment("../etc"), is_plain_segment(".hidden")
(True, False, False)
"""

from __future__ import annotations

import re

from bronze.errors import ConfigError

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")

#: The rule in words, for error messages.
SEGMENT_RULE = "letters, digits, '.', '_' and '-', beginning with a letter or digit, at most 128 characters"


def is_plain_segment(name: str) -> bool:
    """Whether `name` is exactly one segment of a path or an object key, whatever the store makes of keys."""
    return _PLAIN.fullmatch(name) is not None


def checked_segment(name: str, what: str) -> str:
    """Return `name`.

    Args:
        what: what the name is of, for the error message.

    Raises:
        ConfigError: it is not a plain path segment.
    """
    if not is_plain_segment(name):
        raise ConfigError(f"{what} {name!r} is not a plain path segment: allowed are {SEGMENT_RULE}")
    return name
