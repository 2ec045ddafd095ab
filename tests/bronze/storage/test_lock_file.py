"""Lock files: who holds them, killed and stopped holders, files that others left, and signals."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bronze.errors import ConfigError, LockedError
from bronze.storage.lock_file import is_lock_file_name, lock_file_name, locked_file, read_holder

REPOSITORY = Path(__file__).parents[3]
HOLD = """
import sys
from pathlib import Path
from bronze.storage.lock_file import *
print("started", flush=True)
with locked_file(Path(sys.argv[1]), what="the chain", holder="run 7 of operator", wait_s=float(sys.argv[2])):
    print("held", flush=True); sys.stdin.readline()
print("released", flush=True)
"""


@contextlib.contextmanager
def process(path: Path, wait_s: float = 60) -> Iterator[subprocess.Popen[str]]:
    """A process that takes the lock and keeps it until it gets a line."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path), str(wait_s)], cwd=REPOSITORY, stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as started:  # fmt: skip
        try:
            assert line(started) == "started"
            yield started
        finally:
            started.kill()


def line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "root" / "_temporary" / "run=x.lock"


def test_holder_is_named_while_it_holds(path: Path) -> None:
    with process(path) as holder:
        assert line(holder) == "held"
        holder.send_signal(signal.SIGSTOP)  # a stopped process keeps its locks
        started = time.monotonic()
        with (
            pytest.raises(LockedError, match=r"the chain is locked by run 7 of operator since \d{4}-.*Z \(lock file"),
            locked_file(path, what="the chain", holder="me", wait_s=0),
        ):
            raise AssertionError("both hold it")
        assert time.monotonic() - started < 10


def test_lock_of_killed_holder_is_taken_over(path: Path) -> None:
    with process(path) as holder:
        assert line(holder) == "held"
        holder.kill()
        holder.wait()
    assert "run 7 of operator" in path.read_text()
    with locked_file(path, what="the chain", holder="me", wait_s=0):
        assert json.loads(path.read_text())["holder"] == "me"
    assert list(path.parent.parent.iterdir()) == []


def test_waiting_process_gets_it_from_a_dead_one(path: Path) -> None:
    with process(path) as holder:
        assert line(holder) == "held"
        with process(path) as waiting:
            assert waiting.stderr is not None
            assert "held by run 7 of operator" in waiting.stderr.readline()
            holder.kill()
            assert line(waiting) == "held"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_signal_ends_the_wait(path: Path, number: signal.Signals) -> None:
    with process(path) as holder:
        assert line(holder) == "held"
        with process(path) as waiting:
            assert waiting.stderr is not None
            assert "waiting up to 60 s for the chain" in waiting.stderr.readline()
            waiting.send_signal(number)
            assert waiting.wait(30) == -number


def test_forked_process_does_not_keep_it(path: Path) -> None:
    with locked_file(path, what="x", holder="me", wait_s=0):
        child = os.fork()
        if not child:
            time.sleep(600)
    try:
        with locked_file(path, what="x", holder="me again", wait_s=0):
            assert "me again" in read_holder(path)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b"[1]", b'{"holder": 1}', b"[" * 4000, b"\xff"])
def test_unreadable_content_is_an_unknown_holder(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    assert read_holder(path) == "an unknown process"
    with locked_file(path, what="x", holder="me", wait_s=0):
        assert read_holder(path).startswith("me since ")


def test_terminal_escapes_of_a_holder_are_masked(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"holder": "\x1b[2Jgone\n" + "x" * 2000, "since": "now"}))
    assert read_holder(path).startswith("?[2Jgone?xxx")
    assert len(read_holder(path)) == 500


@pytest.mark.parametrize("kind", ["link", "dangling", "fifo", "directory"])
def test_other_kinds_of_files_are_refused(path: Path, tmp_path: Path, kind: str) -> None:
    path.parent.mkdir(parents=True)
    (tmp_path / "victim").write_text("precious")
    match kind:
        case "link":
            path.symlink_to(tmp_path / "victim")
        case "dangling":
            path.symlink_to(tmp_path / "missing")
        case "fifo":
            os.mkfifo(path)
        case _:
            path.mkdir()
    with (
        pytest.raises(ConfigError, match="is not a regular file, so it cannot be locked"),
        locked_file(path, what="x", holder="me", wait_s=0),
    ):
        pass
    assert (tmp_path / "victim").read_text() == "precious"
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("dangling", [True, False])
def test_linked_directory_is_refused(path: Path, tmp_path: Path, dangling: bool) -> None:
    path.parent.parent.mkdir()
    if not dangling:
        (tmp_path / "elsewhere").mkdir()
    path.parent.symlink_to(tmp_path / "elsewhere")
    with (
        pytest.raises(ConfigError, match="_temporary is a symbolic link"),
        locked_file(path, what="x", holder="me", wait_s=0),
    ):
        pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EBADF])
def test_file_system_without_locks_is_named(path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def flock(handle: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", flock)
    before = os.listdir("/proc/self/fd")  # noqa: PTH208
    with (
        pytest.raises(ConfigError, match=f"no working locks: flock of {path} answers .*{errno.errorcode[number]}"),
        locked_file(path, what="x", holder="me", wait_s=0),
    ):
        pass
    assert os.listdir("/proc/self/fd") == before  # noqa: PTH208


def test_names_are_told_from_other_files() -> None:
    names = [lock_file_name("run", name) for name in ("", "a/b", "a%2Fb", "ü" * 300, "x" * 300, "y" * 300)]
    assert len(set(names)) == 6
    assert all(is_lock_file_name(name) and len(name) < 200 for name in names)
    assert not any(map(is_lock_file_name, ("a.lock", "run=x.lock.0123456789abcdef", "notes.txt", "run=a/b.lock")))
