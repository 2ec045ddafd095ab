"""Failures of a single file: reported as its problem, so that the other files are still checked."""

from __future__ import annotations

from bronze.errors import (
    AccessDeniedError,
    DataError,
    NotAnObjectError,
    ObjectNotFoundError,
    ObjectTooLargeError,
)

#: A store that does not answer at all ends the verification instead.
SINGLE_FILE_ERRORS = (
    DataError,
    OSError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    NotAnObjectError,
    AccessDeniedError,
)


def problem_of(error: Exception, url: str) -> str:
    """`error` as a problem of the object at `url`; data errors name their object themselves."""
    return str(error) if isinstance(error, DataError) else f"{url} cannot be read: {error}"
