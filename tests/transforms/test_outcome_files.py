"""Outcome files: a file for each bundle; every outcome comes back, and counts once."""

from __future__ import annotations

import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import FrameError
from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PendingPartition
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from tests.support.gcs_server import gcs_bucket, gcs_server
from tests.transforms.conftest import ERA, OTHER, summary
from transforms.outcome_files import OutcomeFiles, SeenOutcomes, WriteOutcomes

__all__ = ["gcs_bucket", "gcs_server"]

OUTCOMES = [
    summary(ERA, 100),
    summary(OTHER, 1000),
    PartitionFailure.of(ERA.chain, Partition(110, 119), FrameError("object x: é → “cut off”")),
    CommittedPartition(chain=ERA.chain, partition=Partition(100, 109), event_hash="sha256:00", is_new=True),
    PendingPartition(chain=ERA.chain, partition=Partition(120, 129), blocked_at=110, reason="why"),
]


@pytest.fixture
def outcome_files(tmp_path: Path) -> OutcomeFiles:
    return OutcomeFiles(StorageLocation(str(tmp_path / "control")), "wave-0")


def report(outcome_files: OutcomeFiles, *outcomes: Any) -> None:
    """Report `outcomes` as one bundle."""
    stage = WriteOutcomes(outcome_files)
    stage.start_bundle()
    for outcome in outcomes:
        stage.process(outcome)
    stage.finish_bundle()


def test_outcomes_are_read_as_written(outcome_files: OutcomeFiles) -> None:
    report(outcome_files, *OUTCOMES)
    assert sorted(outcome_files.read(), key=repr) == sorted(OUTCOMES, key=repr)


def test_outcomes_travel_through_object_stores(gcs_bucket: str) -> None:
    """As between machines that share no directory."""
    outcome_files = OutcomeFiles(StorageLocation(f"gs://{gcs_bucket}/control"), "wave-0")
    report(outcome_files, *OUTCOMES[:2])
    report(pickle.loads(pickle.dumps(outcome_files)), *OUTCOMES[2:])
    assert sorted(outcome_files.read(), key=repr) == sorted(OUTCOMES, key=repr)
    outcome_files.remove()
    assert list(outcome_files.read()) == []


def test_retried_bundles_count_once(outcome_files: OutcomeFiles) -> None:
    for _ in range(2):
        report(outcome_files, OUTCOMES[0])
    assert list(outcome_files.read()) == OUTCOMES[:1]


def test_failed_bundle_reports_nothing(outcome_files: OutcomeFiles) -> None:
    stage = WriteOutcomes(outcome_files)
    stage.start_bundle()
    stage.process(OUTCOMES[0])
    stage.start_bundle()
    stage.process(OUTCOMES[1])
    stage.finish_bundle()
    assert list(outcome_files.read()) == [OUTCOMES[1]]


def test_partition_may_have_several_kinds(outcome_files: OutcomeFiles) -> None:
    """It is published and refused by its chain, or published and committed."""
    refused = PartitionFailure.of(ERA.chain, Partition(110, 119), FrameError("y"), published=True)
    outcomes = [summary(ERA, 100), OUTCOMES[3], summary(ERA, 110), refused]
    for outcome in outcomes:
        report(outcome_files, outcome)
    assert sorted(outcome_files.read(), key=repr) == sorted(outcomes, key=repr)


def _of_100(kind: str) -> Any:
    part = {"chain": ERA.chain, "partition": Partition(100, 109)}
    made = {
        "written": summary(ERA, 100),
        "skipped": replace(summary(ERA, 100), outcome=Outcome.SKIPPED),
        "failed": PartitionFailure.of(*part.values(), FrameError("x")),  # type: ignore[arg-type]
        "refused": PartitionFailure.of(*part.values(), FrameError("x"), published=True),  # type: ignore[arg-type]
        "new": CommittedPartition(**part, event_hash="sha256:00", is_new=True),  # type: ignore[arg-type]
        "known": CommittedPartition(**part, event_hash="sha256:00", is_new=False),  # type: ignore[arg-type]
        "pending": PendingPartition(**part, blocked_at=90, reason="why"),  # type: ignore[arg-type]
    }
    return made[kind]


@pytest.mark.parametrize(
    ("better", "worse"),
    [
        ("written", "skipped"),  # the bundle was repeated after it had published
        ("written", "failed"),  # ... after a failure that passed
        ("skipped", "failed"),
        ("new", "known"),
        ("known", "pending"),  # what came before it was committed by the repeated one
        ("known", "refused"),
        ("refused", "pending"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_better_outcome_of_repeated_bundles_counts(
    better: str, worse: str, is_first: bool, outcome_files: OutcomeFiles
) -> None:
    for kind in (better, worse) if is_first else (worse, better):
        report(outcome_files, _of_100(kind))
    assert outcome_files.read() == [_of_100(better)]


def test_seen_outcomes_are_read_once(outcome_files: OutcomeFiles) -> None:
    seen = SeenOutcomes(outcome_files)
    assert (seen.new(), seen.count()) == ([], 0)
    report(outcome_files, OUTCOMES[0], OUTCOMES[3])
    assert seen.count() == 1  # published and committed, one partition
    assert seen.new() == []
    report(outcome_files, OUTCOMES[2])
    assert seen.new() == [OUTCOMES[2]]


def test_look_that_fails_loses_no_outcomes(outcome_files: OutcomeFiles, tmp_path: Path) -> None:
    for one in OUTCOMES[:3]:
        report(outcome_files, one)
    last = max((tmp_path / "control").rglob("*.jsonl"))
    content = last.read_bytes()
    seen = SeenOutcomes(outcome_files)
    last.write_bytes(b"\xff")
    with pytest.raises(UnicodeDecodeError):
        seen.new()
    last.write_bytes(content)
    assert sorted(seen.new(), key=repr) == sorted(OUTCOMES[:3], key=repr)


def test_waves_do_not_mix(outcome_files: OutcomeFiles) -> None:
    later = OutcomeFiles(outcome_files.location, "wave-1")
    report(outcome_files, OUTCOMES[0])
    report(later, OUTCOMES[1])
    outcome_files.remove()
    assert (list(outcome_files.read()), list(later.read())) == ([], [OUTCOMES[1]])


def test_no_outcomes_write_no_files(outcome_files: OutcomeFiles, tmp_path: Path) -> None:
    report(outcome_files)
    assert list(outcome_files.read()) == []
    assert list(tmp_path.iterdir()) == []
