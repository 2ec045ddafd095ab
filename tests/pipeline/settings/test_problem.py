"""Problems: how they are written, and which keys they concern."""

from __future__ import annotations

import pytest

from pipeline.settings.problem import Problem, key_name


@pytest.mark.parametrize(
    ("problem", "text"),
    [
        (Problem(("eras", 1, "era_id"), "is missing"), "eras[1].era_id: is missing"),
        (Problem(("eras", 1, "era_id"), "is missing", origin="line 7"), "eras[1].era_id (line 7): is missing"),
        (Problem((), "not valid YAML", origin="line 7"), "line 7: not valid YAML"),
        (Problem((), "not valid YAML"), "not valid YAML"),
    ],
)
def test_problem_names_key_and_origin(problem: Problem, text: str) -> None:
    assert str(problem) == text


@pytest.mark.parametrize(
    ("keys", "concerned"),
    [
        ([("source", "mode")], True),  # it depends on it
        ([("source", "s3_bucket")], True),  # its own
        ([("source",)], True),  # the section of both
        ([("source", "mode", 1)], False),
        ([("storage", "s3_bucket")], False),
        ([], False),
    ],
)
def test_problem_concerns_its_keys(keys: list[tuple[str | int, ...]], concerned: bool) -> None:
    problem = Problem(("source", "s3_bucket"), "is missing", depends_on=(("source", "mode"),))
    assert problem.concerns(keys) is concerned


def test_key_name_writes_indexes_in_brackets() -> None:
    assert key_name(("active_eras", 0)) == "active_eras[0]"
