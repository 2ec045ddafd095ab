"""Trusted hashes: the genesis of the public networks, and the files of operators."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

import pytest
from stellar_sdk import Keypair

from bronze.authenticity.anchors import merge_anchors, parse_checkpoints_file
from bronze.errors import ConfigError
from bronze.stellar import GENESIS_HASHES

HASH, OTHER = "ab" * 32, "cd" * 32


def genesis_of(passphrase: str) -> str:
    """The hash of ledger 1, made as stellar-core makes it: one account has all lumens, its key is of the passphrase."""

    def number(value: int, size: int = 4) -> bytes:
        return value.to_bytes(size, "big")

    def digest(data: bytes) -> bytes:
        return sha256(data).digest()

    nothing, lumens = bytes(32), number(10**18, 8)
    key = Keypair.from_raw_ed25519_seed(digest(passphrase.encode())).raw_public_key()
    # changed in, type, key; balance, sequence; subentries, inflation, flags, domain; thresholds; signers, ext
    entry = number(1) + bytes(8) + key + lumens + bytes(8) + bytes(16) + b"\x01\0\0\0" + bytes(8) + bytes(4)
    live = number(0) + entry
    bucket = digest(number(0x80000000 | len(live)) + live)
    buckets = digest(digest(bucket + nothing) + 10 * digest(nothing + nothing))
    # version; previous; value; results; buckets; ledgerSeq; coins, fees; inflation, ids; fee, reserve, size; skips, ext
    header = number(0) + nothing + bytes(32 + 8 + 4 + 4) + nothing + buckets + number(1) + lumens + bytes(8)
    header += bytes(4 + 8) + number(100) + number(10**8) + number(100) + 4 * nothing + bytes(4)
    return digest(header).hex()


def test_genesis_follows_from_the_passphrase() -> None:
    assert len(GENESIS_HASHES) == 3
    assert {passphrase: genesis_of(passphrase) for passphrase in GENESIS_HASHES} == GENESIS_HASHES


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
