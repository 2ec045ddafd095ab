"""The temporary directories of runs: a dead run's goes with the next run, even one without work; a live one's stays."""

# ruff: noqa: F811 - fixtures are imported by name

from __future__ import annotations

import signal
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.launch.scratch import remove_dead_scratch, scratch
from tests.e2e.conftest import (  # noqa: F401
    Copier,
    LakeFiles,
    copier,
    own_environment,
    sample,
    sample_lakes,
    wait_until,
)


@pytest.fixture
def location(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files go."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)  # it is asked for anew
    return folder


@pytest.fixture
def left(location: Path, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """A run of three partitions that was killed as soon as it had its directory."""
    copy = copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=31, partition_size=8)
    run = copy.start()
    try:
        # Not just anything: Python tries first whether it can write there, with a file that it removes again.
        wait_until(lambda: any(location.glob("bronze-copier-*")), "the run's directory")
    finally:
        run.send_signal(signal.SIGKILL)
        run.communicate()
    assert len(list(location.iterdir())) == 1
    return copy


def test_idle_run_removes_dead_scratch(left: Copier, location: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    assert left.process(TMPDIR=str(elsewhere)).status == 0
    assert len(list(location.iterdir())) == 1
    ran = left.process()
    assert (ran.status, ran.lines("written")) == (0, [])
    assert list(location.iterdir()) == []


def test_clean_removes_dead_scratch(left: Copier, location: Path) -> None:
    (folder,) = location.iterdir()
    ran = left.run("clean")
    assert (ran.status, f"removed {folder}" in ran.out.splitlines()) == (0, True)
    assert not folder.exists()


def test_live_scratch_is_kept(location: Path) -> None:
    with scratch() as folder:
        assert remove_dead_scratch() == []
        assert list(location.iterdir()) == [folder]
    assert list(location.iterdir()) == []
