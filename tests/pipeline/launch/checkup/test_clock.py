"""Comparing this machine's clock with servers and with what was written before."""

from __future__ import annotations

import time

import pytest

from pipeline.launch.checkup.check import Verdict
from pipeline.launch.checkup.clock import TOLERANCE_S, Clock, ServerTime, check_clock


@pytest.mark.parametrize(
    ("began_s_ago", "server_is_behind", "ahead"),
    [
        (10, 4, 0),  # the server's time lies within the request
        (10, 10 + 50, 50),  # it lies before the request
        (10, -50, -50),  # it lies after the answer
    ],
)
def test_time_within_request_agrees(began_s_ago: float, server_is_behind: float, ahead: float) -> None:
    now = time.time()
    found = Clock(now - began_s_ago).compare("it", now - server_is_behind)
    assert found.ahead_s == pytest.approx(ahead, abs=5)


@pytest.mark.parametrize(
    ("ahead", "words"), [(TOLERANCE_S + 1, "61 s ahead of it"), (-TOLERANCE_S - 1, "61 s behind it"), (1, "")]
)
def test_clock_that_differs_is_named(ahead: float, words: str) -> None:
    found = check_clock([ServerTime("it", ahead), ServerTime("another", 0)], [])
    assert found.verdict is (Verdict.FAILS if words else Verdict.HOLDS)
    assert words in found.found
    assert bool(found.remedy) == bool(words)


def test_clock_before_the_past_fails() -> None:
    found = check_clock([], [("this test", time.time() + 3600), ("that", 0.0)])
    assert found.verdict is Verdict.FAILS
    assert " s before this test (" in found.found
    assert "that" not in found.found.replace("which", "")
