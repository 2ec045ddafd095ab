"""Runs the real command line, under strace when a fault is to be injected.

strace injects a signal or an error on entry to a system call, before it takes effect; the program has no hook for it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.e2e.conftest import REPOSITORY, TIMEOUT_S, Copier, RunResult
from tests.faults.steps import TRACED


def environment(copy: Copier, **more: str) -> dict[str, str]:
    """The environment of the program: nothing configures it, and its temporary directory is its own."""
    folder = copy.root / "tmp"
    folder.mkdir(exist_ok=True)
    kept = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
    return {
        **{name: value for name, value in os.environ.items() if name in kept},
        "PYTHONPATH": str(REPOSITORY),
        "TMPDIR": str(folder),
        **more,
    }


def start(
    copy: Copier,
    command: str = "run",
    *,
    under: Sequence[str] = (),
    module: str = "pipeline.main",
    arguments: Sequence[str] = (),
    **environ: str,
) -> subprocess.Popen[str]:
    """Start the real command line, `under` strace or prlimit when told; in a process group of its own.

    Args:
        module: what is run instead of the program.
        arguments: of the command, behind its configuration.
    """
    return subprocess.Popen(
        [*under, sys.executable, "-m", module, command, "--config", str(copy.config), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=copy.root,
        env=environment(copy, **environ),
        start_new_session=True,
    )


def child_of(process: int) -> int:
    """The program that strace runs."""
    return int(Path(f"/proc/{process}/task/{process}/children").read_text().split()[0])


def finish(process: subprocess.Popen[str]) -> RunResult:
    """Wait for it; all of its group is ended when that takes too long."""
    try:
        out, err = process.communicate(timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return RunResult(process.returncode, out, err)


def run(copy: Copier, command: str = "run", *, under: Sequence[str] = (), **environ: str) -> RunResult:
    """Run the real command line to its end."""
    return finish(start(copy, command, under=under, **environ))


def strace(trace: Path | str, *options: str, calls: Sequence[str] = TRACED) -> list[str]:
    """The command line of strace.

    Not with ``--seccomp-bpf``, which is quicker: strace 6.1 then delivers no signal that it injects.
    """
    chosen = ["-e", f"trace={','.join(calls)}", "-e", "signal=none", *options]
    return ["strace", "-f", "-qq", "-y", "-s", "200", "-o", str(trace), *chosen]


def fail_calls(copy: Copier, calls: str, error: str, *, path: Path | None = None, when: str = "") -> list[str]:
    """The command line of strace that makes `calls` fail with `error`, on `path` only when it is given."""
    fault = f"inject={calls}:error={error}" + (f":when={when}" if when else "")
    where = ["-P", str(path)] if path else []
    return strace(copy.root / "trace", *where, "-e", fault, calls=[calls])
