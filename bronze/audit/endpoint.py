"""The HTTP endpoint that audit events are delivered to: the same bytes on every attempt.

An event is sent as ``POST`` with its compact JSON as the body. The endpoint recognises a redelivery by its
``Idempotency-Key``, the event's id. The proxy settings of the environment apply.
"""

from __future__ import annotations

import base64
import concurrent.futures
import re
import threading
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
import urllib3
from requests.auth import HTTPBasicAuth

from bronze.audit.event import Event
from bronze.errors import ConfigError, DeliveryError, DeliveryRejectedError
from bronze.redact import redact, secrets_in
from bronze.retry import RetryPolicy

#: Statuses below 500 that are retried: request timeout, too early, too many requests.
_RETRYABLE_STATUSES = frozenset({408, 425, 429})
#: Bytes of an error response that are quoted.
_MAX_QUOTED_BYTES = 200
#: A longer Retry-After is cut to this.
_MAX_RETRY_AFTER_SECONDS = 30.0
#: Attempts that timed out and whose threads still read from an endpoint that answers a byte at a time.
_MAX_ABANDONED_ATTEMPTS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long one attempt may take, in seconds.

    Attributes:
        connect: to connect to one address of the endpoint.
        read: between two pieces of the response.
        total: for the whole attempt, however much arrives.
    """

    connect: float = 5.0
    read: float = 10.0
    total: float = 20.0


class _Session(requests.Session):
    """The session of one attempt, and so of one thread."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: redirects are responses like any other; following one would read its body, however long."""


class DeliveryEndpoint:
    """The endpoint at one URL. May be shared by threads.

    Args:
        url: may hold credentials; only its scheme, host and port are ever shown.
        retry: attempts for one event, and the waits between them.
        timeouts: how long one attempt may take.

    Raises:
        ConfigError: `url` is not an HTTP or HTTPS URL.
    """

    def __init__(self, url: str, retry: RetryPolicy, timeouts: Timeouts = Timeouts()) -> None:
        self._url = url
        self._retry = retry
        self._timeouts = timeouts
        self._where, self._secrets = _display_name_and_secrets(url)
        credentials = _credentials(url)
        self._auth = HTTPBasicAuth(*credentials) if credentials else None
        self._abandoned: list[threading.Thread] = []

    @property
    def where(self) -> str:
        """The endpoint's scheme, host and port, for messages."""
        return self._where

    def send(self, event: Event) -> None:
        """Deliver one event; transient failures are retried, no earlier than the endpoint's Retry-After says.

        Raises:
            DeliveryRejectedError: the endpoint answered that it will never accept the event.
            DeliveryError: no attempt succeeded; transient.
        """
        body = event.delivery_body()
        not_before = 0.0

        def attempt() -> None:
            nonlocal not_before
            time.sleep(max(0.0, not_before - time.monotonic()))
            try:
                self._attempt_within_timeout(event.event_id, body)
            except DeliveryError as error:
                not_before = time.monotonic() + min(error.retry_after, _MAX_RETRY_AFTER_SECONDS)
                raise

        self._retry.call(f"delivery of the event of {event.chain} {event.partition}", attempt)

    def _attempt_within_timeout(self, event_id: str, body: bytes) -> None:
        """Make one attempt, and abandon it at the total timeout: a slow response never ends the read timeout."""
        self._abandoned = [thread for thread in self._abandoned if thread.is_alive()]
        if len(self._abandoned) >= _MAX_ABANDONED_ATTEMPTS:
            raise DeliveryError(f"{self.where} has not finished its answers to {len(self._abandoned)} earlier attempts")
        outcome: concurrent.futures.Future[None] = concurrent.futures.Future()

        def run() -> None:
            try:
                self._attempt(event_id, body)
                outcome.set_result(None)
            except BaseException as error:
                outcome.set_exception(error)

        # Not an executor's thread: the interpreter waits for those when it exits.
        thread = threading.Thread(target=run, name="delivery", daemon=True)
        thread.start()
        try:
            outcome.result(self._timeouts.total)
        except TimeoutError:
            self._abandoned = [*self._abandoned, thread]
            raise DeliveryError(f"{self.where} did not answer within {self._timeouts.total:g} s") from None

    def _attempt(self, event_id: str, body: bytes) -> None:
        headers = {"Content-Type": "application/json", "Idempotency-Key": event_id}
        try:
            with (
                _Session() as session,
                session.post(
                    self._url,
                    data=body,
                    headers=headers,
                    auth=self._auth,
                    timeout=(self._timeouts.connect, self._timeouts.read),
                    allow_redirects=False,
                    stream=True,  # the body of a success is not read
                ) as response,
            ):
                status = response.status_code
                if 200 <= status < 300:
                    return
                what = f"{self.where} answered {status} to event {event_id}{self._quote(response)}"
                retry_after = _retry_after_seconds(response.headers.get("Retry-After", ""))
        except ValueError as error:  # the URL, or the event's id, is not valid in a request
            raise DeliveryRejectedError(
                f"event {event_id} cannot be sent to {self.where}: {type(error).__name__}"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise DeliveryError(f"{self.where} cannot be reached: {self._reason(error)}") from None
        if status < 500 and status not in _RETRYABLE_STATUSES:
            raise DeliveryRejectedError(what)
        failed = DeliveryError(what)
        failed.retry_after = retry_after
        raise failed

    def _quote(self, response: requests.Response) -> str:
        """The beginning of the response's body, redacted, after a colon; empty when there is none."""
        try:
            text = response.raw.read(_MAX_QUOTED_BYTES, decode_content=True).decode(errors="replace")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            text = ""  # the status is enough
        # A secret that is cut off would not be recognised: drop the last word.
        if len(text) >= _MAX_QUOTED_BYTES:
            text = text.rpartition(" ")[0]
        text = self._redacted(text)
        return f": {text}" if text else ""

    def _reason(self, error: BaseException) -> str:
        """The innermost error's message: the outer ones quote the URL."""
        for _ in range(8):
            inner = getattr(error, "reason", None) or next(iter(error.args), None)
            if not isinstance(inner, BaseException):
                break
            error = inner
        return self._redacted(str(error)) or type(error).__name__

    def _redacted(self, text: str) -> str:
        return " ".join(redact(text, self._secrets).split())


def _display_name_and_secrets(url: str) -> tuple[str, frozenset[str]]:
    """The URL's scheme, host and port; and its secrets: credentials, and path and query, which may hold tokens."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message quotes the part it did not understand
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or re.search(r"\s", url):
        raise ConfigError(
            "pas.endpoint is not a URL of the form https://host[:port]/path (with its secrets percent-encoded)"
        )
    secrets = {parts.username or "", parts.password or "", parts.query}
    secrets |= {value for _, value in parse_qsl(parts.query)}
    secrets |= {segment for segment in parts.path.split("/") if len(segment) >= 16}  # /events is not a secret
    secrets |= {unquote(secret) for secret in secrets} | secrets_in(url)
    if credentials := _credentials(url):
        secrets.add(base64.b64encode(b":".join(credentials)).decode())
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}", frozenset(secrets)


def _credentials(url: str) -> tuple[bytes, bytes] | None:
    """User and password of the URL. requests itself ignores a user without a password, as tokens are written."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username).encode(), unquote(parts.password or "").encode()


def _retry_after_seconds(retry_after: str) -> float:
    """Seconds to wait by a Retry-After header (RFC 9110: seconds, or a date); 0 when it is neither."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
