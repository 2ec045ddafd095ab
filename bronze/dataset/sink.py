"""Sinks: where the bytes of a parquet file go while it is written."""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

from bronze.measurements import STORAGE_ERROR, report


class Sink(Protocol):
    """Accepts the bytes of a file in order."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`; return its length."""
        ...


class HashingSink:
    """Pass bytes on to `target`, and keep their count and SHA-256.

    Has as much of a binary file's interface as pyarrow needs.

    Attributes:
        size: bytes written so far.
    """

    def __init__(self, target: Sink) -> None:
        self._target = target
        self._hash = hashlib.sha256()
        self.size = 0
        self.closed = False

    def write(self, data: Any) -> int:
        """Hash `data` (any buffer) and pass it on."""
        view = memoryview(data)
        self._hash.update(view)
        self.size += len(view)
        try:
            return self._target.write(view)
        except Exception:
            report(STORAGE_ERROR)
            raise

    def tell(self) -> int:
        """Bytes written so far: the position at which the next write lands."""
        return self.size

    def flush(self) -> None:
        """Do nothing: no bytes are buffered here."""

    def close(self) -> None:
        """End the file. The target stays open: its owner publishes it."""
        self.closed = True

    def detach(self) -> None:
        """Discard everything written from now on."""
        self._target = NullSink()

    @property
    def checksum(self) -> str:
        """``sha256:`` and the hex digest of all bytes written so far."""
        return f"sha256:{self._hash.hexdigest()}"


class NullSink:
    """Discards what is written."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Return the length of `data`."""
        return len(data)
