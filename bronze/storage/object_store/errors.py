"""What an object store's client raises, as errors of this project that hold no secret; and waiting between attempts."""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from obstore.exceptions import (
    AlreadyExistsError,
    BaseError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from bronze.errors import (
    AccessDeniedError,
    BronzeError,
    ConfigError,
    ObjectExistsError,
    ObjectNotFoundError,
    StoreError,
    is_transient,
)
from bronze.redact import redact

#: How often a request is sent in all that must not be repeated blindly, and the waits in between (seconds).
ATTEMPTS = 8
FIRST_WAIT = 0.1
LONGEST_WAIT = 10.0

#: Characters of an answer that are shown, and that are looked at.
_SHOWN, _LOOKED_AT = 300, 20_000
_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_BEARER_TOKEN")
_DENIED = re.compile(r"status code: 40[13]\b")
#: The condition was not looked at, for another request was under way.
_CONFLICT = re.compile(r"<Code>(?:ConditionalRequestConflict|OperationAborted)</Code>")

Result = TypeVar("Result")


def call(where: str, function: Callable[[], Result]) -> Result:
    """Call the client; raise what it raises as an error of this project that begins with `where`."""
    try:
        return function()
    except (BaseError, OSError, ValueError) as error:
        failure = failure_of(error, where)
    # Out here, so that the client's error, with all that the server said, is not kept as this one's context.
    raise failure


def failure_of(error: Exception, where: str) -> BronzeError:
    """The error of this project that says what the client's `error` says."""
    if isinstance(error, BronzeError):
        return error
    text = str(error)[:_LOOKED_AT]
    shown = f"{where}: {shown_text(text)}"
    if "<Code>NoSuchBucket</Code>" in text:
        return ConfigError(f"{where}: the bucket does not exist")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or _DENIED.search(text):
        return AccessDeniedError(shown)
    if _CONFLICT.search(text):
        return StoreError(shown)
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(f"{where} does not exist")
    if isinstance(error, (AlreadyExistsError, PreconditionError)):
        return ObjectExistsError(f"{where} exists already, or has changed")
    return StoreError(shown)


def shown_text(text: str) -> str:
    """What a client or server said, short and without secrets."""
    # The URL says nothing new, and may hold a signature.
    head = re.sub(r" https?://[^\s<]+", "", text.partition("\n\nDebug source")[0])
    secrets = [os.environ.get(name, "") for name in _SECRET_VARIABLES]
    return " ".join(redact(head, secrets).split())[:_SHOWN]


def gave_up_after_retries(error: StoreError) -> bool:
    """Whether the client itself had repeated the request as often, or as long, as it may."""
    return "max_retries" in str(error)


def attempts(most: int = ATTEMPTS) -> Iterator[int]:
    """Count from 0 to `most` - 1, with a pause before each but the first."""
    for number in range(most):
        if number:
            pause(number)
        yield number


def repeated(function: Callable[[], Result], is_retryable: Callable[[StoreError], bool] = is_transient) -> Result:
    """Call `function` until it succeeds, fails in a way that does not pass, or has failed `ATTEMPTS` times."""
    for attempt in attempts():
        try:
            return function()
        except StoreError as error:
            if not is_retryable(error) or attempt == ATTEMPTS - 1:
                raise
    raise AssertionError("the last attempt returns or raises")


def pause(failures: int) -> None:
    """Wait for a random time that may double with each failure (from 1 on)."""
    time.sleep(random.uniform(0, min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT)))
