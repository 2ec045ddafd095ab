"""Signals before and beside a copy: they end the program at once, whatever it waits for, also as process 1."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from tests.support.processes import descendants

#: Announces itself and then waits in a call that Python's own signal handlers would not interrupt.
PROGRAM = """
import ctypes, sys
from pipeline.early_signals import exit_on_signals
exit_on_signals()
print("ready", flush=True)
wait = ctypes.CDLL(None).pause
while True:
    wait()
"""


def start(*under: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*under, sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_ends_program_at_once(number: signal.Signals) -> None:
    program = start()
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.send_signal(number)
    _, err = program.communicate(timeout=30)
    assert (program.returncode, err) == (128 + number, f"bronze-copier: stopped by {number.name}\n")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may make process namespaces")
def test_signal_ends_process_one() -> None:
    program = start("unshare", "--pid", "--fork", "--kill-child")
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    os.kill(descendants(program.pid)[-1], signal.SIGTERM)
    program.communicate(timeout=30)
    assert program.returncode == 128 + signal.SIGTERM


def test_ignored_signal_stays_ignored() -> None:
    program = start("env", "--ignore-signal=INT")
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    program.send_signal(signal.SIGINT)
    program.send_signal(signal.SIGTERM)
    program.communicate(timeout=30)
    assert program.returncode == 128 + signal.SIGTERM
