"""How fast the cores are while a case runs: other load slows them down for seconds, by half or more.

A thread does the same small piece of work ten times a second and takes the CPU time that it needed, so waiting for its
turn does not count. It costs about one percent.
"""

from __future__ import annotations

import hashlib
import threading
import time
from types import TracebackType
from typing import Self

_PIECE = bytes(256 << 10)
_PAUSE_S = 0.1


class Speed:
    """Measures from entry to exit; `mean` is then in pieces of work a second of CPU."""

    def __init__(self) -> None:
        self._found: list[float] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._measure, daemon=True)

    @property
    def mean(self) -> float:
        """Over the time measured."""
        return sum(self._found) / len(self._found)

    def _measure(self) -> None:
        while True:
            started = time.thread_time()
            hashlib.sha256(_PIECE)
            self._found.append(1 / (time.thread_time() - started))
            if self._over.wait(_PAUSE_S):
                return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()
