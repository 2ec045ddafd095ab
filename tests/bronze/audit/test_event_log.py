"""The event files of a chain: their names, their order, and the heads beside them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.audit.event import make_event
from bronze.audit.event_log import HEADS, EventLog, in_link_order
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import ObjectExistsError, StateError
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from tests.bronze.audit.conftest import TIMESTAMP, chained, event
from tests.bronze.conftest import ERA, PRODUCER, era, hex_hash, summary


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    return EventLog(LocalStore(tmp_path), ERA)


def test_event_file_names_count_revisions(log: EventLog) -> None:
    assert log.key(Partition(2, 11)) == "standalone_e1_v1_2-11.json"
    assert log.key(Partition(2, 11), 2) == "standalone_e1_v1_2-11.2.json"


def test_appended_event_is_never_overwritten(log: EventLog, tmp_path: Path) -> None:
    one, other = event(2, 11, ""), event(2, 11, "", "other")
    log.append(one)
    assert (tmp_path / "standalone_e1_v1_2-11.json").read_bytes() == one.to_bytes()
    with pytest.raises(ObjectExistsError):
        log.append(other)
    assert EventLog(LocalStore(tmp_path), ERA).load() == [one]


def test_latest_event_is_the_last_revision(log: EventLog) -> None:
    assert log.latest(Partition(2, 11)) == (None, 0)
    one = event(2, 11, "")
    two = event(2, 11, one.event_hash, "corrected")
    log.append(one)
    assert log.latest(Partition(2, 11)) == (one, 1)
    log.append(two, 2)
    assert log.latest(Partition(2, 11)) == (two, 2)
    assert log.load() == [one, two]


def test_load_ignores_files_of_other_names(log: EventLog, tmp_path: Path) -> None:
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
    assert log.list_partitions() == {one.partition}


def test_event_file_that_is_none_is_missing(log: EventLog, tmp_path: Path) -> None:
    events = chained(3)
    for one in events:
        log.append(one)
    path = tmp_path / log.key(events[1].partition)
    path.unlink()
    path.symlink_to("/nothing/there")
    assert len(log.names()) == 2
    with pytest.raises(StateError, match=r"is broken: .* Restore the event files that are missing between them"):
        EventLog(LocalStore(tmp_path), ERA).load()


def test_listed_partitions_count_revisions_once(log: EventLog) -> None:
    assert log.list_partitions() == frozenset()
    one, two = event(2, 11, ""), event(12, 21, "")
    log.append(one)
    log.append(two)
    log.append(event(2, 11, one.event_hash, "corrected"), 2)
    assert log.list_partitions() == {one.partition, two.partition}


@pytest.mark.parametrize(
    "name", ["standalone_e1_v1_2-12.json", "standalone_e1_v1_02-11.json", "standalone_e1_v1_3-11.json"]
)
def test_event_under_wrong_file_name_is_error(log: EventLog, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(event(2, 11, "").to_bytes())
    with pytest.raises(StateError, match=f"{name} is of standalone/e1/v1 2-11, which does not match its file name"):
        log.load()


def test_event_of_another_chain_is_error(log: EventLog, tmp_path: Path) -> None:
    # another era whose files would have the same names: "e1_v1" + "x" against "e1" + "v1_x"
    made = make_event(summary(2, 11, of=era(era_id="e2")), PRIMARY_TABLE, "", PRODUCER, TIMESTAMP)
    (tmp_path / "standalone_e1_v1_2-11.json").write_bytes(made.to_bytes())
    with pytest.raises(StateError, match="is of standalone/e2/v1 2-11"):
        log.latest(Partition(2, 11))


@given(st.integers(0, 12), st.integers(0, 12), st.randoms())
def test_link_order_is_found_after_pruning(count: int, pruned: int, rng: random.Random) -> None:
    events = chained(count)[min(pruned, count) :]
    shuffled = events.copy()
    rng.shuffle(shuffled)
    assert in_link_order(shuffled, "here") == events


def test_forked_chain_is_error() -> None:
    one, two = chained(2)
    with pytest.raises(StateError, match=r"forks: the events of 12-21 and 22-31 both follow sha256:") as caught:
        in_link_order([one, two, event(22, 31, one.event_hash)], "/here")
    assert one.event_hash in str(caught.value)
    with pytest.raises(StateError, match=r"in /here forks: .* both follow nothing"):
        in_link_order([one, event(12, 21, "")], "/here")


def test_missing_event_breaks_the_chain() -> None:
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
def test_damaged_chain_heads_name_the_remedy(log: EventLog, tmp_path: Path, data: bytes) -> None:
    (tmp_path / HEADS).write_bytes(data)
    with pytest.raises(StateError, match=f"chain heads {tmp_path}/{HEADS} cannot be used.*or remove it: it is rebuilt"):
        log.head()


def test_set_head_keeps_other_chains(log: EventLog, tmp_path: Path) -> None:
    heads = {name: f"sha256:{hex_hash(name)}" for name in ("z/e/v", "a/e/v")}
    (tmp_path / HEADS).write_text(json.dumps(heads))
    assert log.head() is None
    log.set_head(f"sha256:{hex_hash(1)}")
    assert log.head() == f"sha256:{hex_hash(1)}"
    stored = json.loads((tmp_path / HEADS).read_text())
    assert stored == heads | {"standalone/e1/v1": f"sha256:{hex_hash(1)}"}
    assert list(stored) == sorted(stored)


def test_chain_heads_equal_the_older_copiers(shared: Path, tmp_path: Path) -> None:
    data = (shared / "samples" / "pas-chain-heads.json").read_bytes()
    ((chain, head),) = json.loads(data).items()
    network, era_id, version_label = chain.split("/")
    log = EventLog(LocalStore(tmp_path), era(network=network, era_id=era_id, version_label=version_label))
    log.set_head(head)
    assert (tmp_path / HEADS).read_bytes() == data


def test_oversized_event_file_is_not_loaded(log: EventLog, tmp_path: Path) -> None:
    with (tmp_path / log.key(Partition(2, 11))).open("wb") as file:
        file.truncate(1 << 40)  # sparse; reading it would take all memory there is
    with pytest.raises(StateError, match=r"event .*standalone_e1_v1_2-11\.json cannot be used: .*1048576"):
        log.latest(Partition(2, 11))


class Unlocked(LocalStore):
    """A local store used as an object store is: without locks."""

    supports_locking = False  # type: ignore[assignment]


@pytest.mark.parametrize(
    "claim",
    [
        b"",
        b"standalone_e1_v1_2-11.json\n{}",
        b"standalone_e1_v1_12-21.json\n" + event(2, 11, "").to_bytes(),  # another file than the event's
        b"\xff.json\n" + event(2, 11, "").to_bytes(),
        b"standalone_e1_v1_2-11.json\n" + event(2, 11, f"sha256:{hex_hash(1)}").to_bytes(),  # another place
        b" " * ((1 << 20) + 1025),
    ],
    ids=["empty", "no-event", "other-file", "no-name", "other-place", "oversized"],
)
def test_damaged_claim_is_a_state_error(tmp_path: Path, claim: bytes) -> None:
    store = Unlocked(tmp_path)
    store.create("_links/standalone_e1_v1/first", claim)
    with pytest.raises(StateError, match="_links/standalone_e1_v1/first"):
        EventLog(store, ERA).append(event(12, 21, ""))
    assert [path.name for path in tmp_path.iterdir()] == ["_links"]


def test_claimed_place_is_completed_and_refused(tmp_path: Path) -> None:
    store, claiming = Unlocked(tmp_path), event(2, 11, "")
    store.create("_links/standalone_e1_v1/first", b"standalone_e1_v1_2-11.json\n" + claiming.to_bytes())
    with pytest.raises(ObjectExistsError, match="is claimed by the event of 2-11"):
        EventLog(store, ERA).append(event(12, 21, ""))
    assert EventLog(store, ERA).load() == [claiming]


def test_append_refuses_larger_file_in_place(tmp_path: Path) -> None:
    log, made = EventLog(Unlocked(tmp_path), ERA), event(2, 11, "")
    (tmp_path / log.key(made.partition)).write_bytes(made.to_bytes() + b" ")
    with pytest.raises(ObjectExistsError):
        log.append(made)
