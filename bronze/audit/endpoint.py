"""The HTTP endpoint that audit events are delivered to: the same bytes on every attempt.

An event is sent as ``POST`` with its compact JSON as the body. The endpoint recognises a redelivery by its
``Idempotency-Key``, the event's id. The proxy settings of the environment apply, ``~/.netrc`` does not.

A 409 to a repeat means that the endpoint has the event. The first request of a process for an event may be a repeat
too, of an earlier process that was killed before it could note the delivery. So a 409 to it neither proves that the
event was taken nor that it was refused: it is retried as other failures are, at least once, and the retry is a repeat
by all means.
"""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urljoin

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from bronze.audit.endpoint_url import credentials_of, display_name_and_secrets, is_same_host, shown_address
from bronze.audit.event import Event
from bronze.audit.http_attempt import (
    RETRYABLE_STATUSES,
    AttemptSession,
    Timeouts,
    TooManyAbandonedError,
    failure_reason,
    within,
)
from bronze.errors import DeliveryError, DeliveryRejectedError
from bronze.redact import clean
from bronze.retry import RetryPolicy
from bronze.waiting import pause

#: Redirects that keep the method and the body, and how many of them one attempt follows.
_FOLLOWED_STATUSES, _MAX_REDIRECTS = frozenset({307, 308}), 5
#: Bytes of an error response that are quoted.
_MAX_QUOTED_BYTES = 200
#: A longer Retry-After is cut to this.
_MAX_RETRY_AFTER_SECONDS = 30.0
#: After a delivery that failed and took longer than this, the endpoint is left alone for `_PAUSE_FACTOR` times as long.
_SLOW_FAILURE_SECONDS, _PAUSE_FACTOR = 5.0, 10.0
_DEFAULT_TIMEOUTS = Timeouts()

_LOG = logging.getLogger(__name__)


class _FirstConflictError(DeliveryError):
    """The endpoint answered 409 to the first request of this process for an event."""


