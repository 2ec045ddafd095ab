"""Whole runs on file systems that lack something, and with foreign things where the program keeps its own."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from bronze.storage.local import LocalStore
from tests.faults.bed import Bed
from tests.faults.program import run
from tests.support.failing_calls import build, preloaded

pytestmark = pytest.mark.timeout(180)
LACKS = {"FAIL_FLOCK_READ_ONLY": 1, "FAIL_FSYNC_DIRECTORY": errno.EINVAL, "FAIL_LINK": errno.EIO}


def test_run_needs_neither_links_nor_directory_sync(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy()
    (copy.root / "data" / "_temporary").mkdir(parents=True)
    left = copy.root / "data" / "_temporary" / "left.0123456789abcdef"
    left.write_bytes(b"of a killed run")
    ran = copy.process(**preloaded(build(tmp_path), **LACKS))
    assert ran.status == 0, ran
    assert f"fsync of the directory {copy.root}/data/_temporary answers EINVAL" in ran.log
    assert f"the file system of {copy.root}/data/_temporary has no hard links" in ran.log
    assert not left.exists()
    bed.check(copy)


def test_run_without_locks_ends_at_once(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy()
    ran = copy.process(**preloaded(build(tmp_path), FAIL_FLOCK=errno.ENOLCK))
    assert ran.status == 2, ran
    assert f"the file system of {copy.root}/" in ran.err + ran.log
    assert "has no working locks: flock of" in ran.err + ran.log
    assert "Traceback" not in ran.err + ran.log
    assert copy.published() == {}


def test_foreign_things_among_temporaries_stop_nothing(bed: Bed, tmp_path: Path) -> None:
    copy = bed.copy()
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept.0123456789abcdef").write_bytes(b"precious")
    for place in ("data", "pas", "state"):
        folder = copy.root / place / "_temporary"
        (folder / "0").mkdir(parents=True)
        (folder / "link.0123456789abcdef").symlink_to(target)
        (folder / "dangling.0123456789abcdef").symlink_to(tmp_path / "missing")
        os.mkfifo(folder / "fifo.0123456789abcdef")
        (folder / "notes").write_bytes(b"mine")
    for command in ((), ("clean",)):
        ran = copy.process(*command)
        assert ran.status == 0, ran
        for place in ("data", "pas", "state"):
            assert len(list((copy.root / place / "_temporary").iterdir())) == 5
    assert (target / "kept.0123456789abcdef").read_bytes() == b"precious"


@pytest.mark.parametrize("dangling", [True, False])
def test_linked_temporary_directory_is_refused_by_name(bed: Bed, tmp_path: Path, dangling: bool) -> None:
    copy = bed.copy()
    target = tmp_path / "target"
    if not dangling:
        target.mkdir()
        (target / "kept.0123456789abcdef").write_bytes(b"precious")
    (copy.root / "data").mkdir()
    (copy.root / "data" / "_temporary").symlink_to(target)
    ran = copy.process()
    assert ran.status == 2, ran
    assert f"{copy.root}/data/_temporary is a symbolic link" in ran.err + ran.log
    assert copy.process("clean").status == 0
    assert dangling or (target / "kept.0123456789abcdef").exists()


def test_stopped_holder_of_events_is_named(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = bed.copy()
    monkeypatch.setattr("bronze.storage.local.LOCK_WAIT_S", 1.0)
    with LocalStore(copy.root / "pas").lock():
        ran = copy.run()
    assert ran.status == 4, ran
    assert f"LockedError: {copy.root}/pas is locked by process {os.getpid()} on" in ran.out + ran.err + ran.log
    assert run(copy).status == 0
    bed.check(copy)
