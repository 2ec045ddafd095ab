"""An opened lake: its newest object, the files of a range, and what reading a missing object raises."""

from __future__ import annotations

from pathlib import Path

import pytest
import zstandard

from bronze.errors import LakeError
from bronze.lake.lake import Lake, NewestObject
from bronze.lake.layout import LakeLayout
from bronze.lake.opening import LakeOptions, open_lake
from bronze.storage.local import LocalStore
from tests.bronze.lake.conftest import keys, make_lake

K1 = LakeLayout(1, 64)


@pytest.mark.parametrize(
    ("names", "newest"),
    [
        # a newest directory without ledgers: an upload that has just begun
        ([*keys(K1, 60, 64), "FFFFFF7F--128-191/.keep"], 64),
        # a newest directory with other files only
        ([*keys(K1, 60, 63), "FFFFFFBF--64-127/FFFFFFBF--64.xdr.zst.tmp", "FFFFFFBF--64-127/notes.txt"], 63),
        # directories that are not a lake's, one of them sorting first; files at the root
        ([*keys(K1, 60, 70), "00000000--junk/FFFFFFFD--2.xdr.zst", "#notes", "ZZZ", "ffffff7f--128-191/x"], 70),
        # a name whose prefix belongs to another ledger
        ([*keys(K1, 60, 70), "FFFFFFBF--64-127/00000000--70.xdr.zst"], 70),
        # a directory with an object's name
        ([*keys(K1, 60, 70), "FFFFFFB8--71.xdr.zst/x"], 70),
    ],
)
def test_newest_object_is_found(tmp_path: Path, names: list[str], newest: int) -> None:
    lake = open_lake(make_lake(tmp_path / "lake", names), LakeOptions(network="standalone"))
    assert lake.newest() == NewestObject(K1.key(newest), newest)


@pytest.mark.parametrize(
    ("k", "start", "end", "starts"),
    [
        (1, 0, 3, [2, 3]),  # ledgers 0 and 1 exist in no file
        (1, 5, 5, [5]),
        (4, 0, 8, [0, 4, 8]),  # the first file is named from 0, but begins at ledger 2
        (4, 5, 7, [4]),
        (4, 7, 8, [4, 8]),
        (64, 2, 63, [0]),
    ],
)
def test_file_starts_cover_the_range(tmp_path: Path, k: int, start: int, end: int, starts: list[int]) -> None:
    lake = Lake(LocalStore(tmp_path), LakeLayout(k, 10), None)
    assert list(lake.file_starts(start, end)) == starts


def test_missing_object_is_named(tmp_path: Path) -> None:
    lake = Lake(LocalStore(tmp_path), K1, None)
    with pytest.raises(
        LakeError, match=f"object {tmp_path}/FFFFFFFF--0-63/FFFFFFFC--3.xdr.zst is missing from the lake"
    ):
        lake.read(lake.key(3))


class Counted(LocalStore):
    """A lake's directory that calls itself remote, and records what is requested."""

    is_remote = True

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.requested: list[str] = []

    def read_view(self, key: str, max_bytes: int | None = None) -> memoryview:
        self.requested.append(key)
        return super().read_view(key, max_bytes)

    def size(self, key: str) -> int | None:
        self.requested.append(key)
        return super().size(key)


OLDER, NEWER = LakeLayout(1, 8, "zstd"), LakeLayout(1, 8, "zst")


def migrating(root: Path, *, p: int = 8) -> Path:
    """A lake of ledgers 2-63 whose objects below 36 have the older extension; each holds its own name."""
    for ledger in range(2, 64):
        layout = LakeLayout(1, p, "zstd" if ledger < 36 else "zst")
        path = root / layout.key(ledger)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(layout.key(ledger).encode())
    return root


def stored_name(lake: Lake, ledger: int) -> str:
    return bytes(lake.read(lake.key(ledger))).decode()


