"""Names, extensions, framing and ``.config.json`` of lakes as they occur, with the real program.

Lakes that begin late, that hold objects of both extensions while they migrate, that end at the last ledger.
"""

from __future__ import annotations

import json
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
        f"begins at ledger 24 ({lake.layout.key(24)}), but era 'e1' is to be copied from ledger {max(start, 2)} on: set"
        " era.ledger_start to 24" in ran.err
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


SKIPPABLE = b"\x5a\x2a\x4d\x18" + (7).to_bytes(4, "little") + b"padding"


def test_streams_of_several_frames_give_same_bytes(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=16, ledgers_per_file=4)
    keys = {"ledger_start": 8, "ledger_end": 23, "partition_size": 8}
    whole = copier(lake.root, name="whole", **keys)
    assert whole.run().status == 0
    for ledger in (8, 12, 16):
        content = lake.content(ledger)
        parts = (content[:3], content[3:5_000], content[5_000:])  # the first of them within the batch's header
        frames = [zstandard.compress(part, level) for part, level in zip(parts, (1, 19, 3), strict=True)]
        lake.path(ledger).write_bytes(SKIPPABLE + frames[0] + frames[1] + SKIPPABLE + frames[2] + SKIPPABLE)
    copy = copier(lake.root, **keys)
    assert copy.run().status == 0
    assert copy.published() == whole.published()

    lake.path(16).write_bytes(lake.path(16).read_bytes() + b"no frame")
    ran = copier(lake.root, name="damaged", **keys).run()
    assert ran.status == 1
    (failed,) = ran.lines("failed")
    assert f"{lake.path(16)}: 8 bytes follow the zstd frame" in failed


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"version": "1.4"}, 0, ""),
        ({"compression": "zst"}, 0, ""),
        ({"version": "2.0"}, 1, "version is '2.0', this program reads 1.x: a newer bronze-copier may read it"),
        ({"compression": "lz4"}, 1, "compression is 'lz4', only 'zstd' is supported"),
    ],
)
@pytest.mark.parametrize("command", [["plan"], ["run"], ["run", "--dry-run"]], ids=" ".join)
def test_lake_configuration_is_obeyed(
    sample: Callable[..., LakeFiles],
    copier: Callable[..., Copier],
    command: list[str],
    changes: dict[str, str],
    status: int,
    message: str,
) -> None:
    lake = sample(first=8, ledgers=8)
    path = lake.root / ".config.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))
    copy = copier(lake.root, ledger_start=8, ledger_end=15, partition_size=8)
    ran = copy.run(*command)
    assert ran.status == status, ran
    assert message in ran.err
    assert copy.partitions() == ([(8, 15)] if (status, command) == (0, ["run"]) else [])


@pytest.mark.parametrize(("k", "first"), [(1, 2**32 - 20), (3, 2**32 - 19), (10, 2**32 - 16), (64, 2**32 - 64)])
def test_lake_of_last_ledgers_is_copied(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], k: int, first: int
) -> None:
    """Names are cut off at 2**32 - 1; where K is 3 the last ledger has a file of its own, named without an end."""
    last = 2**32 - 1
    lake = sample(first=first, ledgers=last - first + 1, ledgers_per_file=k)
    assert ("00000000--4294967295.xdr.zst" in {path.name for path in lake.root.rglob("*.zst")}) == (k in (1, 3))
    copy = copier(
        lake.root, ledger_start=first, ledger_end=0, partition_size=8, settings={"bronze": {"publish_partial": True}}
    )
    plan = json.loads(copy.run("plan", "--json").out)
    assert (plan["newest"]["ledger"], plan["eras"][0]["objects"]["missing"]) == (last, 0)
    assert copy.run().status == 0
    assert copy.ledgers() == list(range(first, last + 1))
    assert copy.verified()
    assert copy.run().lines("partitions") == ["0 written, 0 skipped, 0 failed"]
