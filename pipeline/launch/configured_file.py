"""Reads a file that the settings, or an option, name: a regular one, and no more of it than it may have."""

from __future__ import annotations

import os
import stat

from bronze.errors import ConfigError


def read_configured_file(path: str, name: str, max_bytes: int) -> bytes:
    """The content of the file at `path`.

    Args:
        name: what names the file, and the file, for messages.

    Raises:
        ConfigError: it cannot be read, is no regular file (at a pipe this would wait, a device has no end), or has more
            than `max_bytes`.
    """
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ConfigError(f"{name} is not a regular file")
            with os.fdopen(handle, "rb", closefd=False) as file:
                content = file.read(max_bytes + 1)
        finally:
            os.close(handle)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise ConfigError(f"{name} cannot be read: {reason}") from error
    if len(content) > max_bytes:
        raise ConfigError(f"{name} has more than {max_bytes >> 20} MiB")
    return content
