"""A clock for what depends on the time that passes."""

from __future__ import annotations


class Clock:
    """Seconds that stand still until a test moves them."""

    def __init__(self, time: float = 0.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time
