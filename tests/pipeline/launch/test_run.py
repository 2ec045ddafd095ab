"""A run: its waves, its workers, and what it does when a runner does not keep its word."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import ConfigError
from pipeline.launch import run as runs
from pipeline.launch.local_runner import local_options, run_locally
from pipeline.launch.prepare import Prepared, prepare
from pipeline.launch.run import run_copy
from pipeline.settings import Settings, load
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes  # noqa: F401

# ruff: noqa: F811 - fixtures are imported by name


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """32 ledgers in eight partitions."""
    return copier(sample(first=8, ledgers=32).root, ledger_start=8, ledger_end=39, partition_size=4)


def prepared_of(copy: Copier) -> tuple[Settings, Prepared]:
    settings = load(copy.config, {})
    return settings, prepare(settings)


class Spy:
    """Sees each run of the graph, and lets it run."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.options: list[dict[str, Any]] = []
        self.committed: list[int] = []
        monkeypatch.setattr(runs, "run_locally", self)
        self.copy: Copier | None = None

    def __call__(self, graph: Any, options: Any) -> None:
        self.options.append(options.get_all_options())
        if self.copy:
            self.committed.append(len(self.copy.committed()))
        run_locally(graph, options)


def test_every_wave_is_committed_before_the_next_begins(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.settings["perf"]["wave_partitions"] = 3
    spy = Spy(monkeypatch)
    spy.copy = copy
    finished = run_copy(*prepared_of(copy))
    assert spy.committed == [0, 3, 6]
    assert (finished.totals.partitions, len(copy.committed())) == (8, 8)


@pytest.mark.parametrize(
    ("workers", "in_flight", "count", "mode"),
    [
        pytest.param(1, 4, 1, "in_memory", id="one worker"),
        pytest.param(3, 4, 3, "multi_threading", id="several workers"),
        pytest.param(4, 2, 2, "multi_threading", id="no more than partitions in flight"),
    ],
)
def test_the_settings_say_how_many_workers(
    workers: int, in_flight: int, count: int, mode: str, copy: Copier, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy.settings["perf"].update(workers=workers, max_in_flight_partitions=in_flight)
    monkeypatch.setattr(runs, "is_compiled", lambda: True)
    spy = Spy(monkeypatch)
    run_copy(*prepared_of(copy))
    assert [(o["direct_num_workers"], o["direct_running_mode"]) for o in spy.options] == [(count, mode)]


@pytest.mark.parametrize(
    ("workers", "threads", "mode"),
    [(1, True, "in_memory"), (1, False, "in_memory"), (2, True, "multi_threading"), (2, False, "multi_processing")],
)
def test_threads_when_the_reader_is_compiled_processes_otherwise(workers: int, threads: bool, mode: str) -> None:
    options = local_options(workers, threads=threads, beam_arguments=[])
    assert options.get_all_options()["direct_running_mode"] == mode


def test_beam_options_win_over_the_settings() -> None:
    options = local_options(
        4, threads=True, beam_arguments=["--direct_num_workers=2", "--direct_running_mode=in_memory"]
    )
    found = options.get_all_options()
    assert (found["direct_num_workers"], found["direct_running_mode"]) == (2, "in_memory")


@pytest.mark.parametrize("runner", ["DataflowRunner", "FlinkRunner", "PrismRunner", "PortableRunner", ""])
def test_other_runners_are_refused_before_anything_is_written(runner: str, copy: Copier) -> None:
    with pytest.raises(ConfigError, match="allowed are DirectRunner and FnApiRunner"):
        run_copy(*prepared_of(copy), ["--runner", runner])
    assert not (copy.root / "data").exists()


def test_a_partition_that_the_runner_loses_is_an_error(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither published nor failed: it must not pass for done."""
    monkeypatch.setattr(runs, "read_report", lambda folder: [])
    with pytest.raises(RuntimeError, match="the runner reported 0 of 8 partitions of a wave"):
        run_copy(*prepared_of(copy))


def test_reports_of_a_wave_do_not_stay(copy: Copier, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    run_copy(*prepared_of(copy))
    assert list(temporary.iterdir()) == []


def test_progress_is_logged_for_every_wave(copy: Copier, caplog: pytest.LogCaptureFixture) -> None:
    copy.settings["perf"]["wave_partitions"] = 4
    with caplog.at_level(logging.INFO):
        run_copy(*prepared_of(copy))
    said = [record.getMessage() for record in caplog.records if "partitions (" in record.getMessage()]
    assert [line.split(";")[0] for line in said] == [
        "4 of 8 partitions (50 %), up to ledger 23 of standalone/e1/v1",
        "8 of 8 partitions (100 %), up to ledger 39 of standalone/e1/v1",
    ]


def test_a_chain_that_cannot_be_written_leaves_a_summary(copy: Copier) -> None:
    """Something in the place of the checkpoint's directory of temporary files, as a full disk would be."""
    (copy.root / "state").mkdir()
    (copy.root / "state" / "_temporary").touch()

    ran = copy.run()

    assert (ran.status, ran.lines("partitions")) == (1, ["8 written, 0 skipped, 0 failed, 1 refused"])
    (refused,) = ran.lines("refused")
    assert refused.startswith("standalone/e1/v1 8-11: NotADirectoryError:")
    assert len(ran.lines("pending")) == 7
    (copy.root / "state" / "_temporary").unlink()
    assert copy.run().status == 0
    assert len(copy.committed()) == 8
    assert copy.verified()
