"""An archive's files in a bucket or a directory."""

from __future__ import annotations

import functools
import logging

from bronze.errors import (
    ArchiveError,
    ArchiveFileMissingError,
    ArchiveRefusedError,
    BronzeError,
    ConfigError,
    ObjectNotFoundError,
    is_transient,
)
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.storage.store import Store

_LOG = logging.getLogger(__name__)


class StoreFiles:
    """The files below one ``s3://``, ``gs://`` or ``file://`` URL. Safe to share between threads.

    Where no credentials are found the bucket is read without any, as public ones can be.

    Args:
        request_timeout_s: the longest one request to an object store may take.
    """

    def __init__(self, url: str, request_timeout_s: float) -> None:
        self._url = url
        self._request_timeout_s = request_timeout_s

    def read(self, key: str, max_bytes: int) -> bytes:
        """The file as it is stored. See `ArchiveFiles.read`."""
        try:
            return self._store.read(key, max_bytes)
        except ObjectNotFoundError:
            raise ArchiveFileMissingError(f"{self._url}/{key} does not exist") from None
        except (BronzeError, OSError) as error:
            kind = ArchiveError if is_transient(error) else ArchiveRefusedError
            raise kind(f"{self._url}/{key} cannot be read: {error}") from None

    @functools.cached_property
    def _store(self) -> Store:
        if self._url.startswith("file:"):
            return open_store(StorageLocation(self._url))
        try:
            return open_store(StorageLocation(self._url, request_timeout_s=self._request_timeout_s))
        except ConfigError as error:
            _LOG.debug("%s is read without credentials: %s", self._url, error)
            return open_store(StorageLocation(self._url, anonymous=True, request_timeout_s=self._request_timeout_s))
