"""Keys: how parts are joined, and which keys are refused."""

from __future__ import annotations

import pytest

from bronze.errors import StoreError
from bronze.storage.store import checked_key, join
from tests.bronze.storage.store_suite import BAD_KEYS


@pytest.mark.parametrize(
    ("parts", "joined"),
    [
        (("a", "b"), "a/b"),
        (("a/", "/b"), "a/b"),  # one slash at each joint
        (("bronze/", "x"), "bronze/x"),
        (("", "a", "", "b/c/"), "a/b/c"),  # empty parts are left out
        ((), ""),
    ],
)
def test_parts_are_joined_with_single_slashes(parts: tuple[str, ...], joined: str) -> None:
    assert join(*parts) == joined


@pytest.mark.parametrize("key", BAD_KEYS)
def test_key_outside_the_root_is_refused(key: str) -> None:
    with pytest.raises(StoreError, match="is not a relative path of plain segments"):
        checked_key(key)


@pytest.mark.parametrize("key", ["a", "a/b.parquet", "...", "a/.hidden/..b", "range=0-9/part-0-9.parquet", "ä b"])
def test_plain_key_is_returned(key: str) -> None:
    assert checked_key(key) == key
