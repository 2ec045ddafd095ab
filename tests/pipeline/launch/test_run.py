"""A run: its waves, its outcomes, and what it does when a runner loses partitions."""

from __future__ import annotations

import errno
import logging
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.commit.checkpoint import CheckpointFile
from bronze.errors import ConfigError, RunnerError
from bronze.waiting import is_stopping
from pipeline.launch.prepare import prepare
from pipeline.launch.run import run_copy
from pipeline.launch.runner import Runner, choose_runner
from pipeline.settings import load
from pipeline.telemetry.totals import Finished
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes, wait_until  # noqa: F401

# ruff: noqa: F811 - fixtures are imported by name


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """32 ledgers in eight partitions."""
    return copier(sample(first=8, ledgers=32).root, ledger_start=8, ledger_end=39, partition_size=4)


def run(copy: Copier, *beam_arguments: str, wrap: Callable[[Runner], Runner] = lambda runner: runner) -> Finished:
    """Run the copy with the runner that the settings choose, or one around it."""
    settings = load(copy.config, {})
    prepared = prepare(settings)
    with prepared.connections as connections:
        return run_copy(settings, prepared, wrap(choose_runner(settings, connections, beam_arguments)))


class Spy:
    """A runner around the local one that sees each run of the graph."""

    def __init__(self, runner: Runner, see: Callable[[], None] = lambda: None) -> None:
        self._runner = runner
        self._see = see

    def __getattr__(self, name: str) -> Any:
        return getattr(self._runner, name)

    def run(self, graph: Any) -> None:
        self._see()
        self._runner.run(graph)


def test_waves_are_committed_one_by_one(copy: Copier) -> None:
    copy.settings["perf"]["wave_partitions"] = 3
    committed: list[int] = []

    finished = run(copy, wrap=lambda runner: Spy(runner, lambda: committed.append(len(copy.committed()))))

    assert committed == [0, 3, 6]
    assert (finished.totals.partitions, len(copy.committed())) == (8, 8)


class Stopped(Spy):
    """A runner at whose end of each wave the process is told to stop."""

    def run(self, graph: Any) -> None:
        super().run(graph)
        os.kill(os.getpid(), signal.SIGTERM)
        wait_until(is_stopping, "the signal")


def test_stop_between_waves_names_the_rest(copy: Copier) -> None:
    copy.settings["perf"]["wave_partitions"] = 3

    finished = run(copy, wrap=Stopped)

    assert (finished.stopped_by, len(copy.committed())) == (128 + signal.SIGTERM, 3)
    assert finished.totals.failures == []
    assert [str(one.partition) for one in finished.totals.stopped] == ["20-23", "24-27", "28-31", "32-35", "36-39"]
    again = run(copy, wrap=Stopped)
    assert [str(one.partition) for one in again.totals.stopped] == ["32-35", "36-39"]  # what exists is not named


class Forgetful(Spy):
    """A runner that runs nothing."""

    def run(self, graph: Any) -> None:
        self._see()


def test_lost_partitions_are_an_error(copy: Copier) -> None:
    """Neither published nor failed: they must not pass for done."""
    with pytest.raises(RunnerError, match="the runner reported 0 of 8 partitions of a wave"):
        run(copy, wrap=Forgetful)


class Distributed(Spy):
    """A runner whose workers are elsewhere."""

    is_distributed = True


def test_distributed_runner_refuses_local_locations(copy: Copier) -> None:
    with pytest.raises(
        ConfigError, match=r"workers on other machines cannot reach .*: .* must all be on object stores"
    ):
        run(copy, wrap=Distributed)
    assert not (copy.root / "data").exists()


def test_outcome_files_are_removed(copy: Copier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    run(copy)
    assert list(temporary.iterdir()) == []


def test_each_wave_is_logged_for_debugging(copy: Copier, caplog: pytest.LogCaptureFixture) -> None:
    copy.settings["perf"]["wave_partitions"] = 4
    with caplog.at_level(logging.DEBUG, "pipeline.launch.run"):
        run(copy)
    said = [record.getMessage() for record in caplog.records if "partitions (" in record.getMessage()]
    assert [line.split(";")[0] for line in said] == [
        "4 of 8 partitions (50 %), up to ledger 23 of standalone/e1/v1",
        "8 of 8 partitions (100 %), up to ledger 39 of standalone/e1/v1",
    ]


def test_unwritable_checkpoint_leaves_summary(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    """A disk that is full in the middle of the run: the checks at its start found nothing."""

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointFile, "save", full)
        ran = copy.run()

    assert (ran.status, ran.lines("partitions")) == (1, ["8 written, 0 skipped, 0 failed, 1 refused"])
    (refused,) = ran.lines("refused")
    assert refused.startswith("standalone/e1/v1 8-11: OSError:")
    assert len(ran.lines("pending")) == 7
    assert copy.run().status == 0
    assert len(copy.committed()) == 8
    assert copy.verified()
