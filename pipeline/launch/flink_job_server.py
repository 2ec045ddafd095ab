"""Beam's job server for Flink, started for one run: a Java process that translates pipelines for Flink."""

from __future__ import annotations

import ctypes
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bronze.errors import ConfigError, RunnerError
from bronze.waiting import wait_until

_START_LIMIT_S = 120.0
_END_GRACE_S = 10.0
_STARTED = re.compile(r"JobService started on (\S+:[0-9]+)")
_LOG_TAIL = 2_000
_PR_SET_PDEATHSIG = 1


@contextmanager
def job_server(jar: str, master: str, directory: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Run a job server until the block ends, or this process does; yields its ``host:port``.

    Args:
        jar: with all that it needs.
        master: of Flink, as the job server takes it.
        directory: for its log and the files that it stages.
        environment: of its process.

    Raises:
        ConfigError: there is no Java.
        RunnerError: it does not start.
    """
    java = shutil.which("java")
    if java is None:
        raise ConfigError("--flink_job_server_jar needs Java, and there is no java in PATH")
    directory.mkdir(parents=True, exist_ok=True)
    log = directory / "job-server.log"
    command = [
        java, "-Xmx1g", f"-Djava.io.tmpdir={directory}", "-jar", jar, f"--flink-master={master}",
        "--job-host=127.0.0.1", "--job-port=0", "--artifact-port=0", "--expansion-port=-1",
        f"--artifacts-dir={directory / 'artifacts'}",
    ]  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=dict(environment),
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,  # noqa: PLW1509 - two system calls
        )
    try:
        yield _wait_for_start(process, log)
    finally:
        process.terminate()
        try:
            process.wait(_END_GRACE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def log_tail(directory: Path) -> str:
    """The end of the log of the job server in `directory`; empty when there is none."""
    log = directory / "job-server.log"
    return log.read_bytes()[-_LOG_TAIL:].decode(errors="replace") if log.exists() else ""


def _wait_for_start(process: subprocess.Popen[bytes], log: Path) -> str:
    found: list[str] = []

    def is_started() -> bool:
        if process.poll() is not None:
            raise RunnerError(f"the job server ended with status {process.returncode}: {log_tail(log.parent)}")
        match = _STARTED.search(log.read_text(errors="replace"))
        found.extend([match[1]] if match else [])
        return match is not None

    if not wait_until(is_started, limit_s=_START_LIMIT_S, what="the start of the job server"):
        raise RunnerError(f"the job server did not start within {_START_LIMIT_S:.0f} s: {log_tail(log.parent)}")
    return found[0]


_LIBC = ctypes.CDLL(None)


def _end_with_parent() -> None:
    """In the new process, before Java: end it when the thread that started it ends, however that ends.

    The signals that the run takes are blocked in that thread, and would be in Java.
    """
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    if os.getppid() == 1:  # it has ended already
        os._exit(1)
