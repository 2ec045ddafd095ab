"""Numbers for people."""

from __future__ import annotations

import pytest

from pipeline.sizes import format_size, number_of


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (999, "999 B"), (1000, "1.0 KB"), (1_500_000, "1.5 MB"), (2e9, "2.0 GB"), (3.2e15, "3200.0 TB")],
)
def test_size_has_a_decimal_unit(count: float, text: str) -> None:
    assert format_size(count) == text


def test_one_of_a_kind_is_singular() -> None:
    assert [number_of(count, "ledger") for count in (0, 1, 1200)] == ["0 ledgers", "1 ledger", "1,200 ledgers"]
