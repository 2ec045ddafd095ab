"""One history archive: how far it reaches, and its files; every answer is bounded, and checked in form."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from bronze.archives.checkpoint_files import HISTORY_KEY, file_key, unpack
from bronze.archives.ledger_headers import read_headers
from bronze.errors import ArchiveError, ArchiveFileMissingError, ArchiveRefusedError
from bronze.retry import RetryPolicy
from bronze.stellar import MAX_LEDGER
from bronze.storage.json_object import load_json_object

#: The largest history file: real ones have some 10 KB.
_MAX_HISTORY_BYTES = 1 << 20
#: The largest file of ledger headers, compressed or not: 64 headers of at most some 1,600 bytes.
_MAX_HEADER_BYTES = 1 << 20
#: The format of history files; the next one might mean something else.
_KNOWN_VERSIONS = (1, 2)
_MAX_PASSPHRASE = 256

#: Attempts for one file, and the waits between them.
DEFAULT_RETRY = RetryPolicy(3, 500)

Result = TypeVar("Result")


class ArchiveFiles(Protocol):
    """Where an archive's files are read from."""

    def read(self, key: str, max_bytes: int) -> bytes:
        """The file as it is stored, or as the server sends it.

        Raises:
            ArchiveFileMissingError: there is none.
            ArchiveError: it cannot be had, or has more than `max_bytes` bytes; transient unless the class says not.
        """
        ...


@dataclass(frozen=True, slots=True)
class ArchiveHistory:
    """What an archive says of itself.

    Attributes:
        current_ledger: the newest checkpoint that it has.
        passphrase: of its network; None where an older stellar-core wrote it.
    """

    current_ledger: int
    passphrase: str | None


class HistoryArchive:
    """The archive at one URL. Safe to share between threads.

    Args:
        url: as errors name it; holds no secret.
        files: read one file, without retrying.
        retry: attempts for one file, and the waits between them.
        give_up_after: so many files in a row that could not be had, each with its retries: no other one is asked for,
            so that many files of an archive that is down do not take days. None: each is.
    """

    def __init__(
        self, url: str, files: ArchiveFiles, retry: RetryPolicy = DEFAULT_RETRY, *, give_up_after: int | None = None
    ) -> None:
        self.url = url
        self._files = files
        self._retry = retry
        self._give_up_after = give_up_after
        self._failures = 0
        self._lock = threading.Lock()

    def history(self) -> ArchiveHistory:
        """How far the archive reaches now. Raises `ArchiveError`."""
        return self._read(HISTORY_KEY, _MAX_HISTORY_BYTES, _parse_history)

    def ledger_hashes(self, checkpoint: int) -> Mapping[int, bytes]:
        """The hash (32 bytes) of each ledger of `checkpoint`: their headers were hashed, and are linked.

        Raises:
            ArchiveFileMissingError: the archive does not have the file.
            ArchiveError: it cannot be had, or is damaged.
        """
        return self._read(
            file_key("ledger", checkpoint),
            _MAX_HEADER_BYTES,
            lambda data: read_headers(unpack(data, _MAX_HEADER_BYTES), checkpoint),
        )

    def read_checkpoint(self, category: str, checkpoint: int, *, max_bytes: int) -> bytes:
        """The decompressed records of one file; `bronze.archives.checkpoint_files.records` takes them apart.

        Args:
            category: ``scp``, for example.
            max_bytes: of the file, compressed or not; inclusive.

        Raises:
            ArchiveFileMissingError: the archive does not have the file.
            ArchiveError: it cannot be had, or is damaged.
        """
        return self._read(file_key(category, checkpoint), max_bytes, lambda data: unpack(data, max_bytes))

    def _read(self, key: str, max_bytes: int, parse: Callable[[bytes], Result]) -> Result:
        """Read and parse a file; what is damaged on the way is requested again. All errors name the file."""

        def attempt() -> Result:
            data = self._files.read(key, max_bytes)
            try:
                return parse(data)
            except ArchiveError as error:
                raise ArchiveError(f"{self.url}/{key} is damaged: {error}") from None

        if self._give_up_after is not None and self._failures >= self._give_up_after:
            raise ArchiveRefusedError(
                f"{self.url}/{key} was not asked for: {self._failures} files of this archive could not be read one"
                " after the other"
            )
        try:
            found = self._retry.call(f"reading {self.url}/{key}", attempt, level=logging.DEBUG, operation="archive")
        except ArchiveError as error:
            self._count(is_failure=not isinstance(error, ArchiveFileMissingError))
            raise
        self._count(is_failure=False)
        return found

    def _count(self, *, is_failure: bool) -> None:
        with self._lock:
            self._failures = self._failures + 1 if is_failure else 0


def _parse_history(data: bytes) -> ArchiveHistory:
    try:
        document = load_json_object(unpack(data, _MAX_HISTORY_BYTES), _MAX_HISTORY_BYTES)
        return _history_of(document)
    except KeyError as error:
        raise ArchiveError(f"it lacks the key {error}") from None
    except (ValueError, RecursionError) as error:
        raise ArchiveError(str(error)) from None


def _history_of(document: dict[str, Any]) -> ArchiveHistory:
    version, ledger = document["version"], document["currentLedger"]
    if version not in _KNOWN_VERSIONS or isinstance(version, bool):
        raise ValueError(f"its version is {str(version)[:20]}, expected one of {_KNOWN_VERSIONS}")
    if not isinstance(ledger, int) or isinstance(ledger, bool) or not 0 <= ledger <= MAX_LEDGER:
        raise ValueError(f"its currentLedger is {str(ledger)[:20]}, expected a ledger number")
    passphrase = document.get("networkPassphrase")
    if passphrase is None:
        return ArchiveHistory(ledger, None)
    if not isinstance(passphrase, str) or len(passphrase) > _MAX_PASSPHRASE or not re.fullmatch("[ -~]*", passphrase):
        raise ValueError("its networkPassphrase is not a plain text")
    return ArchiveHistory(ledger, passphrase)
