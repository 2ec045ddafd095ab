"""The rate limit: how long it waits, by a clock that only its waiting moves."""

from __future__ import annotations

import pytest

from bronze.storage.rate_limit import RateLimiter


class Watch:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def test_rate_limit_waits_after_the_burst() -> None:
    watch = Watch()
    limiter = RateLimiter(2.0, clock=watch.time, sleep=watch.sleep)
    limiter.acquire(2_000_000)  # a second's worth is available from the start
    assert watch.now == 100.0
    for _ in range(10):
        limiter.acquire(1_000_000)
    assert watch.now == pytest.approx(105.0)
    watch.now += 60  # unused time is kept for a second only
    limiter.acquire(4_000_000)
    assert watch.now == pytest.approx(166.0)


def test_unlimited_rate_never_waits() -> None:
    watch = Watch()
    RateLimiter(None, clock=watch.time, sleep=watch.sleep).acquire(10**15)
    assert watch.now == 100.0
