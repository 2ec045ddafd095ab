"""The obstore clients of a bucket: the same connection options, different retrying and headers."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from obstore import ObjectMeta, PutResult, UpdateVersion
    from obstore.store import ObjectStore as Client

    from bronze.storage.object_store.provider import ObjectServiceApi

#: How often the client retries a request that is safe to repeat (5xx, 429, 408, dropped connections).
DEFAULT_RETRIES = 10


class Clients:
    """The clients of one bucket. Safe to share between threads.

    Attributes:
        retrying: retries by itself: for reading, and for writing where the last writer wins.
        bulk_upload: like `retrying`, for large objects: they are compared after the upload, so signatures of S3
            requests leave out the hash of the body.
        single_attempt: sends each request once: for conditional writes, where a lost answer must be noticed.

    Args:
        clock: seconds since 1970.
        retries: of the clients that retry.
    """

    def __init__(
        self, service: ObjectServiceApi, clock: Callable[[], float], *, retries: int = DEFAULT_RETRIES
    ) -> None:
        self._service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._publishing: tuple[dict[str, str], Client] | None = None
        self.retrying = service.client(retries=retries)
        self.bulk_upload = service.client(retries=retries, unsigned_payload=True)
        self.single_attempt = service.client(retries=0)

    @property
    def publishing(self) -> Client:
        """Like `single_attempt`, for objects that stay: they get the location's storage class and lock."""
        headers = self._service.publishing_headers(self._clock())
        if not headers:
            return self.single_attempt
        with self._lock:
            if self._publishing is None or self._publishing[0] != headers:
                self._publishing = headers, self._service.client(retries=0, headers=headers)
            return self._publishing[1]


def version_of(known: ObjectMeta | PutResult) -> UpdateVersion:
    """The condition of a write that is to replace just this version of an object."""
    version: UpdateVersion = {}
    if known["e_tag"] is not None:  # the client does not accept None
        version["e_tag"] = known["e_tag"]
    if known["version"] is not None:
        version["version"] = known["version"]
    return version
