"""The path of a chart."""

from __future__ import annotations

from pipeline.report.charts import area_path


def test_no_points_make_no_path() -> None:
    assert area_path([]) == ""


def test_one_point_fills_the_width() -> None:
    assert area_path([(5, 7)]) == "M0,50V0H200V50Z"


def test_zeros_lie_on_the_axis() -> None:
    assert area_path([(0, 0), (10, 0)]) == "M0,50V50H194V50H200V50Z"


def test_many_points_make_a_short_path() -> None:
    assert len(area_path([(at, at % 97) for at in range(100_000)])) < 3000
