"""The same lake gives the same bytes: however many workers, in however many runs, whatever killed one of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.xdr import is_compiled
from tests.e2e.conftest import READER_WARNING, TIMEOUT_S, Copier, LakeFiles, era, new_copier, small, wait_until
from tests.faults.program import start, strace

#: 48 ledgers in files of 4, in eras that begin inside files; 13 partitions.
LAKE = {"first": 8, "ledgers": 48, "ledgers_per_file": 4}
ERAS = [
    era("a", ledger_start=8, ledger_end=21, partition_size=4),
    era("b", ledger_start=22, ledger_end=37, partition_size=4),
    era("c", ledger_start=38, ledger_end=55, partition_size=4),
]
PARTITIONS = 13


def of_eras(eras: list[dict[str, Any]], **ends: int) -> list[dict[str, Any]]:
    return [{**one, "ledger_end": ends.get(one["era_id"], one["ledger_end"])} for one in eras]


def done(copy: Copier, *arguments: str, **settings: Any) -> Copier:
    for section, values in settings.items():
        copy.settings[section] = values if isinstance(values, list) else {**copy.settings.get(section, {}), **values}
    ran = copy.run(*arguments)
    assert (ran.status, ran.err) == (0, "")
    return copy


@pytest.fixture(scope="module")
def once(sample_lakes: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Copier:
    """The lake copied by one worker in one run: the reference for all others."""
    copy = done(new_copier(tmp_path_factory.mktemp("once") / "copy", sample_lakes(small(**LAKE)), eras=ERAS))
    assert len(copy.published()) == PARTITIONS
    return copy


def with_four_workers(copy: Copier) -> Copier:
    return done(copy, perf={"workers": 4, "max_in_flight_partitions": 4})


def in_many_waves(copy: Copier) -> Copier:
    return done(copy, perf={"workers": 2, "wave_partitions": 2})


def an_era_at_a_time(copy: Copier) -> Copier:
    for name in "abc":
        done(copy, "--eras", name)
    return copy


def with_the_end_moved(copy: Copier) -> Copier:
    """Each run ends at a partition's end."""
    for end in (41, 49):
        done(copy, eras=of_eras(ERAS, c=end))
    return done(copy, eras=ERAS)


def sent_back_by_an_operator(copy: Copier) -> Copier:
    """The checkpoint of the second era is set back, so its partitions are examined again."""
    done(copy, "--eras", "a,b")
    path = copy.root / "state" / "checkpoint_standalone_b_v1.json"
    checkpoint = json.loads(path.read_text())
    checkpoint["last_committed_ledger"] = 29
    del checkpoint["last_committed_partition"]
    path.write_text(json.dumps(checkpoint))
    done(copy, "--eras", "b")
    return done(copy)


def without_its_state(copy: Copier) -> Copier:
    """Checkpoints and chain heads are caches: lost ones are rebuilt with the next partition."""
    done(copy, eras=of_eras(ERAS, a=15, b=29, c=45))
    for path in (copy.root / "state").iterdir():
        path.unlink()
    (copy.root / "pas" / "pas-chain-heads.json").unlink()
    return done(copy, eras=ERAS)


WAYS = [
    with_four_workers,
    in_many_waves,
    an_era_at_a_time,
    with_the_end_moved,
    sent_back_by_an_operator,
    without_its_state,
]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__.replace("_", " "))
def test_every_way_of_copying_gives_same_files(
    way: Callable[[Copier], Copier], once: Copier, copier: Callable[..., Copier]
) -> None:
    other = way(copier(once.lake, name="other", eras=ERAS))

    assert other.published() == once.published()
    assert other.documents() == once.documents()
    assert [other.committed(name) for name in "abc"] == [once.committed(name) for name in "abc"]
    assert [other.checkpoint(name) for name in "abc"] == [21, 37, 55]
    assert other.verified()
    assert other.leftovers() == []


@pytest.mark.parametrize(
    "compression",
    ["zstd", "snappy", "none"],
)
def test_second_run_changes_no_byte(
    compression: str, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    copy = copier(
        sample(first=8, ledgers=16).root,
        ledger_start=8,
        ledger_end=23,
        partition_size=8,
        settings={"bronze": {"compression": compression}},
    )
    done(copy)
    before = {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files_of(copy)}

    done(copy)

    assert {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in files_of(copy)} == before


def files_of(copy: Copier) -> list[Any]:
    return [path for path in copy.root.rglob("*") if path.is_file() and path.name != "config.yaml"]


@pytest.mark.parametrize(
    ("stuck_at", "workers"),
    [
        pytest.param(12, 1, id="in the second partition"),
        pytest.param(28, 2, id="in the middle"),
        pytest.param(54, 2, id="in the last partition"),
    ],
)
def test_run_killed_while_reading_is_resumed(
    stuck_at: int, workers: int, once: Copier, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    """Killed at the system call that opens one lake object."""
    lake = sample(**LAKE)
    copy = copier(lake.root, name="killed", eras=ERAS, settings={"perf": {"workers": workers, "wave_partitions": 2}})
    opened = ["-P", str(lake.path(stuck_at)), "-e", "inject=openat:signal=SIGKILL"]

    process = start(copy, under=strace(copy.root / "trace", *opened, calls=["openat"]))
    out, err = process.communicate(timeout=TIMEOUT_S)

    assert process.returncode == -signal.SIGKILL, err
    assert out == ""
    assert 0 < len(copy.published()) < PARTITIONS
    done(copy)
    assert copy.published() == once.published()
    assert copy.documents() == once.documents()
    assert copy.verified()
    assert copy.leftovers() == []


@pytest.mark.parametrize("nth", [1, 3, 6])
def test_run_killed_after_publishing_is_resumed(nth: int, once: Copier, copier: Callable[..., Copier]) -> None:
    """Killed when the n-th parquet file appears, whether or not its manifest or event exists yet."""
    copy = copier(once.lake, name="killed", eras=ERAS, settings={"perf": {"workers": 2, "wave_partitions": 2}})

    process = copy.start()
    try:
        wait_until(lambda: len(list((copy.root / "data").rglob("part-*.parquet"))) >= nth, f"{nth} parquet files")
    finally:
        process.kill()
        process.communicate()

    done(copy)
    assert copy.published() == once.published()
    assert copy.documents() == once.documents()
    assert copy.verified()
    assert copy.leftovers() == []


@pytest.mark.parametrize(
    ("reader", "workers"),
    [
        pytest.param("interpreted", "1", id="interpreted, in the program itself"),
        pytest.param("interpreted", "2", id="interpreted, two processes"),
        pytest.param(
            "compiled",
            "2",
            id="compiled, two threads",
            marks=pytest.mark.skipif(not is_compiled(), reason="the reader is not compiled"),
        ),
    ],
)
def test_both_readers_give_same_bytes(
    reader: str, workers: str, sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake, keys = sample(first=8, ledgers=16).root, {"ledger_start": 8, "ledger_end": 23, "partition_size": 4}
    once = done(copier(lake, name="once", **keys))
    copy = copier(lake, name="other", **keys, settings={"perf": {"workers": int(workers)}})

    ran = copy.process(BRONZE_READER=reader)

    assert ran.status == 0, ran.err
    assert (READER_WARNING in ran.log) == (reader == "interpreted")
    assert copy.published() == once.published()
    assert copy.documents() == once.documents()
    assert copy.verified()
