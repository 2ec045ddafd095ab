"""The requests that obstore does not make: small answers, bounded in bytes and time, to one host."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bronze.errors import BronzeError, ObjectTooLargeError
from bronze.storage.certificates import ca_bundle
from bronze.storage.object_store.errors import response_error

#: Bytes of an answer that is an error, or of which nobody said how long it may be.
_MAX_BYTES = 1 << 20
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """The headers and the body of an answer with a status of 200 to 299."""

    headers: Mapping[str, str]
    body: bytes


class HttpClient:
    """Sends requests for one location. Safe to share between threads.

    Redirects are not followed, and ``~/.netrc`` is not read.

    Args:
        url: of the location; errors begin with it.
        timeout_s: the longest one request may take.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        self._url = url
        self._timeout_s = timeout_s
        self._sessions = threading.local()

    def request(
        self,
        method: str,
        operation: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        max_bytes: int = _MAX_BYTES,
    ) -> HttpAnswer:
        """Send one request without a body.

        Args:
            operation: what is attempted, an infinitive, for errors.
            max_bytes: of the answer's body.

        Raises:
            ObjectTooLargeError: the answer is longer.
            ObjectNotFoundError, AccessDeniedError, StoreError, ConfigError: as `response_error` decides.
        """
        import requests
        import urllib3

        deadline = time.monotonic() + self._timeout_s
        failure: BronzeError
        try:
            with self._session.request(
                method,
                url,
                params=params,
                headers=headers,
                timeout=(min(5.0, self._timeout_s), self._timeout_s),
                allow_redirects=False,
                stream=True,
                verify=ca_bundle() or True,
            ) as answer:
                if 200 <= answer.status_code < 300:
                    return HttpAnswer(answer.headers, self._body(answer, operation, max_bytes, deadline))
                text = self._body(answer, operation, _MAX_BYTES, deadline).decode(errors="replace")
                failure = response_error(self._url, operation, answer.status_code, text, answer.headers)
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            failure = response_error(self._url, operation, None, str(error))
        raise failure

    def _body(self, answer: Any, operation: str, max_bytes: int, deadline: float) -> bytes:
        body = bytearray()
        while chunk := answer.raw.read1(_CHUNK, decode_content=True):
            body += chunk
            if len(body) > max_bytes:
                raise ObjectTooLargeError(
                    f"{self._url}: cannot {operation}: the answer has more than {max_bytes} bytes"
                )
            if time.monotonic() > deadline:
                raise TimeoutError(f"the answer was not complete after {self._timeout_s:g} s")
        stated = answer.headers.get("Content-Length")
        if stated and stated.isdecimal() and answer.raw.tell() < int(stated) and answer.request.method != "HEAD":
            raise OSError("the answer was cut off")
        return bytes(body)

    @property
    def _session(self) -> Any:
        """One for each thread: they are not safe to share."""
        if not hasattr(self._sessions, "session"):
            import requests

            self._sessions.session = requests.Session()
            self._sessions.session.auth = _as_it_is
        return self._sessions.session


def _as_it_is(request: Any) -> Any:
    """The request without further credentials: without any setting the client would look in ``~/.netrc``."""
    return request