@pytest.mark.parametrize("p", [1, 8])
@pytest.mark.parametrize("store_class", [LocalStore, Counted])
def test_objects_of_both_extensions_are_read(tmp_path: Path, store_class: type[LocalStore], p: int) -> None:
    lake = open_lake(store_class(migrating(tmp_path / "lake", p=p)), LakeOptions(network="standalone"))
    assert lake.layout.extension == "zst"
    found = lake.newest()
    assert found == NewestObject(LakeLayout(1, p).key(63), 63)
    for ledger in [*range(2, 64), 35, 36, 2, 63]:
        assert stored_name(lake, ledger).endswith(f"--{ledger}.xdr.{'zstd' if ledger < 36 else 'zst'}")


def test_one_extension_costs_one_request_each(tmp_path: Path) -> None:
    store = Counted(tmp_path / "lake")
    make_lake(store.root, keys(NEWER, 2, 63))
    lake = open_lake(store, LakeOptions(network="standalone"))
    store.requested.clear()
    for ledger in range(2, 64):
        lake.read(lake.key(ledger))
    assert store.requested == [NEWER.key(ledger) for ledger in range(2, 64)]


def test_extension_of_last_object_is_tried_first(tmp_path: Path) -> None:
    # the older extension alone, though the configuration was written for the newer: one more request for all
    store = Counted(tmp_path / "lake")
    make_lake(store.root, keys(OLDER, 2, 63))
    lake = Lake(store, NEWER, None)
    for ledger in range(2, 64):
        lake.read(lake.key(ledger))
    assert store.requested[:2] == [NEWER.key(2), OLDER.key(2)]
    # from then on the lake may be mixed: each object is looked for under the other name too
    assert store.requested[2::2] == [OLDER.key(ledger) for ledger in range(3, 64)]


@pytest.mark.parametrize("extension", ["zst", "zstd"])
@pytest.mark.parametrize("store_class", [LocalStore, Counted])
def test_same_content_under_both_names_is_read(tmp_path: Path, store_class: type[LocalStore], extension: str) -> None:
    store = store_class(tmp_path / "lake")
    make_lake(store.root, [*keys(OLDER, 2, 9), *keys(NEWER, 2, 9)])
    content = b"".join(b"ledger %d," % number for number in range(90_000))
    packed = zstandard.compress(content, 1)
    lake = Lake(store, LakeLayout(1, 8, extension, is_mixed=True), None)
    for other in (
        packed,
        zstandard.compress(content, 9),
        zstandard.compress(content[:7]) + zstandard.compress(content[7:]),
    ):
        store.path(OLDER.key(5)).write_bytes(packed)
        store.path(NEWER.key(5)).write_bytes(other)
        assert bytes(lake.read(lake.key(5))) == store.path(lake.key(5)).read_bytes()


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (zstandard.compress(b"ledger 6"), "with different content: remove the wrong one"),
        (zstandard.compress(b"ledger 5, longer"), "with different content: remove the wrong one"),
        (zstandard.compress(b"ledger 5")[:-1], "one of them is damaged .truncated zstd frame.*: remove that one"),
        (b"", "one of them is damaged .object is empty"),
    ],
)
@pytest.mark.parametrize("newer_is_wrong", [False, True])
@pytest.mark.parametrize("store_class", [LocalStore, Counted])
def test_different_content_under_both_names_is_refused(
    tmp_path: Path, store_class: type[LocalStore], other: bytes, message: str, newer_is_wrong: bool
) -> None:
    store = store_class(tmp_path / "lake")
    make_lake(store.root, [*keys(OLDER, 2, 5), *keys(NEWER, 2, 5)])
    contents = [zstandard.compress(b"ledger 5"), other]
    for layout, content in zip((OLDER, NEWER), contents if newer_is_wrong else contents[::-1], strict=True):
        store.path(layout.key(5)).write_bytes(content)
    lake = open_lake(store, LakeOptions(network="standalone"))
    with pytest.raises(LakeError, match=f"object {store.url}/{NEWER.key(5)} is also there as .*.zstd, .*{message}"):
        lake.read(lake.key(5), 1 << 20)


def test_found_object_is_described_by_its_name(tmp_path: Path) -> None:
    lake = open_lake(LocalStore(migrating(tmp_path / "lake")), LakeOptions(network="standalone"))
    lake.read(lake.key(5))
    assert lake.describe_found(lake.key(5)) == f"{lake.store.url}/{OLDER.key(5)}"
    assert lake.describe_found(lake.key(60)) == f"{lake.store.url}/{NEWER.key(60)}"
