"""Two overlapping runs while the lake grows: the second waits or is refused, and no ledger is published twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from pipeline.sample import SampleOptions, write_sample_lake
from tests.e2e.conftest import Copier, new_copier, wait_until
from tests.faults.compare import count_rows
from tests.faults.program import finish, run, start, strace


@pytest.fixture
def lakes(tmp_path: Path) -> tuple[Path, Path]:
    """A lake that ends with ledger 25, and the same when it has grown to 31."""
    found = []
    for last in (25, 31):
        lake = tmp_path / f"lake-{last}"
        write_sample_lake(lake, SampleOptions(first=2, ledgers=last - 1, protocols=(23,), transactions=1))
        found.append(lake)
    return found[0], found[1]


def grow(lake: Path, grown: Path) -> None:
    for path in grown.rglob("*.xdr.zst"):
        target = lake / path.relative_to(grown)
        if not target.exists():
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)


def partial(root: Path, lake: Path, size: int) -> Copier:
    copy = new_copier(root, lake, ledger_start=2, ledger_end=0, partition_size=size)
    copy.settings["bronze"] = {"publish_partial": True}
    return copy


@pytest.mark.timeout(180)
@pytest.mark.parametrize("other_size", [10, 7], ids=["same size", "another size"])
def test_run_beside_partial_one_duplicates_nothing(lakes: tuple[Path, Path], tmp_path: Path, other_size: int) -> None:
    lake, grown = lakes
    copy = partial(tmp_path / "copy", lake, 10)
    # Held at the link that publishes its last partition, 22-25.
    last = copy.root / "data" / "bronze" / "standalone" / "e1" / "v1" / "ledgers_lcm_raw" / "range=22-25"
    hold = ["-P", str(last / "part-22-25.parquet"), "-e", "inject=link,linkat:delay_enter=8000000"]
    first = start(copy, under=strace(tmp_path / "trace", *hold, calls=["link", "linkat"]))
    wait_until(lambda: last.exists() or first.poll() is not None, "the last partition's directory")
    grow(lake, grown)
    copy.settings["era"]["partition_size"] = other_size
    second = run(copy)
    assert second.status == 4
    assert "is locked by bronze-copier run" in second.err
    assert finish(first).status == 0
    assert count_rows(copy) == dict.fromkeys(range(2, 26), 1)

    again = run(copy)

    assert again.status == 0, again
    assert count_rows(copy) == dict.fromkeys(range(2, 32), 1)
    assert copy.committed() == copy.partitions()
    assert run(copy, "verify").status == 0
