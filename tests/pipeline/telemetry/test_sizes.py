"""Numbers of bytes for people."""

from __future__ import annotations

import pytest

from pipeline.telemetry.sizes import format_size


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_500_000, "1.5 MB"), (2e9, "2.0 GB"), (3.2e15, "3200.0 TB")],
)
def test_size_has_a_decimal_unit(count: float, text: str) -> None:
    assert format_size(count) == text
