"""An archive's files over HTTP: one attempt for each, bounded in time, bytes and redirects."""

from __future__ import annotations

from urllib.parse import urljoin

import requests
import urllib3

from bronze.audit.endpoint_url import is_same_host
from bronze.audit.http_attempt import (
    RETRYABLE_STATUSES,
    AttemptSession,
    Timeouts,
    TooManyAbandonedError,
    failure_reason,
    within,
)
from bronze.errors import ArchiveError, ArchiveFileMissingError, ArchiveRefusedError
from bronze.storage.object_store.redirects import new_address

_MAX_REDIRECTS = 5
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MISSING = frozenset({404, 410})
_CHUNK_BYTES = 1 << 16


class HttpFiles:
    """The files below one HTTP or HTTPS URL. Safe to share between threads.

    The proxies and certificates that the environment names are honoured; redirects are followed on the same host only.

    Args:
        attempt_seconds: the longest that reading one file may take, whatever arrives.
    """

    def __init__(self, url: str, attempt_seconds: float) -> None:
        self._url = url.rstrip("/")
        self._timeouts = Timeouts(total=attempt_seconds)

    def read(self, key: str, max_bytes: int) -> bytes:
        """The file as the server sends it, whatever its Content-Encoding says. See `ArchiveFiles.read`."""
        url = f"{self._url}/{key}"
        found: list[bytes] = []
        try:
            within(self._timeouts.total, lambda session: found.append(self._attempt(session, url, max_bytes)))
        except TimeoutError:
            raise ArchiveError(f"{url} did not answer within {self._timeouts.total:g} s") from None
        except TooManyAbandonedError:
            raise ArchiveError(f"{url}: too many earlier requests of this process have not ended") from None
        return found[0]

    def _attempt(self, session: AttemptSession, url: str, max_bytes: int) -> bytes:
        try:
            with self._answer(session, url) as answer:
                status = answer.status_code
                if status == 200:
                    return self._body(answer, url, max_bytes)
        except ValueError as error:
            raise ArchiveRefusedError(f"{url} cannot be requested: {type(error).__name__}") from None
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            raise ArchiveError(f"{url} cannot be read: {failure_reason(error)}") from None
        if status in _MISSING:
            raise ArchiveFileMissingError(f"{url} does not exist (the server answered {status})")
        message = f"{url} cannot be read: the server answered {status}"
        if status < 500 and status not in RETRYABLE_STATUSES:
            raise ArchiveRefusedError(message)
        raise ArchiveError(message)

    def _answer(self, session: AttemptSession, url: str) -> requests.Response:
        """The answer of the address that redirects on the same host lead to."""
        at = url
        for _ in range(_MAX_REDIRECTS + 1):
            answer = session.get(
                at,
                headers={"Accept-Encoding": "identity"},
                timeout=(self._timeouts.connect, self._timeouts.read),
                allow_redirects=False,
                verify=session.verify,
                stream=True,
            )
            target = answer.headers.get("Location")
            if answer.status_code not in _REDIRECTS or target is None:
                return answer
            answer.close()
            target = urljoin(at, target)
            if not is_same_host(at, target):
                raise ArchiveRefusedError(
                    f"{url} is redirected to another host, or from https to http{new_address({'location': target})},"
                    " which is not followed: set authenticity.archives to the archive's own address"
                )
            at = target
        raise ArchiveRefusedError(f"{url} is redirected more than {_MAX_REDIRECTS} times")

    def _body(self, answer: requests.Response, url: str, max_bytes: int) -> bytes:
        stated = answer.headers.get("Content-Length", "")
        if stated.isdecimal() and int(stated[:20]) > max_bytes:
            raise ArchiveRefusedError(f"{url} has {stated[:20]} bytes, more than the {max_bytes} allowed")
        body = bytearray()
        while chunk := answer.raw.read(_CHUNK_BYTES, decode_content=False):
            body += chunk
            if len(body) > max_bytes:
                raise ArchiveRefusedError(f"{url} has more than the {max_bytes} bytes allowed")
        return bytes(body)
