"""An opened lake: its newest object, the files of a range, and what reading a missing object raises."""

from __future__ import annotations

from pathlib import Path

import pytest

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
