"""Where a lake begins: found from the other end of its names, in few requests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.lake.layout import LakeLayout
from bronze.lake.oldest import OldestObject, find_oldest
from bronze.storage.memory import MemoryStore
from bronze.storage.store import ListEntry
from tests.bronze.lake.conftest import keys, make_lake


class Pages(MemoryStore):
    """A store that lists a thousand names with each request, and counts the requests for objects."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(is_remote=True)
        for name in names:
            self.create(name, b"")
        self.pages = 0

    def list_children(self, prefix: str, *, after: str = "") -> Iterator[ListEntry]:
        for number, entry in enumerate(super().list_children(prefix, after=after)):
            self.pages += number % 1000 == 0
            yield entry


@pytest.mark.parametrize(
    ("layout", "first", "last", "oldest"),
    [
        (LakeLayout(1, 8), 2, 40, 2),
        (LakeLayout(1, 8), 13, 40, 13),
        (LakeLayout(4, 8), 2, 90, 2),
        (LakeLayout(4, 8), 41, 90, 40),
        (LakeLayout(1, 1), 30, 90, 30),
        (LakeLayout(64, 1, "zstd"), 700, 900, 640),
    ],
)
def test_oldest_object_is_found(tmp_path: Path, layout: LakeLayout, first: int, last: int, oldest: int) -> None:
    # behind the lake's last directory there are others, and in it other files
    names = [*keys(layout, first, last), "zz/x", "FFFFFFFF--0-7x/y", f"{layout.directory(first)}notes.txt"]
    expected = OldestObject(layout.key(oldest), oldest)
    assert find_oldest(make_lake(tmp_path / "lake", names, {}), layout) == expected
    assert find_oldest(Pages(names), layout) == expected


def test_directory_without_objects_is_passed_over(tmp_path: Path) -> None:
    layout = LakeLayout(1, 8)
    names = [*keys(layout, 20, 40), "FFFFFFF7--8-15/.keep", "FFFFFFFF--0-7/FFFFFFFD--2.xdr.zst.tmp"]
    for store in (make_lake(tmp_path / "lake", names), Pages(names)):
        assert find_oldest(store, layout) == OldestObject(layout.key(20), 20)


def test_empty_lake_has_no_oldest_object(tmp_path: Path) -> None:
    for layout in (LakeLayout(1, 8), LakeLayout(1, 1)):
        for store in (make_lake(tmp_path / f"lake{layout.files_per_directory}", [], {}), Pages([])):
            assert find_oldest(store, layout) is None


@pytest.mark.parametrize(("first", "requests"), [(2, 2), (900, 2), (1001, 10), (30_000, 10), (63_999, 10)])
def test_whole_lake_is_never_listed(first: int, requests: int) -> None:
    layout = LakeLayout(1, 64_000)
    store = Pages([layout.key(ledger) for ledger in range(first, 64_010)])
    assert find_oldest(store, layout) == OldestObject(layout.key(first), first)
    assert store.pages <= requests


@given(
    st.sampled_from([1, 64, 64_000]),
    st.sampled_from([1, 3, 64]),
    st.sets(st.integers(2, 1 << 32), min_size=1, max_size=20),
)
def test_oldest_of_a_lake_with_gaps(p: int, k: int, ledgers: set[int]) -> None:
    layout = LakeLayout(k, p)
    present = {min(ledger, 0xFFFFFFFF) for ledger in ledgers}
    oldest = min(present)
    found = find_oldest(Pages(sorted({layout.key(ledger) for ledger in present})), layout)
    assert found == OldestObject(layout.key(oldest), max(layout.file_start(oldest), 2))
