"""SIGKILL between a partition's files: of a partial partition before the lake grows on, and of one being replaced."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, new_copier
from tests.faults.bed import Bed
from tests.faults.compare import count_rows, duplicates
from tests.faults.program import run, strace
from tests.faults.steps import FIRST

pytestmark = pytest.mark.timeout(300)
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
LINK = ("link", "linkat")


def kill(copy: Copier, path: Path, calls: tuple[str, ...]) -> None:
    """Run the program until it makes one of the calls on `path`."""
    options = ["-P", str(path), "-e", f"inject={','.join(calls)}:signal=SIGKILL:when=1"]
    ran = run(copy, under=strace(copy.root / "trace", *options, calls=calls))
    assert ran.status in KILLED, ran


def small_copy(bed: Bed, root: Path, *, last: int, **keys: object) -> Copier:
    """A copier of the lake's ledgers up to `last`."""
    lake = root / "lake"
    shutil.copytree(bed.lake, lake)
    for path in lake.rglob("*.xdr.zst*"):
        if int(path.name.partition("--")[2].partition(".")[0].partition("-")[0]) > last:
            path.unlink()
    settings = {"bronze": {"publish_partial": True}, "perf": {"workers": 1, "retry_backoff_ms": 1}}
    return new_copier(root / "copy", lake, settings=settings, ledger_start=FIRST, partition_size=10, **keys)


@pytest.mark.parametrize("options", [(), ("--publish-partial",)], ids=["whole", "partial"])
def test_killed_partial_partition_is_finished_first(options: tuple[str, ...], bed: Bed, tmp_path: Path) -> None:
    copy = small_copy(bed, tmp_path, last=FIRST + 15, ledger_end=0)
    tail = (FIRST + 10, FIRST + 15)
    kill(copy, copy.parquet(tail).parent / "_manifest.json", LINK)
    assert copy.parquet(tail).exists()
    assert duplicates(copy) == []
    copy.settings["source"]["local_path"] = str(bed.lake)
    copy.settings["bronze"]["publish_partial"] = bool(options)

    assert copy.run(*options).status == 0

    newest = copy.checkpoint()
    assert newest >= FIRST + 49
    assert copy.partitions()[1:3] == [tail, (FIRST + 16, FIRST + 19)]
    assert count_rows(copy) == dict.fromkeys(range(FIRST, newest + 1), 1)
    assert copy.verified()


def manifest(copy: Copier, part: tuple[int, int]) -> Path:
    return copy.parquet(part).parent / "_manifest.json"


def event(copy: Copier, part: tuple[int, int]) -> Path:
    return copy.root / "pas" / f"standalone_e1_v1_{part[0]}-{part[1]}.2.json"


@pytest.mark.parametrize(
    ("path", "calls"),
    [
        pytest.param(manifest, ("unlink",), id="before its manifest goes"),
        pytest.param(Copier.parquet, LINK, id="before its file is replaced"),
        pytest.param(manifest, LINK, id="before its new manifest"),
        pytest.param(event, LINK, id="before its new event"),
    ],
)
def test_killed_replacement_is_noticed_by_every_run(
    path: Callable[[Copier, tuple[int, int]], Path], calls: tuple[str, ...], bed: Bed, tmp_path: Path
) -> None:
    copy = small_copy(bed, tmp_path, last=FIRST + 31, ledger_end=FIRST + 29)
    assert copy.run().status == 0
    parts = copy.partitions()
    copy.settings["bronze"] = {"compression": "none"}
    copy.settings["era"]["allow_overwrite"] = True
    kill(copy, path(copy, parts[1]), calls)
    assert duplicates(copy) == []

    # An ordinary run with the same settings: it completes what changed nothing, and refuses the rest.
    copy.settings["era"]["allow_overwrite"] = False
    for _ in range(2):
        ran = copy.run()
        is_whole = {len(copy.events()), len(set(copy.committed()))} == {len(parts)} and not list(
            copy.folder().rglob("_replacing.json")
        )
        assert ran.status == (0 if is_whole and copy.verified() else 1), ran
        assert duplicates(copy) == []
    assert copy.run("plan").status == 0
    copy.settings["era"]["allow_overwrite"] = True
    assert copy.run().status == 0
    copy.settings["era"]["allow_overwrite"] = False
    assert copy.run().status == 0
    assert count_rows(copy) == dict.fromkeys(range(FIRST, FIRST + 30), 1)
    assert not list(copy.folder().rglob("_replacing.json"))
    assert copy.verified()
