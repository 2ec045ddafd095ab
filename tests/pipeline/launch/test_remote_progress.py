"""The state of a run learns from outcome files how far workers are that run elsewhere, of each outcome once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.errors import FrameError
from bronze.outcomes import CommittedPartition, PartitionFailure
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from pipeline.launch import remote_progress
from pipeline.launch.remote_progress import told_of
from pipeline.telemetry.run_state import ChainProgress, RunState
from tests.e2e.conftest import wait_until
from tests.transforms.conftest import ERA, summary
from transforms.elements import PartitionKey
from transforms.outcome_files import OutcomeFiles, SeenOutcomes, WriteOutcomes


def write(outcomes: OutcomeFiles, *reports: object) -> None:
    stage = WriteOutcomes(outcomes)
    stage.start_bundle()
    for one in reports:
        stage.process(one)  # type: ignore[arg-type]
    stage.finish_bundle()


def test_state_is_told_while_workers_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remote_progress, "_LOOK_S", 0.01)
    state, outcomes = RunState(), OutcomeFiles(StorageLocation(str(tmp_path)), "wave-0")
    state.plan([ChainProgress(chain=("net", "e1", "v1"), planned=3, planned_ledgers=30, committed=99)])
    with told_of(
        SeenOutcomes(outcomes),
        state,
        [PartitionKey(ERA.chain, Partition(start, start + 9)) for start in (100, 110, 120)],
    ):
        write(outcomes, summary(ERA, 100))
        wait_until(lambda: state.snapshot().chains[0].done == 1, "the first partition")
        write(outcomes, summary(ERA, 100), summary(ERA, 110))  # one bundle was repeated
        write(outcomes, CommittedPartition(chain=ERA.chain, partition=Partition(100, 109), event_hash="", is_new=True))
        write(outcomes, PartitionFailure.of(ERA.chain, Partition(120, 129), FrameError("x")))
        write(outcomes, summary(ERA, 130))  # the lake has grown
    found = state.snapshot().chains[0]
    assert (found.done, found.failed, found.committed, found.done_ledgers) == (4, 1, 109, 40)
    assert (found.planned, found.planned_ledgers) == (4, 40)
