"""Checksums: which texts are one."""

from __future__ import annotations

import hashlib

import pytest

from bronze.checksums import is_checksum


def test_sha256_checksum_is_recognized() -> None:
    assert is_checksum(f"sha256:{hashlib.sha256(b'x').hexdigest()}")


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", "0" * 64, "sha256:" + "0" * 63, "sha256:" + "0" * 65, "sha256:" + "A" * 64, "SHA256:" + "0" * 64,
     "sha256:" + "0" * 64 + "\n", " sha256:" + "0" * 64, "md5:" + "0" * 64],
)  # fmt: skip
def test_other_texts_are_not_checksums(text: str) -> None:
    assert not is_checksum(text)
