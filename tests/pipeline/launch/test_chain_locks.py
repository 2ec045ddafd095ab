"""Whole runs exclude each other, from planning to the end; who comes second says who holds the chain, or waits."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from bronze.storage.lock_file import this_process
from pipeline.launch.chain_locks import exclusive_chains
from pipeline.launch.prepare import connect_without_lake
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes  # noqa: F401

# ruff: noqa: F811 - fixtures are imported by name


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """16 ledgers in four partitions."""
    return copier(sample(first=8, ledgers=16).root, ledger_start=8, ledger_end=23, partition_size=4)


@contextmanager
def another_run(copy: Copier) -> Iterator[None]:
    """Another run holds the chain inside the block."""
    connections = connect_without_lake(load(copy.config, {}))
    with connections, exclusive_chains(connections, "run", 0):
        yield


@pytest.mark.parametrize("command", ["run", "repair"])
def test_second_command_is_refused_naming_the_holder(copy: Copier, command: str) -> None:
    with another_run(copy):
        ran = copy.process(command)
    assert ran.status == 4
    for says in ("standalone/e1/v1", "is locked by bronze-copier run", this_process(), "since 2"):
        assert says in ran.err
    assert copy.published() == {}
    assert copy.process(command).status == 0


def test_runs_with_same_events_exclude_each_other(copy: Copier) -> None:
    """Though they publish into different places: both would append to one chain."""
    with another_run(copy):
        copy.settings["storage"]["local_dir"] = str(copy.root / "elsewhere")
        ran = copy.process()
    assert ran.status == 4
    assert f"the events of standalone/e1/v1 in {copy.root / 'pas'} is locked by bronze-copier run" in ran.err


def test_refused_run_makes_no_event_directory(copy: Copier) -> None:
    """It would look like a volume that is mounted, and empty."""
    assert copy.run().status == 0
    shutil.rmtree(copy.root / "pas")
    ran = copy.run()
    assert (ran.status, "holds none of its event files" in ran.err) == (1, True)
    assert not (copy.root / "pas").exists()


@pytest.mark.parametrize("arguments", [("plan",), ("run", "--dry-run")])
def test_commands_that_write_nothing_take_no_lock(copy: Copier, arguments: tuple[str, ...]) -> None:
    with another_run(copy):
        assert copy.process(*arguments).status == 0


def test_waiting_run_continues_when_holder_ends(copy: Copier) -> None:
    with another_run(copy):
        waiting = copy.start("run", "--wait", "300")
        assert waiting.stderr is not None
        assert "waiting up to 300 s for the chain bronze/standalone/e1/v1" in waiting.stderr.readline()
        assert copy.published() == {}
    out, err = waiting.communicate(timeout=200)
    assert waiting.returncode == 0, (out, err)
    assert len(copy.published()) == 4
