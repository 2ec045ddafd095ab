"""The event files of a chain: their names, their order, and the heads beside them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.audit.event import Event, make_event
from bronze.audit.event_log import HEADS, EventLog, in_link_order
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import ObjectExistsError, StateError
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from tests.bronze.conftest import ERA, PRODUCER, era, hex_hash, summary


def event(start: int, end: int, prev: str, content: str = "a") -> Event:
    return make_event(summary(start, end, content), PRIMARY_TABLE, prev, PRODUCER, "2026-01-01T00:00:00Z")


def chained(count: int, start: int = 2) -> list[Event]:
    events: list[Event] = []
    for first in range(start, start + 10 * count, 10):
        events.append(event(first, first + 9, events[-1].event_hash if events else ""))
    return events


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(LocalStore(tmp_path), ERA)


def test_names(log: EventLog) -> None:
    assert log.key(Partition(2, 11)) == "standalone_e1_v1_2-11.json"
    assert log.key(Partition(2, 11), 2) == "standalone_e1_v1_2-11.2.json"


def test_what_is_appended_is_there_for_good(log: EventLog, tmp_path: Path) -> None:
    one, other = event(2, 11, ""), event(2, 11, "", "other")
    log.append(one)
    assert (tmp_path / "standalone_e1_v1_2-11.json").read_bytes() == one.to_bytes()
    with pytest.raises(ObjectExistsError):
        log.append(other)
    assert EventLog(LocalStore(tmp_path), ERA).load() == [one]


def test_the_latest_revision_counts(log: EventLog) -> None:
    assert log.latest(Partition(2, 11)) == (None, 0)
    one = event(2, 11, "")
    two = event(2, 11, one.event_hash, "corrected")
    log.append(one)
    assert log.latest(Partition(2, 11)) == (one, 1)
    log.append(two, 2)
    assert log.latest(Partition(2, 11)) == (two, 2)
    assert log.load() == [one, two]


def test_files_of_others_are_left_alone(log: EventLog, tmp_path: Path) -> None:
    (one,) = chained(1)
    log.append(one)
    for name in (
        HEADS,
        "standalone_e1_v1_2-11.json.tmp",
        "standalone_e1_v10_2-11.json",
        "xstandalone_e1_v1_2-11.json",
        "standalone_e1_v1_2-11.0.json",
        "standalone_e1_v1_notes.json",
        "pubnet_e1_v1_2-11.json",
    ):
        (tmp_path / name).write_text("not an event")
    assert log.load() == [one]


@pytest.mark.parametrize(
    "name", ["standalone_e1_v1_2-12.json", "standalone_e1_v1_02-11.json", "standalone_e1_v1_3-11.json"]
)
def test_a_file_under_another_partitions_name_is_an_error(log: EventLog, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(event(2, 11, "").to_bytes())
    with pytest.raises(StateError, match=f"{name} is of standalone/e1/v1 2-11, which does not match its file name"):
        log.load()


def test_a_file_of_another_chain_is_an_error(log: EventLog, tmp_path: Path) -> None:
    # another era whose files would have the same names: "e1_v1" + "x" against "e1" + "v1_x"
    made = make_event(summary(2, 11, of=era(era_id="e2")), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:00Z")
    (tmp_path / "standalone_e1_v1_2-11.json").write_bytes(made.to_bytes())
    with pytest.raises(StateError, match="is of standalone/e2/v1 2-11"):
        log.latest(Partition(2, 11))


@given(st.integers(0, 12), st.integers(0, 12), st.randoms())
def test_links_give_the_order_whatever_was_pruned_before(count: int, pruned: int, rng: random.Random) -> None:
    events = chained(count)[min(pruned, count) :]
    shuffled = events.copy()
    rng.shuffle(shuffled)
    assert in_link_order(shuffled, "here") == events


def test_a_fork_is_found() -> None:
    one, two = chained(2)
    with pytest.raises(StateError, match=r"forks: the events of 12-21 and 22-31 both follow sha256:") as caught:
        in_link_order([one, two, event(22, 31, one.event_hash)], "/here")
    assert one.event_hash in str(caught.value)
    with pytest.raises(StateError, match=r"in /here forks: .* both follow nothing"):
        in_link_order([one, event(12, 21, "")], "/here")


def test_a_missing_event_is_found() -> None:
    events = chained(4)
    with pytest.raises(StateError, match="is broken: 2-11 follows nothing, 22-31 follows sha256:") as caught:
        in_link_order([events[0], events[2], events[3]], "/here")
    assert events[1].event_hash in str(caught.value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b'{"standalone/e1/v1": 7}',
        b'{"standalone/e1/v1": "sha256:x"}',
        b"[" * 90_000,
        b" " * 1048577,
    ],
    ids=lambda data: f"{data[:24]!r}",
)
def test_damaged_heads(log: EventLog, tmp_path: Path, data: bytes) -> None:
    (tmp_path / HEADS).write_bytes(data)
    with pytest.raises(StateError, match=f"chain heads {tmp_path}/{HEADS} cannot be used.*or remove it: it is rebuilt"):
        log.head()


def test_heads_of_other_chains_stay(log: EventLog, tmp_path: Path) -> None:
    heads = {name: f"sha256:{hex_hash(name)}" for name in ("z/e/v", "a/e/v")}
    (tmp_path / HEADS).write_text(json.dumps(heads))
    assert log.head() is None
    log.set_head(f"sha256:{hex_hash(1)}")
    assert log.head() == f"sha256:{hex_hash(1)}"
    stored = json.loads((tmp_path / HEADS).read_text())
    assert stored == heads | {"standalone/e1/v1": f"sha256:{hex_hash(1)}"}
    assert list(stored) == sorted(stored)


def test_heads_are_written_as_the_older_copier_does(shared: Path, tmp_path: Path) -> None:
    data = (shared / "samples" / "pas-chain-heads.json").read_bytes()
    ((chain, head),) = json.loads(data).items()
    network, era_id, version_label = chain.split("/")
    log = EventLog(LocalStore(tmp_path), era(network=network, era_id=era_id, version_label=version_label))
    log.set_head(head)
    assert (tmp_path / HEADS).read_bytes() == data
