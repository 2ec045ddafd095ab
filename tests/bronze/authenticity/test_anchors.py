"""Trusted hashes: the genesis of the public networks, and the files of operators."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bronze.authenticity.anchors import merge_anchors, parse_checkpoints_file
from bronze.errors import ConfigError
from bronze.stellar import GENESIS_HASHES

HASH, OTHER = "ab" * 32, "cd" * 32


def test_genesis_of_each_public_network_is_known() -> None:
    assert len(GENESIS_HASHES) == len(set(GENESIS_HASHES.values())) == 3


def test_checkpoints_file_of_core_is_read() -> None:
    content = json.dumps([[191, OTHER], [127, HASH], [0, ""]]).encode()
    assert parse_checkpoints_file(content, "f") == {191: OTHER, 127: HASH}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "f is not valid JSON"),
        (b"[" * 100_000, "f is not valid JSON"),
        (b"{}", "f is not a list"),
        (b"[]", "f holds no ledger and hash"),
        (b'[[0, ""]]', "f holds no ledger and hash"),
        (json.dumps([[1, "AB" * 32]]).encode(), "entry 0"),
        (json.dumps([[127, HASH], [-1, HASH]]).encode(), "entry 1"),
        (json.dumps([[True, HASH]]).encode(), "entry 0"),
        (json.dumps([[127, HASH], [127, OTHER]]).encode(), "two hashes of ledger 127"),
        (json.dumps(["x"]).encode(), "entry 0 is x"),
    ],
)
def test_damaged_checkpoints_file_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_checkpoints_file(content, "f")


def test_contradicting_sources_are_named() -> None:
    sources: list[tuple[str, Any]] = [("one", {5: HASH, 3: HASH}), ("two", {5: HASH}), ("three", {5: OTHER})]
    assert list(merge_anchors(sources[:2]).items()) == [(3, HASH), (5, HASH)]
    with pytest.raises(ConfigError, match=f"ledger 5 is {HASH} in one, but {OTHER} in three"):
        merge_anchors(sources)
