"""Hashes of what was written: the ETags that services would make of it, and whose SHA-256 counts."""

from __future__ import annotations

import hashlib

import pytest

from bronze.storage.location import StorageLocation
from bronze.storage.object_store.bucket import Bucket
from bronze.storage.object_store.content import ContentHashes
from bronze.storage.object_store.provider import PART_SIZE

DATA = hashlib.sha256(b"x").digest() * (2 * PART_SIZE // 32 + 5)


@pytest.fixture
def bucket() -> Bucket:
    return Bucket(StorageLocation("s3://bucket", anonymous=True, endpoint="http://127.0.0.1:1"))


def md5(data: bytes) -> bytes:
    return hashlib.md5(data, usedforsecurity=False).digest()


@pytest.mark.parametrize("size", [0, 1, PART_SIZE - 1, PART_SIZE, PART_SIZE + 1, 2 * PART_SIZE, len(DATA)])
@pytest.mark.parametrize("piece", [1 << 20, 3_000_001])
def test_e_tags_are_those_of_the_parts(bucket: Bucket, size: int, piece: int) -> None:
    data = DATA[:size]
    hashes = ContentHashes(bucket.checksums, caller_hashes=False)
    for start in range(0, size, piece):
        hashes.update(memoryview(data)[start : min(start + piece, size)])
    content = hashes.content("")
    parts = [md5(data[start : start + PART_SIZE]) for start in range(0, max(size, 1), PART_SIZE)]
    assert f"{md5(b''.join(parts)).hex()}-{len(parts)}" in content.e_tags
    assert (md5(data).hex() in content.e_tags) == (len(parts) == 1)
    assert (content.size, content.sha256) == (size, hashlib.sha256(data).digest())


def test_callers_sha256_is_taken(bucket: Bucket) -> None:
    hashes = ContentHashes(bucket.checksums, caller_hashes=True)
    hashes.update(memoryview(b"abc"))
    assert hashes.content("sha256:" + "ab" * 32).sha256 == bytes.fromhex("ab" * 32)
    with pytest.raises(ValueError, match="needs a SHA-256 checksum, not ''"):
        hashes.content("")


def test_md5_is_skipped_when_digests_are_stated(bucket: Bucket) -> None:
    bucket.checksums.service_states_digests = True
    hashes = ContentHashes(bucket.checksums, caller_hashes=False)
    hashes.update(memoryview(b"abc"))
    assert hashes.content("").e_tags == frozenset()
