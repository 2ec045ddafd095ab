"""Stores on file systems that lack something: what is used instead, what is refused, and by which words.

A preloaded library makes calls of the C library fail as NFS, FUSE and other file systems do; bind mounts are real.
"""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bronze.errors import ConfigError
from bronze.storage.local import LocalStore
from bronze.storage.mounts import Mount
from bronze.storage.store import TEMPORARY
from tests.support.failing_calls import build, preloaded

REPOSITORY = Path(__file__).parents[3]
#: Everything that a run does with a store.
USE = """
import logging, os, sys
logging.basicConfig(format="%(levelname)s %(message)s")
from bronze.errors import *
from bronze.storage.local import LocalStore
store = LocalStore(sys.argv[1])
handles = len(os.listdir("/proc/self/fd"))
def attempt(what, function):
    try: print(what, function(), flush=True)
    except (BronzeError, OSError) as error: print(what, type(error).__name__, error, flush=True)
def locked():
    with store.lock("p"), store.exclusive("chain", holder="me", wait_s=0): return "inside"
def probe():
    for notice in store.check_conditional_writes(): logging.warning("%s", notice)
attempt("probe", probe)
attempt("create", lambda: store.create("p/q/a", b"one"))
attempt("again", lambda: store.create("p/q/a", b"two"))
attempt("replace", lambda: store.replace("p/q/b", b"three"))
attempt("update", lambda: store.update("p/c", lambda old: b"four"))
attempt("lock", locked)
attempt("clean", store.remove_leftovers)
attempt("read", lambda: store.read("p/q/a"))
attempt("delete", lambda: store.delete("p/q/b"))
print("handles", len(os.listdir("/proc/self/fd")) - handles)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("library"))


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


def use(root: Path, library: Path | None = None, **failures: int) -> tuple[dict[str, str], str]:
    """What each use of a store at `root` answers, and what was logged."""
    ran = subprocess.run(
        [sys.executable, "-c", USE, str(root)], cwd=REPOSITORY, capture_output=True, text=True, check=False,
        env={**os.environ, **preloaded(library, **failures)} if library else None, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    return {what: answer for what, _, answer in (line.partition(" ") for line in ran.stdout.splitlines())}, ran.stderr


def assert_works(answers: dict[str, str], root: Path) -> None:
    again = answers.pop("again")
    assert again.startswith("ObjectExistsError"), again
    assert answers == {
        "probe": "None", "create": "None", "replace": "None", "update": "b'four'", "lock": "inside", "clean": "[]",
        "read": "b'one'", "delete": "None", "handles": "0",
    }  # fmt: skip
    assert sorted(str(path.relative_to(root)) for path in root.rglob("*")) == ["p", "p/c", "p/q", "p/q/a"]


def test_ordinary_file_system_passes_in_silence(root: Path) -> None:
    answers, logged = use(root)
    assert_works(answers, root)
    assert logged == ""


def test_locks_need_no_read_only_file(root: Path, library: Path) -> None:
    (root / TEMPORARY).mkdir(parents=True)
    (root / TEMPORARY / "left.0123456789abcdef").write_bytes(b"of a killed run")
    answers, logged = use(root, library, FAIL_FLOCK_READ_ONLY=1)
    assert answers["clean"] == f"['{TEMPORARY}/left.0123456789abcdef']"
    assert_works({**answers, "clean": "[]"}, root)
    assert logged == ""


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_missing_directory_sync_is_noticed(root: Path, library: Path, number: int) -> None:
    answers, logged = use(root, library, FAIL_FSYNC_DIRECTORY=number)
    assert_works(answers, root)
    assert f"fsync of the directory {root}/{TEMPORARY} answers {errno.errorcode[number]}" in logged


NO_LINKS = [errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EIO, errno.EMLINK]


@pytest.mark.parametrize("number", NO_LINKS, ids=errno.errorcode.get)
def test_files_are_renamed_without_hard_links(root: Path, library: Path, number: int) -> None:
    answers, logged = use(root, library, FAIL_LINK=number)
    assert_works(answers, root)
    assert f"the file system of {root}/{TEMPORARY} has no hard links" in logged


@pytest.mark.parametrize("number", [errno.EPERM, errno.EIO], ids=errno.errorcode.get)
def test_neither_links_nor_renames_are_refused(root: Path, library: Path, number: int) -> None:
    answers, _ = use(root, library, FAIL_LINK=number, FAIL_RENAMEAT2=errno.EINVAL)
    for what in ("probe", "create"):
        assert answers[what].startswith(f"ConfigError the file system of {root}/"), answers
        assert f"answers {os.strerror(number)}) and cannot rename without replacing" in answers[what]
        assert "choose a directory on another file system" in answers[what]
    assert answers["handles"] == "0"
    assert not (root / TEMPORARY).exists()


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP], ids=errno.errorcode.get)
def test_missing_locks_are_refused_and_leave_nothing(root: Path, library: Path, number: int) -> None:
    answers, _ = use(root, library, FAIL_FLOCK=number)
    for what in ("probe", "create", "replace", "update", "lock"):
        assert answers[what].startswith(f"ConfigError the file system of {root}/{TEMPORARY} has no working locks"), what
        assert errno.errorcode[number] in answers[what]
    assert answers["handles"] == "0"
    assert [path for path in root.rglob("*") if not path.is_dir()] == []


def test_locks_that_exclude_nobody_are_refused(root: Path, library: Path) -> None:
    answers, _ = use(root, library, FLOCK_DOES_NOTHING=1)
    assert answers["probe"].startswith(f"ConfigError locks on the file system of {root}/{TEMPORARY} exclude nobody")
    assert not root.exists() or not (root / TEMPORARY).exists()


def test_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    LocalStore(tmp_path / "new" / "root").check_conditional_writes()
    assert list(tmp_path.iterdir()) == []
    LocalStore(tmp_path).create("a", b"x")
    LocalStore(tmp_path).check_conditional_writes()
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_unwritable_root_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match=f"{tmp_path}/file/root cannot be written to .* Not a directory"):
        LocalStore(tmp_path / "file" / "root").check_conditional_writes()


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """``mount(folder, "--bind", other)`` and the like; unmounted at the end."""
    mounted: list[Path] = []

    def make(folder: Path, *arguments: object) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(["mount", *map(str, arguments), folder], capture_output=True, check=False)
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.decode().strip()}")
        mounted.append(folder)

    yield make
    for folder in reversed(mounted):
        subprocess.run(["umount", "-l", folder], check=True)


@pytest.mark.parametrize("kind", ["tmpfs", "bind"])
def test_volume_below_the_root_has_its_own_temporaries(
    root: Path, tmp_path: Path, kind: str, mount: Callable[..., None]
) -> None:
    (tmp_path / "other").mkdir()
    arguments = ("-t", "tmpfs", "none") if kind == "tmpfs" else ("--bind", tmp_path / "other")
    mount(root / "p", *arguments)
    answers, logged = use(root)
    assert_works(answers, root)
    assert logged == ""
    (root / "p" / TEMPORARY).mkdir()
    (root / "p" / TEMPORARY / "left.0123456789abcdef").touch()
    assert LocalStore(root).remove_leftovers() == [f"p/{TEMPORARY}/left.0123456789abcdef"]


def test_volume_mounted_later_is_named(root: Path, mount: Callable[..., None]) -> None:
    store = LocalStore(root)
    store.create("p/a", b"x")
    mount(root / "p", "-t", "tmpfs", "none")
    for use in (lambda: store.create("p/b", b"x"), lambda: store.replace("p/b", b"x")):
        with pytest.raises(ConfigError, match=f"{root}/p is on another file system than {root}/{TEMPORARY}"):
            use()
    LocalStore(root).create("p/b", b"x")
    assert LocalStore(root).read("p/b") == b"x"


def test_file_system_that_replaces_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving a file a name that is taken is answered as done, as by services that merge writes."""
    monkeypatch.setattr("bronze.storage.local_probe.create_name", lambda _, target: target.write_bytes(b""))
    with pytest.raises(ConfigError, match="replaces files that must not be replaced"):
        LocalStore(tmp_path / "root").check_conditional_writes()
    assert list(tmp_path.iterdir()) == []


def test_file_system_that_hides_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.listdir", lambda _: [])
    with pytest.raises(ConfigError, match="was created and is not listed"):
        LocalStore(tmp_path / "root").check_conditional_writes()
    assert list(tmp_path.iterdir()) == []


def test_locks_of_one_machine_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mount = Mount(point=str(tmp_path.resolve()), kind="nfs4", options=frozenset({"rw", "local_lock=all"}))
    monkeypatch.setattr("bronze.storage.local_probe.read_mounts", lambda: [mount])
    (notice,) = LocalStore(tmp_path / "root").check_conditional_writes()
    assert "locks do not reach other machines: never run two copiers" in notice
