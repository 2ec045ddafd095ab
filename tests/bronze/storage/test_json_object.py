"""Small JSON objects: what is read, what is refused, and in which words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bronze.errors import LakeError, ObjectNotFoundError, StateError
from bronze.storage.json_object import load_json_object, read_json_object, unusable_object_error
from bronze.storage.local import LocalStore

LIMIT = 100


class ReadingStore(LocalStore):
    """Records the limit that each read was given."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.limits: list[int | None] = []

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        self.limits.append(max_bytes)
        return super().read(key, max_bytes)


@pytest.fixture
def store(tmp_path: Path) -> ReadingStore:
    return ReadingStore(tmp_path)


def read(store: ReadingStore) -> int:
    def parse(document: dict[str, Any]) -> int:
        return int(document["count"])

    return read_json_object(store, "a.json", LIMIT, parse, kind="counter", remedy="Remove it")


def test_valid_object_is_parsed(store: ReadingStore) -> None:
    store.create("a.json", b'{"count": 3}'.ljust(LIMIT))
    assert read(store) == 3


def test_missing_object_is_not_found(store: ReadingStore) -> None:
    with pytest.raises(ObjectNotFoundError):
        read(store)


def test_too_large_object_is_never_loaded(store: ReadingStore) -> None:
    store.create("a.json", b'{"count": 3}'.ljust(LIMIT + 1))
    with pytest.raises(StateError, match=r"^counter /.*/a.json cannot be used: .* has 101 bytes.* 100 .*\. Remove it$"):
        read(store)
    assert store.limits == [LIMIT]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cannot be used: it is not valid JSON: "),
        (b"{", "cannot be used: it is not valid JSON: "),
        (b'{"count": "\xff"}', "cannot be used: it is not valid JSON: "),
        (b"[1]", "cannot be used: it is not a JSON object but an array"),
        (b"null", "cannot be used: it is not a JSON object but null"),
        (b"1.5", "cannot be used: it is not a JSON object but a number"),
        (b"true", "cannot be used: it is not a JSON object but a boolean"),
        (b"{}", "lacks the key 'count'"),
        (b'{"count": "x"}', "cannot be used: invalid literal"),
        (b'{"count": null}', "cannot be used: int"),
    ],
)
def test_invalid_object_is_state_error(store: ReadingStore, data: bytes, message: str) -> None:
    store.create("a.json", data)
    with pytest.raises(StateError) as caught:
        read(store)
    assert str(caught.value).startswith(f"counter {store.url}/a.json {message}")
    assert str(caught.value).endswith(". Remove it")


def test_deep_nesting_is_refused() -> None:
    data = b'{"a":' * 100_000 + b"1" + b"}" * 100_000
    with pytest.raises(ValueError, match="nested too deeply"):
        load_json_object(data, len(data))


def test_error_class_is_the_callers() -> None:
    with pytest.raises(LakeError, match=r"^x cannot be used: y$"), unusable_object_error("x", error=LakeError):
        raise ValueError("y")


def test_other_errors_pass_unchanged() -> None:
    with pytest.raises(ObjectNotFoundError, match=r"^z$"), unusable_object_error("x"):
        raise ObjectNotFoundError("z")
