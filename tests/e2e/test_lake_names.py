"""Lakes that begin late, and lakes that hold objects of both extensions while they migrate: with the real program."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import zstandard

from tests.e2e.conftest import Copier, LakeFiles, pack


@pytest.mark.parametrize("command", [["plan"], ["run"], ["run", "--dry-run"]], ids=" ".join)
@pytest.mark.parametrize(("k", "start"), [(1, 2), (1, 12), (4, 1), (4, 10)])
def test_late_lake_is_told_at_once(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], command: list[str], k: int, start: int
) -> None:
    lake = sample(first=24, ledgers=16, ledgers_per_file=k)
    copy = copier(lake.root, ledger_start=start, ledger_end=39, partition_size=8)

    ran = copy.run(*command)

    assert ran.status == 2
    assert (
        f"begins at ledger 24 ({lake.layout.key(24)}), but era 'e1' is to be copied from ledger {max(start, 2)}"
        in ran.err
    )
    assert copy.partitions() == []


def test_late_lake_is_copied_from_its_start(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    lake = sample(first=24, ledgers=16)
    copy = copier(lake.root, ledger_start=24, ledger_end=39, partition_size=8)
    assert copy.run().status == 0
    assert copy.partitions() == [(24, 31), (32, 39)]


def test_published_partitions_need_no_older_objects(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=32)
    copy = copier(lake.root, ledger_start=8, ledger_end=23, partition_size=8)
    assert copy.run().status == 0
    for ledger in range(8, 20):  # the lake's owner removes what is old
        lake.remove(ledger)
    (copy.root / "state" / "checkpoint.json").unlink()
    copy.settings["era"]["ledger_end"] = 39
    assert copy.run().status == 0
    assert copy.partitions() == [(8, 15), (16, 23), (24, 31), (32, 39)]
    assert copy.verified()


def test_empty_lake_is_told_at_once(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    lake = sample(first=8, ledgers=4)
    for ledger in range(8, 12):
        lake.remove(ledger)
    ran = copier(lake.root, ledger_start=8, ledger_end=11, partition_size=2).run()
    assert ran.status == 2
    assert f"the lake {lake.root} is empty" in ran.err


def rename(lake: LakeFiles, ledger: int) -> None:
    path = lake.path(ledger)
    path.rename(path.with_suffix(".zstd"))


@pytest.mark.parametrize("workers", [1, 2])
def test_migrating_lake_is_copied_whole(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], workers: int
) -> None:
    lake = sample(first=8, ledgers=32)
    whole = copier(lake.root, name="whole", ledger_start=8, ledger_end=39, partition_size=8)
    assert whole.run().status == 0
    for ledger in [*range(8, 21), 30]:
        rename(lake, ledger)
    double = lake.path(35)
    double.with_suffix(".zstd").write_bytes(zstandard.compress(lake.content(35), 19))
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8, settings={"perf": {"workers": workers}})
    assert copy.run().status == 0
    for partition in whole.partitions():
        assert copy.parquet(partition).read_bytes() == whole.parquet(partition).read_bytes()


def test_different_doubles_fail_their_partition(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=32)
    double = lake.path(20).with_suffix(".zstd")
    double.write_bytes(pack(lake.content(21)))
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)

    ran = copy.run()

    assert ran.status == 1
    assert f"object {lake.path(20)} is also there as {double.name}, with different content" in ran.out
    assert copy.partitions() == [(8, 15), (24, 31), (32, 39)]
    double.unlink()
    assert copy.run().status == 0
    assert copy.verified()
