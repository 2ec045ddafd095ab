"""Timestamps: what Go writes, and the present time."""

from __future__ import annotations

import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.timestamps import rfc3339, seconds_of


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000000001Z"),
        (1_795_195_523_958_408_739, "2026-11-20T17:25:23.958408739Z"),
        (1_795_195_523_950_000_000, "2026-11-20T17:25:23.95Z"),
    ],
)
def test_timestamp_is_written_as_in_go(nanoseconds: int, text: str) -> None:
    assert rfc3339(nanoseconds) == text


@given(st.integers(0, 4_000_000_000))
def test_timestamp_can_be_parsed_back(seconds: int) -> None:
    assert datetime.fromisoformat(rfc3339(seconds * 1_000_000_000)).timestamp() == seconds


def test_timestamp_without_argument_is_now() -> None:
    before = time.time_ns() // 1000 * 1000
    stated = datetime.fromisoformat(rfc3339().removesuffix("Z")[:26] + "+00:00")
    assert before / 1e9 - 0.001 <= stated.timestamp() <= time.time() + 0.001


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-20T17:25:23.5Z", 1795195523.5),
        ("2026-11-20T18:25:23+01:00", 1795195523.0),
        ("2026-11-20T17:25:23", None),  # of which zone?
        ("0001-01-01T00:00:00+23:59", None),
        ("9999-12-31T23:59:59-23:59", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_seconds_of_untrusted_text(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds
