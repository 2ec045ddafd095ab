"""The arithmetic of docs/scale.md, and that the page holds what it gives."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pubnet import SIZES, Estimate, Fleet, cost_lines, cpu_ms, estimate, table

ROOT = Path(__file__).parents[2]
FLEET = Fleet()


def test_page_holds_table_as_computed() -> None:
    assert "\n".join(table(FLEET)) in (ROOT / "docs" / "scale.md").read_text(encoding="utf-8")


def test_page_of_dataflow_holds_costs_as_computed() -> None:
    assert "\n".join(cost_lines(FLEET)) in (ROOT / "docs" / "dataflow.md").read_text(encoding="utf-8")


def test_ranges_add_up_to_whole() -> None:
    parts = [
        estimate(low, high - 1, FLEET)
        for low, high in ((2, 9_999_999), (9_999_999, 40_000_000), (40_000_000, 65_000_000))
    ]
    whole = estimate(2, 64_999_999, FLEET)

    def added(name: str) -> float:
        return sum(float(getattr(one, name)) for one in parts)

    for name in ("ledgers", "raw", "stored", "cpu_hours", "encode_hours"):
        assert added(name) == pytest.approx(getattr(whole, name)), name
    assert whole.partitions == 6500


@pytest.mark.parametrize(("raw", "milliseconds"), [(372_480, 5.0), (1_343_024, 16.4)])
def test_measured_ledgers_cost_what_was_measured(raw: int, milliseconds: float) -> None:
    assert cpu_ms(raw) == pytest.approx(milliseconds)


def test_one_size_costs_its_ledgers() -> None:
    (low, raw, stored), (high, *_) = SIZES[-2:]
    one: Estimate = estimate(low, high - 1, FLEET)
    assert one.raw == pytest.approx(raw * (high - low))
    assert one.stored == pytest.approx(stored * (high - low))
    assert one.reads > high - low
