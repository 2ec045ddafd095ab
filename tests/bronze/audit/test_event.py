"""Events: byte-compatible with the older copier, and no byte of one can change unnoticed."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.audit.event import Event, hash_document, make_event, parse_event
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import StateError
from bronze.producer import Producer
from tests.bronze.conftest import PRODUCER, era, summary

TIME = "2026-11-20T17:25:23.958408739Z"
HASH = f"sha256:{'a' * 64}"


def event(content: str = "a", prev: str = HASH, time: str = TIME, producer: Producer = PRODUCER) -> Event:
    return make_event(summary(2, 11, content), PRIMARY_TABLE, prev, producer, time)


def parse(data: bytes) -> Event:
    return parse_event(data, "/events/x.json")


def test_older_copiers_chain_is_parsed_byte_for_byte(shared: Path) -> None:
    folder = shared / "samples" / "pas_chain"
    files = sorted(folder.glob("pubnet_*.json"))
    assert len(files) == 5
    prev = ""
    for file in files:
        found = parse(file.read_bytes())
        assert found.to_bytes() == file.read_bytes()
        assert found.chain == "pubnet/pre_p23/v1"
        assert file.name == f"pubnet_pre_p23_v1_{found.partition}.json"
        assert found.prev_hash == prev
        prev = found.event_hash
    assert json.loads((folder / "pas-chain-heads.json").read_bytes()) == {"pubnet/pre_p23/v1": prev}


def test_event_equals_the_older_copiers(shared: Path) -> None:
    theirs = parse((shared / "samples" / "event.json").read_bytes())
    entry, partition = theirs.document["tables"][PRIMARY_TABLE], theirs.document["partition"]
    of = era(network=partition["network"], era_id=partition["era_id"], version_label=partition["version_label"])
    said = {name: entry[name] for name in ("checksum", "row_count", "storage_path", "byte_size")}
    made = make_event(
        dataclasses.replace(summary(theirs.partition.start, theirs.partition.end, of=of), **said),
        PRIMARY_TABLE,
        theirs.prev_hash,
        theirs.producer,
        theirs.document["timestamp"],
    )
    # but for the id, which they take from a clock, and the hash over it
    made.document["event_id"] = theirs.event_id
    made.document["chain"]["event_hash"] = hash_document(made.document)
    assert made.to_bytes() == theirs.to_bytes()


def test_event_hash_is_sha256_of_compact_json() -> None:
    made = event(prev="")
    entry = made.document["tables"][PRIMARY_TABLE]
    text = (
        f'{{"version":"1.1","event_type":"bronze_partition","event_id":"{made.event_id}","timestamp":"{TIME}",'
        '"partition":{"network":"standalone","era_id":"e1","version_label":"v1","ledger_start":2,"ledger_end":11},'
        f'"tables":{{"ledgers_lcm_raw":{{"checksum":"{entry["checksum"]}","row_count":10,'
        '"storage_path":"standalone/e1/v1/ledgers_lcm_raw/range=2-11","byte_size":1000}},'
        '"producer":{"name":"bronze-copier","version":"v1.2.3","git_sha":"abc123"},'
        '"chain":{"prev_event_hash":"","event_hash":""}}'
    )
    assert made.event_hash == f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a&b<c>d", r"a\u0026b\u003cc\u003ed"),
        ("line\u2028paragraph\u2029", r"line\u2028paragraph\u2029"),
        ('quote " backslash \\', r"quote \" backslash \\"),
        ("tab\t newline\n", r"tab\t newline\n"),
        ("Ünïcode 漢字 😀", "Ünïcode 漢字 😀"),  # other than these as it is
    ],
)
def test_characters_are_escaped_as_in_go(text: str, escaped: str) -> None:
    made = event(producer=Producer(text, "v1", "x"))
    assert f'"name": "{escaped}"' in made.to_bytes().decode()
    assert parse(made.to_bytes()) == made
    unhashed = made.document | {"chain": {"prev_event_hash": HASH, "event_hash": ""}}
    compact = json.dumps(unhashed, ensure_ascii=False, separators=(",", ":"))
    expected = compact.replace(json.dumps(text, ensure_ascii=False)[1:-1], escaped)
    assert made.event_hash == f"sha256:{hashlib.sha256(expected.encode()).hexdigest()}"


@given(st.text(max_size=30), st.text(max_size=30))
def test_made_events_can_be_parsed(name: str, version: str) -> None:
    try:
        (name + version).encode()
    except UnicodeEncodeError:
        return
    made = event(producer=Producer(name, version, "x"))
    assert parse(made.to_bytes()) == made


def test_event_id_does_not_depend_on_time() -> None:
    assert event().event_id == event(time="2030-01-01T00:00:00Z").event_id
    assert event().event_hash != event(time="2030-01-01T00:00:00Z").event_hash
    ids = {event().event_id, event("other").event_id, event(prev="").event_id}
    assert len(ids) == 3
    assert all(len(one) == len("pas_evt_96dbe855e81e62da") and one.startswith("pas_evt_") for one in ids)


def test_every_changed_byte_is_detected() -> None:
    data = event().to_bytes()
    for at in range(len(data)):
        for value in {data[at] ^ 1, data[at] ^ 0x20, ord(" "), ord("\n"), ord("0"), ord('"')} - {data[at]}:
            changed = data[:at] + bytes([value]) + data[at + 1 :]
            with pytest.raises(StateError, match=r"event /events/x\.json"):
                parse(changed)


def test_every_truncation_and_addition_is_detected() -> None:
    data = event().to_bytes()
    for at in range(len(data)):
        with pytest.raises(StateError):
            parse(data[:at])
    for more in (b"\n", b" ", b"\0", data):
        with pytest.raises(StateError):
            parse(data + more)


def rehashed(change: dict[str, Any], *path: str) -> bytes:
    """An event changed by someone who can compute hashes."""
    document = json.loads(event().to_bytes())
    holder = document
    for name in path:
        holder = holder[name]
    holder.update(change)
    # unknown keys have no canonical form: the hash stays the old one there
    with contextlib.suppress(ValueError):
        document["chain"]["event_hash"] = hash_document(document)
    return json.dumps(document, indent=2).encode()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        # keys that the hash does not cover
        (rehashed({"note": 1}), "unknown keys: note"),
        (rehashed({"note": 1}, "partition"), "unknown keys: note"),
        (rehashed({"note": 1}, "tables", PRIMARY_TABLE), "unknown keys: note"),
        (rehashed({"note": 1}, "producer"), "unknown keys: note"),
        (rehashed({"note": 1}, "chain"), "unknown keys: note"),
        # values that cannot be, under a hash that holds
        (rehashed({"version": "2.0"}), "version is '2.0', expected '1.1'"),
        (rehashed({"ledger_start": 12}, "partition"), "ledger range is 12-11"),
        (rehashed({"ledger_start": -1}, "partition"), "ledger range is -1-11"),
        (rehashed({"ledger_start": "2"}, "partition"), "ledger range is '2'-11"),
        (rehashed({"ledger_start": True}, "partition"), "ledger range is True-11"),
        (rehashed({"prev_event_hash": "sha256:abc"}, "chain"), "chain hashes are 'sha256:abc'"),
        (rehashed({"tables": {}}), "it names 0 tables, expected 1"),
        # damaged
        (b"", "cannot be used"),
        (b"{}", "lacks the key 'version'"),
        (b"[]", "cannot be used"),
        (b"null", "cannot be used"),
        (b"[" * 100_000, "cannot be used"),
        (b" " * (1 << 20) + event().to_bytes(), "bytes, expected at most 1048576"),
        (event().to_bytes().replace(b"/", b"\\/"), "differ at byte"),  # the same JSON, other bytes
        (json.dumps(json.loads(event().to_bytes())).encode(), "differ at byte"),
        (b'{"version": "1.1", ' + event().to_bytes()[1:], "differ at byte"),  # a key twice
        (json.dumps(dict(reversed(json.loads(event().to_bytes()).items())), indent=2).encode(), "differ at byte"),
    ],
)  # fmt: skip
def test_invalid_event_is_a_state_error(data: bytes, message: str) -> None:
    with pytest.raises(StateError, match=message) as caught:
        parse(data)
    assert "/events/x.json" in str(caught.value)


@pytest.mark.parametrize("level", [(), ("partition",), ("tables", PRIMARY_TABLE), ("producer",), ("chain",)])
def test_missing_event_key_is_named(level: tuple[str, ...]) -> None:
    document = json.loads(event().to_bytes())
    holder = document
    for name in level:
        holder = holder[name]
    for key in list(holder):
        value = holder.pop(key)
        with pytest.raises(StateError, match=f"lacks the key '{key}'"):
            parse(json.dumps(document, indent=2).encode())
        holder[key] = value


def test_wrong_event_hash_error_names_both_hashes() -> None:
    changed = event().to_bytes().replace(b'"row_count": 10', b'"row_count": 11')
    document = json.loads(changed)
    with pytest.raises(StateError) as caught:
        parse(changed)
    assert event().event_hash in str(caught.value)
    assert hash_document(document) in str(caught.value)


def test_delivery_body_is_hashed_form_with_hash() -> None:
    odd = make_event(summary(2, 11, storage_path="a&b<c>\u2028ü"), PRIMARY_TABLE, "", PRODUCER, TIME)
    for made in (odd, parse(odd.to_bytes())):
        body = made.delivery_body()
        assert b"a\\u0026b\\u003cc\\u003e\\u2028\xc3\xbc" in body
        assert b": " not in body
        hashed = body.replace(b'"event_hash":"' + made.event_hash.encode(), b'"event_hash":"')
        assert made.event_hash == f"sha256:{hashlib.sha256(hashed).hexdigest()}"
