"""Totals: every outcome is counted once."""

from __future__ import annotations

import dataclasses

import pytest

from bronze.errors import FrameError, RunStoppedError, VerificationError
from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PartitionSummary, PendingPartition, Report
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from pipeline.telemetry.totals import Totals

SUMMARY = PartitionSummary(
    chain="net/e/v1",
    partition=Partition(0, 9),
    outcome=Outcome.WRITTEN,
    first=2,
    last=9,
    row_count=8,
    byte_size=100,
    checksum="sha256:00",
    previous_hash="",
    first_hash="",
    last_hash="",
    storage_path="",
    producer=Producer("test", "v1", "unknown"),
    raw_bytes=1000,
    files=2,
)
FAILURE = PartitionFailure.of("net/e/v1", Partition(10, 19), FrameError("object x: empty"))
REFUSED = PartitionFailure.of("net/e/v1", Partition(0, 9), VerificationError("does not link"), published=True)
STOPPED = PartitionFailure.of("net/e/v1", Partition(10, 19), RunStoppedError("not begun"))
STOPPED_COMMIT = PartitionFailure.of("net/e/v1", Partition(0, 9), RunStoppedError("waiting"), published=True)
COMMITTED = CommittedPartition(chain="net/e/v1", partition=Partition(0, 9), event_hash="sha256:1", is_new=True)
PENDING = PendingPartition(chain="net/e/v1", partition=Partition(20, 29), blocked_at=10, reason="")


def totals(*found: Report) -> Totals:
    total = Totals()
    for one in found:
        total.add(one)
    return total


@pytest.mark.parametrize(
    ("outcome", "ledgers", "files", "raw", "parquet"),
    [
        pytest.param(Outcome.WRITTEN, 8, 2, 1000, 100, id="written"),
        pytest.param(Outcome.UNCHANGED, 8, 2, 1000, 100, id="encoded again, unchanged"),
        pytest.param(Outcome.REPLACED, 8, 2, 1000, 100, id="replaced"),
        pytest.param(Outcome.DRY_RUN, 8, 2, 1000, 100, id="measured"),
        pytest.param(Outcome.SKIPPED, 0, 0, 0, 0, id="skipped: nothing was read"),
    ],
)
def test_totals_count_what_was_encoded(outcome: Outcome, ledgers: int, files: int, raw: int, parquet: int) -> None:
    total = totals(dataclasses.replace(SUMMARY, outcome=outcome))
    assert (total.ledgers, total.files, total.raw_bytes, total.parquet_bytes) == (ledgers, files, raw, parquet)
    assert (total.outcomes[outcome], total.partitions, total.reported) == (1, 1, 1)
    assert len(total.measured) == (outcome is Outcome.DRY_RUN)


def test_measured_partitions_are_in_ledger_order() -> None:
    parts = [Partition(100, 199), Partition(0, 9), Partition(20, 29)]
    total = totals(*(dataclasses.replace(SUMMARY, outcome=Outcome.DRY_RUN, partition=part) for part in parts))
    assert [summary.partition for summary in total.measured] == sorted(parts)


@pytest.mark.parametrize(
    ("found", "complete", "reported"),
    [
        pytest.param([], True, 0, id="nothing to do"),
        pytest.param([SUMMARY], True, 1, id="published"),
        pytest.param([SUMMARY, FAILURE], False, 2, id="one failed"),
        pytest.param([SUMMARY, REFUSED], False, 1, id="published, and refused by its chain: one partition"),
        pytest.param([STOPPED], False, 1, id="one stopped"),
        pytest.param([SUMMARY, STOPPED_COMMIT], False, 1, id="published, and its commit stopped: one partition"),
        pytest.param([SUMMARY, PENDING], False, 1, id="one pending"),
    ],
)
def test_run_is_complete_without_failures_or_pending(found: list[Report], complete: bool, reported: int) -> None:
    total = totals(*found)
    assert (total.is_complete, total.reported) == (complete, reported)


def test_commits_do_not_change_totals() -> None:
    assert totals(SUMMARY, COMMITTED) == totals(SUMMARY)


def test_pending_partition_is_counted_once() -> None:
    assert len(totals(PENDING, PENDING).pending) == 1
