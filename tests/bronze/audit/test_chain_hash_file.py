"""The file of one hash a chain: conditional updates that keep the entries of other chains."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bronze.audit.chain_hash_file import ChainHashFile
from bronze.errors import StateError
from bronze.storage.local import LocalStore
from tests.bronze.conftest import hex_hash

ONE, TWO, THREE = (f"sha256:{hex_hash(number)}" for number in range(3))


@pytest.fixture
def file(tmp_path: Path) -> ChainHashFile:
    return ChainHashFile(
        store=LocalStore(tmp_path), name="heads.json", kind="chain heads", entry="head", remedy="Restore it"
    )


def test_missing_hash_file_has_no_hashes(file: ChainHashFile) -> None:
    assert file.load() == {}


def test_set_keeps_other_chains_sorted(file: ChainHashFile, tmp_path: Path) -> None:
    assert file.set("b/e/v", ONE) == ONE
    assert file.set("a/e/v", TWO) == TWO
    assert file.load() == {"a/e/v": TWO, "b/e/v": ONE}
    assert list(json.loads((tmp_path / "heads.json").read_bytes())) == ["a/e/v", "b/e/v"]


@pytest.mark.parametrize(
    ("expected", "after"),
    [(None, THREE), ([ONE], THREE), ([None, ONE], THREE), ([None], ONE), ([TWO], ONE), ([], ONE)],
)
def test_set_replaces_only_expected_hash(file: ChainHashFile, expected: list[str | None] | None, after: str) -> None:
    file.set("a/e/v", ONE)
    assert file.set("a/e/v", THREE, expected) == after
    assert file.load() == {"a/e/v": after}


def test_set_expecting_no_hash_creates_the_file(file: ChainHashFile) -> None:
    assert file.set("a/e/v", ONE, [TWO]) is None
    assert file.load() == {}
    assert file.set("a/e/v", ONE, [None]) == ONE


@pytest.mark.parametrize("data", [b"{", b"[]", b'{"a/e/v": 7}', b'{"a/e/v": "sha256:x"}', b" " * 1048577])
def test_damaged_hash_file_is_never_overwritten(file: ChainHashFile, tmp_path: Path, data: bytes) -> None:
    (tmp_path / "heads.json").write_bytes(data)
    with pytest.raises(StateError, match=r"chain heads .*heads\.json cannot be used: .*\. Restore it$"):
        file.load()
    with pytest.raises(StateError, match="cannot be used"):
        file.set("a/e/v", ONE)
    assert (tmp_path / "heads.json").read_bytes() == data
