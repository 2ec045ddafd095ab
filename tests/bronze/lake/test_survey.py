"""Counting the objects of a range by listings: missing, empty and doubled ones, and what it costs."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.lake.layout import LakeLayout
from bronze.lake.survey import WindowCount, count_objects, spread_files
from bronze.storage.local import LocalStore
from bronze.storage.memory import MemoryStore
from bronze.storage.store import ListedObject, Store

LAYOUT = LakeLayout(1, 8)


class Pages(MemoryStore):
    """A store that lists a thousand names with each request, and counts the requests."""

    def __init__(self) -> None:
        super().__init__(is_remote=True)
        self.pages = 0

    def list_objects(self, prefix: str, *, after: str = "") -> Generator[ListedObject, None, None]:
        self.pages += 1
        for number, entry in enumerate(super().list_objects(prefix, after=after)):
            self.pages += bool(number) and number % 1000 == 0
            yield entry


@pytest.fixture(params=["disk", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return LocalStore(tmp_path / "lake") if request.param == "disk" else Pages()


def fill(store: Store, keys: list[str], size: int = 1) -> None:
    for key in keys:
        store.create(key, b"x" * size)


def starts(layout: LakeLayout, first: int, last: int) -> range:
    return range(layout.file_start(first), last + 1, layout.ledgers_per_file)


def runs(counts: list[WindowCount], kind: Callable[[WindowCount], object]) -> list[list[int]]:
    return [list(run) for one in counts for run in kind(one)]  # type: ignore[attr-defined]


@pytest.mark.parametrize("layout", [LakeLayout(1, 8), LakeLayout(1, 1), LakeLayout(4, 2), LakeLayout(4, 1)])
def test_missing_files_and_bytes_are_counted(store: Store, layout: LakeLayout) -> None:
    wanted = starts(layout, 8, 39)
    gone = {wanted[1], wanted[2], wanted[-1]}
    fill(store, [layout.key(ledger) for ledger in starts(layout, 2, 60) if ledger not in gone], size=7)

    counts = list(count_objects(store, layout, [wanted]))

    assert [ledger for one in counts for ledger in one.files] == list(wanted)
    assert sorted(ledger for run in runs(counts, lambda one: one.missing) for ledger in run) == sorted(gone)
    assert sum(one.found for one in counts) == len(wanted) - 3
    assert sum(one.size_bytes for one in counts) == 7 * (len(wanted) - 3)


def test_either_extension_counts_as_there(store: Store) -> None:
    old = LakeLayout(1, 8, "zstd")
    fill(store, [LAYOUT.key(8), old.key(9), LAYOUT.key(10), old.key(10)], size=5)
    (count,) = count_objects(store, LAYOUT, [range(8, 12)])
    assert (count.found, count.doubles, count.size_bytes, [*count.missing]) == (3, 1, 20, [range(11, 12)])


def test_objects_of_no_bytes_are_told(store: Store) -> None:
    fill(store, [LAYOUT.key(ledger) for ledger in (8, 9, 12)], size=3)
    fill(store, [LAYOUT.key(ledger) for ledger in (10, 11)], size=0)
    (count,) = count_objects(store, LAYOUT, [range(8, 13)])
    assert (count.found, [*count.missing], [*count.empty]) == (5, [], [range(10, 12)])


@pytest.mark.parametrize(
    "name",
    [
        "FFFFFFF7--8.xdr.zst.tmp",  # an upload that has begun
        "FFFFFFF7--8-11.xdr.zst",  # exported anew with more ledgers in each file
        "FFFFFFF6--8.xdr.zst",  # a prefix of another ledger
        "FFFFFFF7--8.xdr.zst/x",  # a directory with an object's name
        "notes.txt",
    ],
)
def test_other_names_are_no_objects(store: Store, name: str) -> None:
    fill(store, [f"{LAYOUT.directory(8)}{name}", LAYOUT.key(9)])
    (count,) = count_objects(store, LAYOUT, [range(8, 10)])
    assert [*count.missing] == [range(8, 9)]


def test_objects_off_the_layout_hold_no_file(store: Store) -> None:
    """They end where a file ends, and begin elsewhere: of an exporter that began in the middle of one."""
    layout = LakeLayout(4, 8)
    fill(store, [f"{layout.directory(8)}FFFFFFF6--9-11.xdr.zst", layout.key(12)])
    (count,) = count_objects(store, layout, [range(8, 16, 4)])
    assert (count.found, count.size_bytes, [*count.missing]) == (1, 1, [range(8, 12, 4)])


def test_links_count_where_they_stay_inside(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "lake")
    fill(store, [LAYOUT.key(8)], size=4)
    (tmp_path / "outside").write_bytes(b"secret")
    for ledger, target in ((9, store.path(LAYOUT.key(8))), (10, tmp_path / "outside"), (11, tmp_path / "nowhere")):
        store.path(LAYOUT.key(ledger)).symlink_to(target)
    (count,) = count_objects(store, LAYOUT, [range(8, 12)])
    assert (count.size_bytes, [*count.missing]) == (8, [range(10, 12)])


def test_last_ledgers_are_counted(store: Store) -> None:
    layout, last = LakeLayout(3, 8), 0xFFFFFFFF
    fill(store, [layout.key(last)])
    counts = list(count_objects(store, layout, [starts(layout, last - 3, last)]))
    assert [one.found for one in counts] == [1]
    assert runs(counts, lambda one: one.missing) == [[last - 3]]


@pytest.mark.parametrize(("first", "last", "pages"), [(0, 2999, 3), (500, 1400, 1), (2500, 2999, 1), (5000, 5999, 1)])
def test_only_pages_of_the_range_are_requested(first: int, last: int, pages: int) -> None:
    layout, store = LakeLayout(1, 3000), Pages()
    fill(store, [layout.key(ledger) for ledger in range(3000)])
    list(count_objects(store, layout, [range(first, last + 1)]))
    assert store.pages == pages


def test_abandoned_count_lists_no_further(store: Store) -> None:
    with closing(count_objects(store, LAYOUT, [range(8, 8_000_008)])) as counts:
        assert next(counts).files == range(8, 16)
    if isinstance(store, Pages):
        assert store.pages <= 40


@given(st.sampled_from([1, 4]), st.sampled_from([1, 8, 64]), st.sets(st.integers(0, 400)), st.integers(1, 9))
def test_counts_agree_with_the_names(k: int, p: int, ledgers: set[int], ranges: int) -> None:
    layout, store = LakeLayout(k, p), MemoryStore(is_remote=True)
    there = {layout.file_start(ledger) for ledger in ledgers}
    fill(store, [layout.key(ledger) for ledger in there], size=2)
    files = [range(part, part + 20 * k, k) for part in range(0, 40 * k * ranges, 40 * k)]

    counts = list(count_objects(store, layout, files))

    wanted = [ledger for one in files for ledger in one]
    assert [ledger for run in runs(counts, lambda one: one.missing) for ledger in run] == [
        ledger for ledger in wanted if ledger not in there
    ]
    assert sum(one.size_bytes for one in counts) == 2 * len(there & set(wanted))


@given(st.sampled_from([1, 8, 64_000]), st.integers(1, 40), st.integers(1, 5_000), st.integers(1, 50))
def test_samples_lie_apart_and_inside(p: int, samples: int, count: int, most: int) -> None:
    layout = LakeLayout(1, p)
    files = [range(2, 2 + count), range(9_000, 9_000 + count)]
    found = spread_files(layout, files, samples=samples, most=most)
    seen = [ledger for one in found for ledger in one]
    assert seen == sorted(set(seen))
    assert found
    assert all(any(ledger in one for one in files) for ledger in seen)
    assert all(len(one) <= most and layout.directory(one[0]) == layout.directory(one[-1]) for one in found)
