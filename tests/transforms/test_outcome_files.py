"""The report: a file for each bundle; what is written is read again, what is written twice counts once."""

from __future__ import annotations

from pathlib import Path

from bronze.errors import FrameError
from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PendingPartition
from bronze.partitioning.partition import Partition
from tests.transforms.conftest import ERA, OTHER, summary
from transforms.outcome_files import WriteReport, read_report

OUTCOMES = [
    summary(ERA, 100),
    summary(OTHER, 1000),
    PartitionFailure.of(ERA.chain, Partition(110, 119), FrameError("object x: é → “cut off”")),
    CommittedPartition(chain=ERA.chain, partition=Partition(100, 109), event_hash="sha256:00", is_new=True),
    PendingPartition(chain=ERA.chain, partition=Partition(120, 129), blocked_at=110, reason="why"),
]


def report(folder: Path, *outcomes: object) -> None:
    """Report `outcomes` as one bundle."""
    stage = WriteReport(str(folder))
    stage.start_bundle()
    for outcome in outcomes:
        stage.process(outcome)
    stage.finish_bundle()


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    report(tmp_path / "report", *OUTCOMES)

    found = list(read_report(tmp_path / "report"))

    assert sorted(found, key=repr) == sorted(OUTCOMES, key=repr)
    assert [type(one.outcome) for one in found if hasattr(one, "outcome")] == [Outcome, Outcome]


def test_an_outcome_that_is_reported_twice_counts_once(tmp_path: Path) -> None:
    for _ in range(2):
        report(tmp_path, OUTCOMES[0])
    assert list(read_report(tmp_path)) == OUTCOMES[:1]


def test_a_partition_may_have_outcomes_of_several_kinds(tmp_path: Path) -> None:
    """It is published and refused by its chain, or published and committed."""
    refused = PartitionFailure.of(ERA.chain, Partition(100, 109), FrameError("y"), published=True)
    for outcome in (summary(ERA, 100), OUTCOMES[3], refused):
        report(tmp_path, outcome)
    assert len(list(read_report(tmp_path))) == 3


def test_a_run_without_outcomes_has_an_empty_report(tmp_path: Path) -> None:
    assert list(read_report(tmp_path)) == []
