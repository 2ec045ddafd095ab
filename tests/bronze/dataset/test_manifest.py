"""Manifests: this program's, the older copier's, and damaged ones."""

from __future__ import annotations

import copy
import dataclasses
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.dataset.manifest import MAX_MANIFEST_BYTES, LedgerLinks, Manifest, parse_manifest
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import StateError
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.storage.json_object import load_json_object, unusable_object_error
from tests.bronze.conftest import hex_hash

OURS = Manifest(
    partition=Partition(0, 9999),
    network="pubnet",
    era_id="pre_p23",
    version_label="v1",
    table=PRIMARY_TABLE,
    checksum=f"sha256:{hex_hash('file')}",
    row_count=9998,
    byte_size=524288000,
    producer=Producer("bronze-copier", "v2.0.0", "abc"),
    created_at="2026-01-15T10:30:00Z",
    ledgers=LedgerLinks(
        first=2, last=9999, previous_hash=hex_hash(1), first_hash=hex_hash(2), last_hash=hex_hash(9999)
    ),
)


def parse(data: bytes) -> Manifest:
    with unusable_object_error("manifest /data/_manifest.json"):
        return parse_manifest(load_json_object(data, MAX_MANIFEST_BYTES), PRIMARY_TABLE)


def test_manifest_bytes() -> None:
    text = OURS.to_bytes().decode()
    assert text.startswith(
        '{\n  "partition": {\n    "start": 0,\n    "end": 9999,\n    "era_id": "pre_p23",\n    "version": "v1",\n'
        '    "network": "pubnet"\n  },\n  "tables": {\n    "ledgers_lcm_raw": {\n      "file": "part-0-9999.parquet",\n'
    )
    assert list(json.loads(text)) == ["partition", "tables", "producer", "created_at", "ledgers"]


def test_older_copiers_manifest_is_read(shared: Path) -> None:
    data = (shared / "samples" / "_manifest.json").read_bytes()
    found = parse(data)
    assert found == Manifest(
        partition=Partition(53312000, 53312009),
        network="pubnet",
        era_id="pre_p23",
        version_label="v1",
        table=PRIMARY_TABLE,
        checksum="sha256:880ce76276db50e026204b5b5fb85ed7c55c93928db143691dccdf622018356c",
        row_count=10,
        byte_size=1100552,
        producer=Producer("bronze-copier", "v0.1.0", "unknown"),
        created_at="2026-11-20T17:25:23.957439173Z",
        ledgers=None,
    )
    assert found.file == "part-53312000-53312009.parquet"
    assert found.to_bytes() == data  # and is written the same way


names = st.text(max_size=20).filter(str.isprintable)
hashes = st.integers(0, 2**256 - 1).map(lambda number: f"{number:064x}")
naturals = st.integers(0, 2**40)


@given(
    st.builds(Partition, st.integers(0, 50), st.integers(50, 2**32)),
    st.lists(names, min_size=4, max_size=4),
    st.none()
    | st.builds(LedgerLinks, first=naturals, last=naturals, previous_hash=hashes, first_hash=hashes, last_hash=hashes),
)
def test_manifest_round_trips(partition: Partition, texts: list[str], ledgers: LedgerLinks | None) -> None:
    made = dataclasses.replace(
        OURS,
        partition=partition,
        network=texts[0],
        era_id=texts[1],
        producer=Producer(texts[2], texts[3], ""),
        ledgers=ledgers,
    )
    assert parse(made.to_bytes()) == made


def document() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(OURS.to_bytes())
    return loaded


def test_unknown_keys_are_ignored() -> None:
    changed = document() | {"future": [1]}
    changed["partition"]["future"] = changed["tables"]["ledgers_lcm_raw"]["future"] = changed["ledgers"]["future"] = 1
    changed["tables"]["other"] = {}
    parsed = parse(json.dumps(changed).encode())
    assert (parsed, parsed.unknown_keys) == (OURS, ("future",))


@pytest.mark.parametrize("path", [("producer",), ("created_at",), ("ledgers",), ("producer", "git_sha")])
def test_optional_keys_may_be_missing(path: tuple[str, ...]) -> None:
    assert parse(json.dumps(without(path)).encode()).checksum == OURS.checksum


def without(path: tuple[str, ...]) -> dict[str, Any]:
    changed = document()
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    del holder[path[-1]]
    return changed


def with_value(path: tuple[str, ...], value: object) -> dict[str, Any]:
    changed = copy.deepcopy(document())
    holder = changed
    for name in path[:-1]:
        holder = holder[name]
    holder[path[-1]] = value
    return changed


TABLE = ("tables", "ledgers_lcm_raw")
NUMBERS = [("partition", "start"), ("partition", "end"), (*TABLE, "row_count"), (*TABLE, "byte_size"),
           ("ledgers", "first"), ("ledgers", "last")]  # fmt: skip
TEXTS = [("partition", "network"), ("partition", "era_id"), ("partition", "version"), (*TABLE, "file")]
CHECKSUMS = [(*TABLE, "checksum"), ("ledgers", "previous_hash"), ("ledgers", "first_hash"), ("ledgers", "last_hash")]
REQUIRED = [("partition",), ("tables",), TABLE, *NUMBERS, *TEXTS, *CHECKSUMS]


@pytest.mark.parametrize("path", REQUIRED, ids=".".join)
def test_required_keys_must_be_present(path: tuple[str, ...]) -> None:
    with pytest.raises(StateError, match=f"manifest /data/_manifest.json lacks the key '{path[-1]}'"):
        parse(json.dumps(without(path)).encode())


@pytest.mark.parametrize(
    ("path", "value"),
    [
        *((path, value) for path in NUMBERS for value in ("1", 1.5, -1, True, None, [])),
        *((path, value) for path in TEXTS for value in (1, None, ["x"])),
        *((path, value) for path in CHECKSUMS for value in ("", "sha256:", "sha256:" + "A" * 64, "0" * 63, 5, None)),
        *(((name,), value) for name in ("partition", "tables", "ledgers", "producer") for value in (1, "x", [1])),
        (("partition", "start"), 10_000),  # after the end
        ((*TABLE, "file"), "part-0-9998.parquet"),  # another partition's file
        ((*TABLE, "file"), "../part-0-9999.parquet"),
    ],
)
def test_invalid_values_are_refused(path: tuple[str, ...], value: object) -> None:
    with pytest.raises(StateError, match=r"manifest /data/_manifest\.json"):
        parse(json.dumps(with_value(path, value)).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"{", b"[]", b"null", b"7", b'"x"', b"\xff\xfe", OURS.to_bytes()[:-1], OURS.to_bytes() + b"x",
     b"[" * 200_000, b'{"partition":' * 60_000, b" " * (1 << 20) + OURS.to_bytes(), b"9" * 10_000],
    ids=lambda data: f"{data[:8]!r} {len(data)}",
)  # fmt: skip
def test_damaged_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(StateError, match=r"manifest /data/_manifest\.json cannot be used"):
        parse(data)


@given(st.integers(0, len(OURS.to_bytes()) - 1), st.integers(0, 255))
def test_changed_byte_parses_or_is_state_error(at: int, value: int) -> None:
    data = bytearray(OURS.to_bytes())
    data[at] = value
    with suppress(StateError):
        assert parse(bytes(data)).table == PRIMARY_TABLE
