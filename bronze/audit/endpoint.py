"""An HTTP endpoint that audit events are delivered to: the same bytes on every attempt.

``POST``, the event's compact JSON as the body. A redelivery is recognised by its ``Idempotency-Key``, the
event's id. Proxies of the environment are used, as everywhere.
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

#: Statuses below 500 that pass: request timeout, too early, too many requests.
_PASSING = frozenset({408, 425, 429})
#: Bytes of an answer that are shown.
_SHOWN = 200
#: An endpoint that asks for more patience is asked again earlier.
_LONGEST_RETRY_AFTER_SECONDS = 30.0
#: Attempts that were given up and still wait for an endpoint that trickles its answer.
_MAX_ABANDONED_ATTEMPTS = 8


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long one attempt may take, in seconds.

    Attributes:
        connect: for each address of the endpoint.
        read: between two pieces of the answer.
        whole: altogether, whatever arrives in between.
    """

    connect: float = 5.0
    read: float = 10.0
    whole: float = 20.0


class _Session(requests.Session):
    """Of one attempt, and so of one thread."""

    def get_redirect_target(self, resp: requests.Response) -> None:
        """None: a redirect is an answer like any other (else its whole body is read, however long)."""


class DeliveryEndpoint:
    """Where events are POSTed to. May be shared by threads.

    Args:
        url: may hold credentials; of it only scheme, host and port are ever shown.
        retry: how often and how patiently one event is tried.

    Raises:
        ConfigError: `url` is no HTTP or HTTPS address.
    """

    def __init__(self, url: str, retry: RetryPolicy, patience: Timeouts = Timeouts()) -> None:
        self._url = url
        self._retry = retry
        self._patience = patience
        self._where, self._secrets = _parts(url)
        credentials = _credentials(url)
        self._auth = HTTPBasicAuth(*credentials) if credentials else None
        self._hanging: list[threading.Thread] = []

    @property
    def where(self) -> str:
        """The endpoint as people know it: scheme, host and port."""
        return self._where

    def send(self, event: Event) -> None:
        """Deliver one event, trying again what may pass.

        Raises:
            DeliveryRejectedError: the endpoint's answer says that it will never take it.
            DeliveryError: no attempt succeeded; it may pass.
        """
        body = event.delivery_body()
        not_before = 0.0

        def attempt() -> None:
            nonlocal not_before
            time.sleep(max(0.0, not_before - time.monotonic()))
            try:
                self._bounded(event.event_id, body)
            except DeliveryError as error:
                not_before = time.monotonic() + min(error.retry_after, _LONGEST_RETRY_AFTER_SECONDS)
                raise

        self._retry.call(f"delivery of the event of {event.chain} {event.partition}", attempt)

    def _bounded(self, event_id: str, body: bytes) -> None:
        """One attempt, however slowly the endpoint answers."""
        self._hanging = [thread for thread in self._hanging if thread.is_alive()]
        if len(self._hanging) >= _MAX_ABANDONED_ATTEMPTS:
            raise DeliveryError(f"{self.where} has not finished its answers to {len(self._hanging)} earlier attempts")
        outcome: concurrent.futures.Future[None] = concurrent.futures.Future()

        def run() -> None:
            try:
                self._attempt(event_id, body)
                outcome.set_result(None)
            except BaseException as error:
                outcome.set_exception(error)

        # Not an executor's thread: the interpreter would wait for it when it ends.
        thread = threading.Thread(target=run, name="delivery", daemon=True)
        thread.start()
        try:
            outcome.result(self._patience.whole)
        except TimeoutError:
            self._hanging = [*self._hanging, thread]
            raise DeliveryError(f"{self.where} did not answer within {self._patience.whole:g} s") from None

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
                    timeout=(self._patience.connect, self._patience.read),
                    allow_redirects=False,
                    stream=True,  # nobody reads the body of a success
                ) as answer,
            ):
                status = answer.status_code
                if 200 <= status < 300:
                    return
                what = f"{self.where} answered {status} to event {event_id}{self._said(answer)}"
                retry_after = _seconds(answer.headers.get("Retry-After", ""))
        except ValueError as error:  # the URL, or the event's id, cannot be sent whatever is tried
            raise DeliveryRejectedError(
                f"{self.where} cannot be asked to take event {event_id}: {type(error).__name__}"
            ) from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise DeliveryError(f"{self.where} cannot be reached: {self._reason(error)}") from None
        if status < 500 and status not in _PASSING:
            raise DeliveryRejectedError(what)
        failed = DeliveryError(what)
        failed.retry_after = retry_after
        raise failed

    def _said(self, answer: requests.Response) -> str:
        try:
            text = answer.raw.read(_SHOWN, decode_content=True).decode(errors="replace")
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError):
            text = ""  # the status says enough
        # Cut before it was masked, a secret may have lost its end: the last word goes.
        if len(text) >= _SHOWN:
            text = text.rpartition(" ")[0]
        text = self._shown(text)
        return f": {text}" if text else ""

    def _reason(self, error: BaseException) -> str:
        """The innermost reason: the outer ones quote the URL."""
        seen = 0
        while seen < 8:
            inner = getattr(error, "reason", None) or next(iter(error.args), None)
            if not isinstance(inner, BaseException):
                break
            error, seen = inner, seen + 1
        return self._shown(str(error)) or type(error).__name__

    def _shown(self, text: str) -> str:
        return " ".join(redact(text, self._secrets).split())


def _parts(url: str) -> tuple[str, frozenset[str]]:
    """What is shown of the URL, and what must not be: credentials, and path and query, which may hold tokens."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # its message quotes the part it did not understand
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or re.search(r"\s", url):
        raise ConfigError(
            "pas.endpoint is no address of the form https://host[:port]/path (secrets in it percent-encoded)"
        )
    secrets = {parts.username or "", parts.password or "", parts.query}
    secrets |= {value for _, value in parse_qsl(parts.query)}
    secrets |= {segment for segment in parts.path.split("/") if len(segment) >= 16}  # /events is no secret
    secrets |= {unquote(secret) for secret in secrets} | secrets_in(url)
    if credentials := _credentials(url):
        secrets.add(base64.b64encode(b":".join(credentials)).decode())
    shown = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{shown}{'' if port is None else f':{port}'}", frozenset(secrets)


def _credentials(url: str) -> tuple[bytes, bytes] | None:
    """User and password of the URL. requests itself takes none from one that has only a user, as tokens are written."""
    parts = urlsplit(url)
    if parts.username is None:
        return None
    return unquote(parts.username).encode(), unquote(parts.password or "").encode()


def _seconds(retry_after: str) -> float:
    """The value of a Retry-After header (RFC 9110: seconds, or a date); 0 when it is neither."""
    text = retry_after.strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, TypeError, OverflowError):
        return 0.0
