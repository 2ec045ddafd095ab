"""A full, read-only or failing disk: exit 1 with a message, nothing half published; the next run resumes."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, RunResult
from tests.faults.bed import Bed
from tests.faults.compare import assert_nothing_half_published
from tests.faults.program import fail_calls, run
from tests.faults.steps import PARTITIONS

pytestmark = pytest.mark.timeout(180)
FULL = pytest.mark.full
MIDDLE = PARTITIONS[9]


@pytest.fixture
def mount() -> Iterator[Callable[..., None]]:
    """``mount(folder, "size=100k")``: a tmpfs at `folder`; again for other options of it. Unmounted at the end."""
    mounted: list[Path] = []

    def make(folder: Path, options: str) -> None:
        kind = ["-t", "tmpfs", "tmpfs"] if folder not in mounted else []
        folder.mkdir(exist_ok=True)
        done = subprocess.run(
            ["mount", *kind, "-o", options if kind else f"remount,{options}", str(folder)],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode and kind:
            pytest.skip(f"a tmpfs cannot be mounted here: {done.stderr.strip()}")
        assert done.returncode == 0, done.stderr
        mounted.append(folder)

    yield make
    for folder in dict.fromkeys(mounted):
        subprocess.run(["umount", "-l", str(folder)], check=True)


def assert_fails(copy: Copier, says: str, *, under: list[str] = ()) -> RunResult:  # type: ignore[assignment]
    """Run it and assert exit 1, a message with `says`, and nothing half published."""
    ran = run(copy, under=under)
    assert ran.status == 1, ran
    assert says in ran.out + ran.err, ran
    assert "Traceback" not in ran.err, ran
    assert_nothing_half_published(copy)
    return ran


def assert_resumes(copy: Copier, bed: Bed) -> None:
    """Assert that the next run completes the copy as an undisturbed one."""
    ran = run(copy)
    assert ran.status == 0, ran
    bed.check(copy)
    with contextlib.suppress(OSError):  # a mount is removed later
        shutil.rmtree(copy.root)


# ------------------------------------------------------------------------------------------------- full disk


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize(
    ("folder", "size"),
    [
        pytest.param("data", "160k", id="under the partitions"),
        pytest.param("pas", "28k", id="under the events"),
        pytest.param("state", "4k", id="under the checkpoint"),
    ],
)
def test_full_disk_fails_cleanly_and_resumes(folder: str, size: str, bed: Bed, mount: Callable[..., None]) -> None:
    copy = bed.copy()
    mount(copy.root / folder, f"size={size}")
    if folder == "state":  # a checkpoint is replaced and never grows: something else fills the disk
        (copy.root / folder / "filler").write_bytes(bytes(4096))

    ran = assert_fails(copy, "cannot be written: No space left on device: ")
    assert re.search(rf"{copy.root / folder}\S* cannot be written: .* MB are free on the file system of", ran.err), ran
    assert len(re.findall(" ERROR ", ran.err)) <= 2, "nothing else is tried on a full disk"

    mount(copy.root / folder, "size=20m")
    (copy.root / folder / "filler").unlink(missing_ok=True)
    assert_resumes(copy, bed)


def test_file_size_limit_fails_cleanly(bed: Bed) -> None:
    copy = bed.copy()
    ran = assert_fails(copy, "File too large", under=["prlimit", "--fsize=4096"])
    assert ran.lines("failed")
    assert_resumes(copy, bed)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
@pytest.mark.parametrize("folder", ["data", "pas", "state"])
def test_read_only_disk_fails_cleanly(folder: str, bed: Bed, mount: Callable[..., None]) -> None:
    copy = bed.copy()
    mount(copy.root / folder, "size=20m")
    mount(copy.root / folder, "ro")

    ran = run(copy)

    assert ran.status in (1, 2), ran
    assert str(copy.root / folder) in ran.out + ran.err, ran
    assert "Traceback" not in ran.err, ran
    assert_nothing_half_published(copy)
    mount(copy.root / folder, "rw")
    assert_resumes(copy, bed)


# ------------------------------------------------------------------------------------------- a failing disk

FAULTS = [
    pytest.param("fsync", "EIO", lambda copy: copy.parquet(MIDDLE).parent, id="fsync of a partition's directory"),
    pytest.param("link", "EIO", lambda copy: copy.parquet(MIDDLE), id="link of a parquet file", marks=FULL),
    pytest.param("link", "ENOSPC", lambda copy: copy.parquet(MIDDLE).with_name("_manifest.json"), id="of a manifest"),
    pytest.param(
        "mkdir", "ENOSPC", lambda copy: copy.parquet(MIDDLE).parent, id="mkdir of a partition's directory", marks=FULL
    ),
    pytest.param(
        "link", "ENOSPC", lambda copy: copy.root / "pas" / f"standalone_e1_v1_{MIDDLE[0]}-{MIDDLE[1]}.json", id="event"
    ),
    pytest.param("fsync", "EIO", lambda copy: copy.root / "pas", id="fsync of the events' directory"),
    pytest.param("fsync", "EIO", lambda copy: copy.root / "state", id="fsync of the checkpoint's directory"),
    pytest.param("mkdir", "ENOSPC", lambda copy: copy.root / "state" / "_temporary", id="a new checkpoint", marks=FULL),
]
SAYS = {"EIO": "Input/output error", "ENOSPC": "No space left on device"}


@pytest.mark.parametrize(("call", "error", "path"), FAULTS)
def test_failing_system_call_stops_cleanly(call: str, error: str, path: Callable[[Copier], Path], bed: Bed) -> None:
    copy = bed.copy()
    assert_fails(copy, SAYS[error], under=fail_calls(copy, call, error, path=path(copy)))
    assert_resumes(copy, bed)


@pytest.mark.parametrize(("call", "error", "path"), FAULTS[:2])
def test_system_call_failing_once_is_retried(call: str, error: str, path: Callable[[Copier], Path], bed: Bed) -> None:
    copy = bed.copy()
    ran = run(copy, under=fail_calls(copy, call, error, path=path(copy), when="1"))
    assert ran.status == 0, ran
    bed.check(copy)


@pytest.mark.parametrize(
    ("call", "error"),
    [("fsync", "EIO"), pytest.param("rename", "EIO", marks=FULL), pytest.param("rename", "ENOSPC", marks=FULL)],
    ids=str,
)
def test_failing_kind_of_call_stops_cleanly(call: str, error: str, bed: Bed) -> None:
    """From the tenth call of a thread on, so that calls of the runner fail too."""
    copy = bed.copy()
    ran = run(copy, under=fail_calls(copy, call, error, when="10+"))
    assert ran.status == 1, ran
    assert SAYS[error] in ran.out + ran.err, ran
    assert_nothing_half_published(copy)
    assert_resumes(copy, bed)
