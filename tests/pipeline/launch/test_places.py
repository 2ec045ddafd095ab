"""The places of a run: printed absolute; a new chain in a relative place needs a terminal or a word."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.conftest import REPOSITORY, Copier, start
from tests.pipeline.commands.conftest import copier, copy, own_environment, sample, sample_lakes

__all__ = ["copier", "copy", "own_environment", "sample", "sample_lakes"]


@pytest.fixture
def relative(copy: Copier) -> Copier:
    """The program with places that are relative to the working directory."""
    copy.settings["storage"]["local_dir"] = "./data"
    copy.settings["pas"]["backup_dir"] = "pas"
    copy.settings["checkpoint"]["dir"] = "state"
    return copy


def test_every_place_is_logged_absolute(relative: Copier) -> None:
    relative.settings["catalog"] = {"postgres_dsn": "postgresql://me:hunter22@127.0.0.1:9/db", "strict": False}
    relative.settings["pas"]["endpoint"] = "http://127.0.0.1:9/token-in-path"
    relative.settings["perf"] = {"retry_attempts": 1}
    log = relative.process("--allow-relative", LOG_LEVEL="info").log
    for line in (
        f"lake         {relative.lake} (",
        f"destination  {relative.root}/data/bronze",
        f"events       {relative.root}/pas",
        f"checkpoint   {relative.root}/state",
        "catalog      127.0.0.1:9/db",
        "endpoint     http://127.0.0.1:9",
    ):
        assert line in log
    assert "hunter22" not in log
    assert "token-in-path" not in log


def test_places_inside_lake_are_warned_of(copy: Copier) -> None:
    for section, key in (("storage", "local_dir"), ("pas", "backup_dir"), ("checkpoint", "dir")):
        copy.settings[section][key] = str(copy.lake / "mine")
    warned = [line for line in copy.run("plan").err.splitlines() if "lies inside the lake" in line]
    assert [line.partition("WARNING ")[2].partition(" lies")[0] for line in warned] == [
        f"storage: {copy.lake}/mine/bronze",
        f"pas.backup_dir: {copy.lake}/mine",
        f"checkpoint.dir: {copy.lake}/mine",
    ]
    for section, key in (("storage", "local_dir"), ("pas", "backup_dir"), ("checkpoint", "dir")):
        copy.settings[section][key] = f"{copy.lake}-beside"
    assert copy.run("plan").err == ""


def test_new_chain_in_relative_place_is_refused(relative: Copier) -> None:
    ran = relative.process()
    assert (ran.status, ran.out) == (2, "")
    assert f"storage.local_dir './data' is {relative.root}/data; checkpoint.dir 'state' is" in ran.err
    assert "--allow-relative" in ran.err
    assert [path.name for path in relative.root.iterdir()] == ["config.yaml"]


def test_relative_chain_that_has_begun_goes_on(relative: Copier) -> None:
    assert relative.process("--allow-relative").status == 0
    assert relative.process().status == 0
    elsewhere = relative.root / "elsewhere"
    elsewhere.mkdir()
    process = start("--config", relative.config, cwd=elsewhere)
    assert "would begin anew" in process.communicate(timeout=60)[1]
    assert process.returncode == 2
    assert list(elsewhere.iterdir()) == []


def test_dry_run_and_absolute_places_are_free(copy: Copier) -> None:
    assert copy.process().status == 0
    copy.settings["storage"]["local_dir"] = "./other"
    copy.settings["pas"]["enabled"] = copy.settings["checkpoint"]["enabled"] = False
    assert copy.process("--dry-run").status == 0
    assert copy.process().status == 2  # neither checkpoint nor events: what is published decides
    assert copy.process("--allow-relative").status == 0
    assert copy.process().status == 0


def test_terminal_allows_a_relative_place(relative: Copier, tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    try:
        ran = subprocess.run(
            [sys.executable, "-m", "pipeline.main", "--config", relative.config],
            stdin=theirs, cwd=relative.root, env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(ours)
        os.close(theirs)
    assert (ran.returncode, relative.checkpoint()) == (0, 31)
