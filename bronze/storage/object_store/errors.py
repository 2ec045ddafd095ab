"""Translation of errors: what clients raise and services answer, as errors of this project that hold no secret."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

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
    UnreachableError,
)
from bronze.redact import clean
from bronze.storage.certificates import REMEDY, is_certificate_error
from bronze.storage.object_store.redirects import (
    NO_PROXY_THERE,
    look_up_address,
    new_address,
    stated_region,
)

#: Characters of an answer that are shown, and that are searched.
_MAX_SHOWN, _MAX_SEARCHED = 300, 20_000
_SECRET_VARIABLES = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_BEARER_TOKEN")
_DENIED = re.compile(r"status code: 40[13]\b")
_REDIRECT = re.compile(r"status code: 30[1278]\b|redirect without LOCATION")
#: What clients say of an answer, and of a request that got none.
_STATUS = re.compile(r"status code: (\d{3})\b")
_NO_ANSWER = re.compile(
    r"error sending request|HTTP error|connect|timed? ?out|time ?limit|reset|refused|resol|closed|cut off|not complete",
    re.IGNORECASE,
)
#: Statuses below 500 that pass: the request took too long, or there were too many.
_PASSING = frozenset({408, 425, 429})
_NOT_IMPLEMENTED = 501
#: The request that the client's message names.
_REQUEST = re.compile(r"\bperforming [A-Z]+ (https?://\S+)")
#: What it says when there is no connection, and in its details why.
_UNSENT = "error sending request"
_REASON = re.compile(r"\b(?:message|error): \"([^\"\n]{1,200})\"")
_RETRIES = re.compile(r"\bafter (\d+) retries\b")
#: The service did not evaluate the condition, because of another request in progress.
_CONFLICT = re.compile(r"<Code>(?:ConditionalRequestConflict|OperationAborted)</Code>")

Result = TypeVar("Result")


def translated(url: str, function: Callable[[], Result]) -> Result:
    """Call the obstore client; raise what it raises as an error of this project that begins with `url`."""
    try:
        return function()
    except (BaseError, OSError, ValueError) as error:
        failure = client_error(error, url)
    except BaseException as error:
        if not is_panic(error):
            raise
        failure = StoreError(f"{url}: the client failed: {redacted_message(str(error))}")
    # Raised here, so that the client's error, with all that the server said, is not kept as this one's context.
    raise failure


def opened(url: str, function: Callable[[], Result]) -> Result:
    """Call `function`, which makes a client; raise what it raises as `ConfigError` that begins with `url`."""
    try:
        return function()
    except BronzeError:
        raise
    except (BaseError, OSError, ValueError, TypeError) as error:
        failure = ConfigError(f"{url} cannot be opened: {redacted_message(str(error))}")
    except BaseException as error:
        if not is_panic(error):
            raise
        failure = ConfigError(f"{url} cannot be opened: {redacted_message(str(error))}")
    raise failure


def is_panic(error: BaseException) -> bool:
    """Whether the client panicked. Its exception derives from ``BaseException``, and no module exports it."""
    return type(error).__name__ == "PanicException"


def client_error(error: Exception, url: str) -> BronzeError:
    """The error of this project that corresponds to `error`, which the obstore client raised."""
    if isinstance(error, BronzeError):
        return error
    text = str(error)[:_MAX_SEARCHED]
    message = f"{url}: {redacted_message(text)}"
    if "<Code>NoSuchBucket</Code>" in text:
        return ConfigError(f"{url}: the bucket does not exist")
    if is_certificate_error(text):
        return ConfigError(f"{url}: the server's certificate is not trusted; {REMEDY}")
    if f"{NO_PROXY_THERE}," in text or _REDIRECT.search(text):
        request = _REQUEST.search(text)
        return _redirect_error(f"{url}: ", look_up_address(request[1]) if request else "")
    if region := _other_region(text):
        return ConfigError(f"{url}: {region}")
    if isinstance(error, (PermissionDeniedError, UnauthenticatedError)) or _DENIED.search(text):
        return AccessDeniedError(message)
    if _CONFLICT.search(text):
        return StoreError(message)
    if isinstance(error, FileNotFoundError):
        return ObjectNotFoundError(f"{url} does not exist")
    if isinstance(error, (AlreadyExistsError, PreconditionError)):
        return ObjectExistsError(f"{url} exists already, or has changed")
    status = _STATUS.search(text)
    if status is None and (words := _words_of_silence(text)):
        message = f"{url}: {words}"
    return _passing_error(message, int(status[1]) if status else None, text)


def _words_of_silence(text: str) -> str:
    """Which service did not answer, and why, when the client's `text` says that; else empty.

    The client's own sentence has the time that it spent and its limits, and not the reason.
    """
    request, reason, retries = _REQUEST.search(text), _REASON.search(text), _RETRIES.search(text)
    if not (request and reason and _UNSENT in text):
        return ""
    address = urlsplit(request[1])
    after = f", after {retries[1]} retries" if retries else ""
    what = f"{address.scheme}://{address.netloc.rpartition('@')[2]} does not answer: {reason[1]}{after}"
    return redacted_message(what)


def response_error(
    url: str, operation: str, status: int | None, text: str, headers: Mapping[str, str] | None = None
) -> BronzeError:
    """The error for a request that the client cannot make, and that failed.

    Args:
        url: of the location; the message begins with it.
        operation: what was attempted, an infinitive.
        status: the HTTP status; None when there was no answer.
        text: the answer, or the library's message.
        headers: of the answer, as `new_address` takes them.
    """
    if "<Code>NoSuchBucket</Code>" in text[:_MAX_SEARCHED]:
        return ConfigError(f"{url}: the bucket does not exist")
    if status == 404:
        return ObjectNotFoundError(f"{url}: cannot {operation}: it, or the bucket, does not exist")
    if status is None and is_certificate_error(text):
        return ConfigError(f"{url}: cannot {operation}: the server's certificate is not trusted; {REMEDY}")
    if status is not None and 300 <= status < 400:
        return _redirect_error(f"{url}: cannot {operation}: ", new_address(headers or {}, text[:_MAX_SEARCHED]))
    if region := _other_region(text[:_MAX_SEARCHED]):
        return ConfigError(f"{url}: cannot {operation}: {region}")
    message = f"{url}: cannot {operation}: {redacted_message(text[:_MAX_SEARCHED])}"
    return AccessDeniedError(message) if status in (401, 403) else _passing_error(message, status, text)


def _passing_error(message: str, status: int | None, text: str) -> StoreError:
    """The error of a request that got no answer, or one that tells nothing of the object.

    Args:
        status: the HTTP status; None when there was no answer.
    """
    if status is None:
        is_unreachable = _NO_ANSWER.search(text[:_MAX_SEARCHED]) is not None
    else:
        is_unreachable = (status >= 500 and status != _NOT_IMPLEMENTED) or status in _PASSING
    return UnreachableError(message) if is_unreachable else StoreError(message)


def said_again(error: StoreError, message: str) -> StoreError:
    """A transient error with another message than `error`, which says as it does whether the store answers."""
    return UnreachableError(message) if isinstance(error, UnreachableError) else StoreError(message)


def _redirect_error(what: str, where: str) -> ConfigError:
    return ConfigError(
        f"{what}the service redirects to another address{where}, which is not followed: set the endpoint (and region)"
        " to the new address"
    )


def _other_region(text: str) -> str:
    """What an S3 service says of a request that was signed for another region than the bucket's; else empty."""
    region = stated_region(text) if "<Code>AuthorizationHeaderMalformed</Code>" in text else ""
    return f"the bucket is in the region {region}, which the settings do not name: set the region" if region else ""


def redacted_message(text: str) -> str:
    """What a client or server said, shortened and without secrets."""
    # The URL says nothing new, and may hold a signature.
    head = re.sub(r" https?://[^\s<]+", "", text.partition("\n\nDebug source")[0])
    secrets = [os.environ.get(name, "") for name in _SECRET_VARIABLES]
    return clean(head, secrets)[:_MAX_SHOWN]


def client_gave_up(error: BaseException) -> bool:
    """Whether the client itself had already retried the request as often, or as long, as it may."""
    return "max_retries" in str(error)
