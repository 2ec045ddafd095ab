"""The report: a file for each outcome, the same when it is written twice, read again as it was."""

from __future__ import annotations

from pathlib import Path

from bronze.summary import Commit, Outcome, PartitionFailure, Pending
from tests.transforms.conftest import ERA, OTHER, summary
from transforms.report import WriteReport, read_report

OUTCOMES = [
    summary(ERA, 100),
    summary(OTHER, 1000),
    PartitionFailure(ERA.chain, 110, 119, "FrameError", "object x: é → “cut off”"),
    Commit(ERA.chain, 100, 109, "sha256:00", is_new=True),
    Pending(ERA.chain, 120, 129, 110, "why"),
]


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    stage = WriteReport(str(tmp_path / "report"))
    for outcome in OUTCOMES:
        stage.process(outcome)

    found = list(read_report(tmp_path / "report"))

    assert sorted(found, key=repr) == sorted(OUTCOMES, key=repr)
    assert [type(one.outcome) for one in found if hasattr(one, "outcome")] == [Outcome, Outcome]


def test_an_outcome_that_is_reported_twice_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        WriteReport(str(tmp_path)).process(OUTCOMES[0])
    assert list(read_report(tmp_path)) == OUTCOMES[:1]


def test_a_partition_has_a_file_for_each_kind_of_outcome(tmp_path: Path) -> None:
    """It is published and refused by its chain, or published and committed."""
    for outcome in (summary(ERA, 100), OUTCOMES[3], PartitionFailure(ERA.chain, 100, 109, "x", "y", published=True)):
        WriteReport(str(tmp_path)).process(outcome)
    assert len(list(read_report(tmp_path))) == 3


def test_a_run_without_outcomes_has_an_empty_report(tmp_path: Path) -> None:
    assert list(read_report(tmp_path)) == []