class _Pauses:
    """Endpoints that failed slowly, and until when they are left alone; for the whole process.

    Each wave of a run opens the endpoint anew, and where the delivery is not strict each of them would wait for all
    attempts of one event.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}
        self._lock = threading.Lock()

    def begin(self, url: str, took: float) -> None:
        """Leave the endpoint alone for a while, if the delivery that failed `took` long (seconds)."""
        if took >= _SLOW_FAILURE_SECONDS:
            with self._lock:
                self._until[url] = time.monotonic() + _PAUSE_FACTOR * took

    def end(self, url: str) -> None:
        """The endpoint accepted an event."""
        with self._lock:
            self._until.pop(url, None)

    def left(self, url: str) -> float | None:
        """Seconds that the pause lasts, 0 when it is over and nothing was delivered since; None without one."""
        with self._lock:
            until = self._until.get(url)
        return None if until is None else max(0.0, until - time.monotonic())


_PAUSES = _Pauses()


@dataclass(frozen=True, slots=True)
class EndpointAnswer:
    """What the endpoint answered.

    Attributes:
        status: of HTTP.
        date: the endpoint's time, as HTTP writes it; empty where it does not tell.
        moved: where a redirect leads that a delivery does not follow, as words behind a comma; empty without one.
    """

    status: int
    date: str
    moved: str


class DeliveryEndpoint:
    """The endpoint at one URL. May be shared by threads.

    Args:
        url: may hold credentials; only its scheme, host and port are ever shown.
        retry: attempts for one event, and the waits between them.
        timeouts: how long one attempt may take.

    Raises:
        ConfigError: `url` is not an HTTP or HTTPS URL.
    """

    def __init__(self, url: str, retry: RetryPolicy, timeouts: Timeouts = _DEFAULT_TIMEOUTS) -> None:
        self._url = url
        self._retry = retry
        self._timeouts = timeouts
        self._where, self._secrets = display_name_and_secrets(url)
        credentials = credentials_of(url)
        self._auth = HTTPBasicAuth(*credentials) if credentials else None

    @property
    def where(self) -> str:
        """The endpoint's scheme, host and port, for messages."""
        return self._where

    def send(self, event: Event) -> None:
        """Deliver one event; transient failures are retried, no earlier than the endpoint's Retry-After says.

        Raises:
            DeliveryRejectedError: the endpoint answered that it will never accept the event.
            DeliveryError: no attempt succeeded, or the endpoint is left alone after a failure that took long;
                transient.
        """
        left_alone = _PAUSES.left(self._url)
        if left_alone:
            raise DeliveryError(f"{self.where} failed a short while ago and is left alone for {left_alone:.0f} s more")
        body = event.delivery_body()
        not_before, attempts, started = 0.0, 0, time.monotonic()

        def attempt() -> None:
            nonlocal not_before, attempts
            wait = not_before - time.monotonic()
            if wait > 0 and not pause(wait):
                raise DeliveryError(f"{self.where} asked to be tried later, and the run was asked to stop")
            attempts += 1
            try:
                self._attempt_within_timeout(event.event_id, body, is_repeat=attempts > 1)
            except DeliveryError as error:
                not_before = time.monotonic() + min(error.retry_after, _MAX_RETRY_AFTER_SECONDS)
                raise

        # One attempt is enough to see that an endpoint which failed slowly still does.
        retry = self._retry if left_alone is None else RetryPolicy(1, self._retry.backoff_ms)
        try:
            try:
                retry.call(f"delivery of the event of {event.chain} {event.partition}", attempt, operation="delivery")
            except _FirstConflictError:
                attempt()
        except DeliveryError:
            _PAUSES.begin(self._url, time.monotonic() - started)
            raise
        _PAUSES.end(self._url)

    def ask_options(self) -> EndpointAnswer:
        """Send one ``OPTIONS`` request, which by HTTP's rules changes nothing; no event is sent.

        Raises:
            DeliveryError: there is no answer.
        """
        answers = []

        def ask(session: AttemptSession) -> None:
            try:
                with session.options(self._url, **self._request_options(session)) as response:
                    status, date = response.status_code, response.headers.get("Date", "")
                    answers.append(EndpointAnswer(status, date, self._unfollowed(response)))
            except (ValueError, requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                raise DeliveryError(f"{self.where} cannot be reached: {failure_reason(error, self._secrets)}") from None

        self._within_timeout(ask)
        return answers[0]

    def _attempt_within_timeout(self, event_id: str, body: bytes, *, is_repeat: bool) -> None:
        """Make one attempt, and abandon it at the total timeout."""
        self._within_timeout(lambda session: self._attempt(session, event_id, body, is_repeat=is_repeat))

    def _within_timeout(self, request: Callable[[AttemptSession], None]) -> None:
        """Call `request`, and abandon it at the total timeout: a slow response never ends the read timeout."""
        try:
            within(self._timeouts.total, request)
        except TimeoutError:
            raise DeliveryError(f"{self.where} did not answer within {self._timeouts.total:g} s") from None
        except TooManyAbandonedError:
            raise DeliveryError(f"{self.where}: too many earlier attempts of this process have not ended") from None

    def _attempt(self, session: AttemptSession, event_id: str, body: bytes, *, is_repeat: bool) -> None:
        try:
            with self._answer(session, event_id, body) as response:
                status = response.status_code
                if 200 <= status < 300:
                    return
                if status == 409 and is_repeat:
                    _LOG.warning("%s answered 409 to a repeat of event %s: it has the event", self.where, event_id)
                    return
                what = f"{self.where} answered {status} to event {event_id}{self._new_address(response)}"
                what += self._quote(response)
                retry_after = _retry_after_seconds(response.headers.get("Retry-After", ""))
        except ValueError as error:  # the URL, or the event's id, is not valid in a request
            raise DeliveryRejectedError(
                f"event {event_id} cannot be sent to {self.where}: {type(error).__name__}"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise DeliveryError(f"{self.where} cannot be reached: {failure_reason(error, self._secrets)}") from None
        if status < 500 and status != 409 and status not in RETRYABLE_STATUSES:
            raise DeliveryRejectedError(what)
        failed = _FirstConflictError(what) if status == 409 else DeliveryError(what)
        failed.retry_after = retry_after
        raise failed

    def _answer(self, session: AttemptSession, event_id: str, body: bytes) -> requests.Response:
        """Send the event; return the answer of the last address on the same host that redirects lead to."""
        url = self._url
        for _ in range(_MAX_REDIRECTS):
            response = self._post(session, url, event_id, body)
            target = _redirect_target(url, response)
            if response.status_code not in _FOLLOWED_STATUSES or target is None or not is_same_host(url, target):
                return response
            response.close()
            url = target
        return self._post(session, url, event_id, body)

    def _post(self, session: AttemptSession, url: str, event_id: str, body: bytes) -> requests.Response:
        return session.post(
            url,
            data=body,
            headers={"Content-Type": "application/json", "Idempotency-Key": event_id},
            **self._request_options(session),
        )

    def _request_options(self, session: AttemptSession) -> dict[str, Any]:
        return {
            "auth": self._auth,
            "timeout": (self._timeouts.connect, self._timeouts.read),
            "allow_redirects": False,
            "verify": session.verify,  # given for each request, it comes before the client's own variables
            "stream": True,  # the body of a success is not read
        }

    def _unfollowed(self, response: requests.Response) -> str:
        """What a redirect leads to, as words; empty for one that a delivery follows."""
        target = _redirect_target(self._url, response)
        is_followed = target is not None and response.status_code in _FOLLOWED_STATUSES
        return "" if is_followed and is_same_host(self._url, str(target)) else self._new_address(response)

    def _new_address(self, response: requests.Response) -> str:
        """What a redirect that is not followed leads to, as words; without path and query, which may hold tokens."""
        target = _redirect_target(self._url, response)
        if target is None:
            return ""
        where = shown_address(target)
        if where is None:
            return ", a redirect to an address that is not a URL"
        return f", a redirect to {self._cleaned(where)}, which is not followed: set pas.endpoint to the new address"

    def _quote(self, response: requests.Response) -> str:
        """The beginning of the response's body, redacted, after a colon; empty when there is none."""
        try:
            text = response.raw.read(_MAX_QUOTED_BYTES, decode_content=True).decode(errors="replace")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            text = ""  # the status is enough
        # A secret that is cut off would not be recognised: drop the last word.
        if len(text) >= _MAX_QUOTED_BYTES:
            text = text.rpartition(" ")[0]
        text = self._cleaned(text)
        return f": {text}" if text else ""

    def _cleaned(self, text: str) -> str:
        return clean(text, self._secrets, short=True)


def _redirect_target(url: str, response: requests.Response) -> str | None:
    """The address that a redirect leads to; None when the response is not one."""
    location = response.headers.get("Location")
    if location is None or not 300 <= response.status_code < 400:
        return None
    try:
        return urljoin(url, location)
    except ValueError:
        return location


def _retry_after_seconds(retry_after: str) -> float:
    """Seconds to wait by a Retry-After header (RFC 9110: seconds, or a date); 0 when it is neither."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
