"""Signs of life of a run: lines where there is no terminal, a live display on one, and neither breaks the run."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.e2e.conftest import REPOSITORY, Copier, LakeFiles, finish, wait_until


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """Eight partitions of ledgers so large that the interpreted reader takes seconds, on a fast machine too."""
    return copier(
        sample(first=8, ledgers=32, transactions=250).root,
        ledger_start=8,
        ledger_end=39,
        partition_size=4,
        settings={"logging": {"level": "info", "progress_seconds": 1}},
    )


def test_lines_within_wave_have_figures(copy: Copier) -> None:
    """Also while Beam is loaded, and at the end."""
    ran = copy.process(BRONZE_READER="interpreted", LOG_FORMAT="json")
    lines = [line for line in map(json.loads, ran.log.splitlines()) if "partitions_total" in line]
    assert ran.status == 0
    assert len(lines) >= 2
    assert (lines[-1]["partitions_done"], lines[-1]["partitions_total"], lines[-1]["ledgers"]) == (8, 8, 32)
    assert lines[-1]["msg"].startswith("8 of 8 partitions (100 %), 0 in flight; 32 ledgers; ")
    assert lines[-1]["msg"].endswith("; committed up to 39")


def test_waiting_run_says_so(copy: Copier) -> None:
    """It waits for the locks of another one."""
    copy.settings["perf"]["wave_partitions"] = 1
    first = copy.start(BRONZE_READER="interpreted")
    wait_until(lambda: bool(copy.partitions()), "a run that holds the chains")
    second = copy.process("run", "--wait", "60")
    assert (finish(first).status, second.status) == (0, 0)
    assert "INFO    planning (" in second.log


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("gone", [False, True], ids=["terminal stays", "terminal goes"])
def test_live_display_on_terminal(columns: int, gone: bool, copy: Copier) -> None:
    """It fits, is removed at the end, and a terminal that goes away does not end the run."""
    ours, theirs = pty.openpty()
    environ = {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": str(columns), "TERM": "xterm"}
    program = subprocess.Popen(
        [sys.executable, "-m", "pipeline.main", "run", "--config", str(copy.config)],
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=theirs, cwd=copy.root,
        env=environ | {"BRONZE_READER": "interpreted", "NO_COLOR": "1"},
    )  # fmt: skip
    os.close(theirs)
    seen = b""
    while b"ledgers/s" not in seen:
        seen += os.read(ours, 65536)
    if not gone:
        while True:
            try:
                seen += os.read(ours, 65536)
            except OSError:  # the other end was closed
                break
    os.close(ours)
    assert program.wait(60) == 0
    assert gone or "━" in seen.decode(errors="replace")
    assert b"\x1b[3" not in seen  # no colours
    assert len(copy.partitions()) == 8
    assert copy.verified()


@pytest.mark.parametrize(("closed", "log_format"), [("1", "text"), ("2", "text"), ("2", "json")])
def test_closed_output_changes_no_status(closed: str, log_format: str, copy: Copier) -> None:
    """Standard output or standard error that was closed before the start."""
    statuses = []
    for config in (copy.config, copy.root / "missing.yaml"):
        command = [sys.executable, "-m", "pipeline.main", "run", "--config", str(config)]
        done = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}>&-', "sh", *command],
            capture_output=True, text=True, cwd=copy.root, check=False,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "LOG_FORMAT": log_format},
        )  # fmt: skip
        statuses.append(done.returncode)
        assert "Traceback" not in done.stderr
    assert statuses == [0, 2]
    assert copy.verified()
