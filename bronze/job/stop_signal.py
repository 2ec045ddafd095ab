"""The request to stop a run: an object that launcher and workers can reach, wherever each of them runs."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress

from bronze.errors import ObjectExistsError, StoreError
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store

KEY = "stop"
#: Seconds between two lookups of a store on another machine.
LOOKUP_INTERVAL_S = 5.0
#: Stop objects that a worker of this process asked for: the disk that they would be on may be full.
_ASKED: set[str] = set()


class StopSignal:
    """Whether the run whose stop object lies at `location` is to stop.

    Threads may share one: at worst each of them looks once.

    Args:
        location: where the object appears, as `KEY`.
        interval_s: the least time in seconds between two lookups on another machine.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        location: StorageLocation,
        *,
        interval_s: float = LOOKUP_INTERVAL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._location = location
        self._path = os.path.join(location.path, KEY) if location.scheme == "local" else ""  # noqa: PTH118
        self._interval_s = interval_s
        self._clock = clock
        self._next_lookup_at = float("-inf")
        self._is_requested = False

    def request(self) -> None:
        """Ask the run to stop. Asking again changes nothing.

        Raises:
            StoreError, OSError: the object cannot be created.
        """
        with suppress(ObjectExistsError):
            open_store(self._location).create(KEY, b"")

    def request_from_worker(self) -> None:
        """Ask the run to stop; the workers of this process learn it also where the object cannot be created."""
        if self._path:
            _ASKED.add(self._path)
        with suppress(StoreError, OSError):
            self.request()

    def is_requested(self) -> bool:
        """Whether the run was asked to stop; asked for every lake file, so it costs next to nothing.

        A directory is looked at each time, which takes about a microsecond. A store on another machine is looked at
        once in `interval_s`, and not any more once the object was seen. Where the store does not answer, nothing is
        known of a request, and the run continues.
        """
        if self._path:
            return self._path in _ASKED or os.path.exists(self._path)  # noqa: PTH110 - a Path costs more than the call
        if not self._is_requested and self._clock() >= self._next_lookup_at:
            self._next_lookup_at = self._clock() + self._interval_s
            with suppress(StoreError, OSError):
                self._is_requested = open_store(self._location).size(KEY) is not None
        return self._is_requested
