"""Chains and partitions in stores that keep nobody waiting, as object stores are: what can be created once decides.

The store is a directory whose locks do nothing, so that copiers meet wherever they can.
"""

from __future__ import annotations

import dataclasses
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.event import make_event
from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import ConflictError, ObjectExistsError, RunStoppedError, StateError, StoreError
from bronze.ingest.copier import PartitionCopier
from bronze.ingest.encoder import PartitionEncoder
from bronze.lake.lake import Lake
from bronze.lake.prefetch import ObjectPrefetcher
from bronze.ledger.close_meta import VerifyLevel
from bronze.outcomes import Outcome
from bronze.storage.local import LocalStore
from tests.bronze.conftest import ERA, GRID, PRODUCER, LayingSequencer, Workspace, summary
from tests.bronze.storage.store_suite import race

LINKS = "_links/standalone_e1_v1"


class Unlocked(LocalStore):
    supports_locking = False  # type: ignore[assignment]
    is_remote = True  # type: ignore[assignment]
    tells_dead_writers = False  # type: ignore[assignment]

    @contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        yield


def log_at(root: Path) -> EventLog:
    return EventLog(Unlocked(root / "pas"), ERA)


def sequencer(root: Path, state: str = "state") -> Sequencer:
    checkpoint = CheckpointFile(Unlocked(root / state), ERA, "test", single=True)
    dataset = Dataset(LocalStore(root / "data"), "bronze", PRIMARY_TABLE)
    return LayingSequencer(ERA, dataset, PRODUCER, events=log_at(root), checkpoint=checkpoint)


def test_place_is_claimed_once_and_completed(tmp_path: Path) -> None:
    log = log_at(tmp_path)
    one = make_event(summary(2, 11), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:00Z")
    other = make_event(summary(22, 31), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:01Z")
    log.append(one)
    file = tmp_path / "pas" / "standalone_e1_v1_2-11.json"
    file.unlink()  # as if the copier had died in between
    with pytest.raises(ObjectExistsError, match="2-11"):
        log.append(other)
    assert log_at(tmp_path).load() == [one]
    assert file.read_bytes() == one.to_bytes()


@pytest.mark.parametrize("content", [b"", b"../x\n{}", b"x.json\n{"])
def test_damaged_claim_is_refused(tmp_path: Path, content: bytes) -> None:
    store = Unlocked(tmp_path / "pas")
    store.create(f"{LINKS}/first", content)
    with pytest.raises(StateError, match="first"):
        log_at(tmp_path).append(make_event(summary(2, 11), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:00Z"))
    assert sorted(path.name for path in (tmp_path / "pas").iterdir()) == ["_links"]


def test_claim_naming_another_file_is_refused(tmp_path: Path) -> None:
    store = Unlocked(tmp_path / "pas")
    one = make_event(summary(2, 11), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:00Z")
    store.create(f"{LINKS}/first", b"standalone_e1_v1_12-21.json\n" + one.to_bytes())
    with pytest.raises(StateError, match="first"):
        log_at(tmp_path).append(make_event(summary(22, 31), PRIMARY_TABLE, "", PRODUCER, "2026-01-01T00:00:00Z"))


def test_run_killed_after_claim_is_resumed(tmp_path: Path) -> None:
    first = sequencer(tmp_path).commit(summary(2, 11))
    second = sequencer(tmp_path).commit(summary(12, 21))
    (tmp_path / "pas" / "standalone_e1_v1_12-21.json").unlink()
    (tmp_path / "pas" / "pas-chain-heads.json").write_text(json.dumps({ERA.chain: first.event_hash}))
    document = json.loads((tmp_path / "state" / "checkpoint.json").read_bytes())
    document["last_committed_ledger"] = 11
    for key in ("last_committed_partition", "chain_head", "chain_events", "chain_files", "chain_ranges"):
        del document[key]
    (tmp_path / "state" / "checkpoint.json").write_text(json.dumps(document))

    again = sequencer(tmp_path).commit(summary(12, 21))

    assert again.event_hash == second.event_hash
    assert [event.partition.end for event in log_at(tmp_path).load()] == [11, 21]


def test_copiers_of_one_range_make_one_chain(tmp_path: Path) -> None:
    many = [summary(start, start + 9) for start in range(2, 102, 10)]

    def run(_: int) -> int:
        own = sequencer(tmp_path)
        return sum(own.commit(one).is_new for one in many)

    new = race(4, run)
    assert not [one for one in new if isinstance(one, Exception)]

    assert sum(new) == len(many), new  # type: ignore[arg-type]
    assert [event.partition.end for event in log_at(tmp_path).load()] == [one.partition.end for one in many]


def test_copiers_of_different_ranges_make_one_chain(tmp_path: Path) -> None:
    """One of them fills what another, set forward, leaves out."""
    ranges = {"low": range(2, 102, 10), "high": range(102, 202, 10), "higher": range(202, 302, 10)}
    for state, own in ranges.items():
        CheckpointFile(Unlocked(tmp_path / state), ERA, "test", single=True).save(summary(0, own[0] - 1).partition, "")

    def run(number: int) -> int:
        state = list(ranges)[number % 3]
        own = sequencer(tmp_path, state)
        return sum(own.commit(summary(start, start + 9)).is_new for start in ranges[state])

    new = race(6, run)
    assert not [one for one in new if isinstance(one, Exception)]

    assert sum(new) == 30, new  # type: ignore[arg-type]
    assert sorted(event.partition.start for event in log_at(tmp_path).load()) == list(range(2, 302, 10))


# ----------------------------------------------------------------------------------------------------- partitions


@pytest.fixture
def publisher(workspace: Workspace) -> PartitionCopier:
    dataset = Dataset(Unlocked(workspace.data), "bronze", PRIMARY_TABLE)
    return dataclasses.replace(workspace.connections.copier(), dataset=dataset)


def publish(workspace: Workspace, publisher: PartitionCopier) -> Outcome:
    mine = dataclasses.replace(publisher, encoder=workspace.connections.copier().encoder)
    return mine.copy(ERA, GRID[0], workspace.lake.file_starts(GRID[0].start, GRID[0].end)).outcome


@contextmanager
def reading_ahead(
    workspace: Workspace, publisher: PartitionCopier, stopped: Callable[[], bool] = lambda: False
) -> Iterator[PartitionCopier]:
    """The publisher, with an encoder that takes the lake for another machine's."""
    lake = Lake(Unlocked(workspace.lake.store.url), workspace.lake.layout, workspace.lake.passphrase)
    encoder = PartitionEncoder(lake, verify=VerifyLevel.FULL, compression="zstd", max_object=1 << 20, stopped=stopped)
    with closing(encoder):
        yield dataclasses.replace(publisher, encoder=encoder)


def test_copiers_of_one_partition_agree(workspace: Workspace, publisher: PartitionCopier) -> None:
    outcomes = race(6, lambda _: publish(workspace, publisher))
    assert set(outcomes) <= {Outcome.WRITTEN, Outcome.UNCHANGED, Outcome.SKIPPED}, outcomes
    assert outcomes.count(Outcome.WRITTEN) == 1
    assert publisher.dataset.find_manifest(ERA, GRID[0]) is not None


def test_differing_orphan_is_not_overwritten(workspace: Workspace, publisher: PartitionCopier) -> None:
    """It may be another copier's, which is about to create its manifest."""
    key = publisher.dataset.parquet_key(ERA, GRID[0])
    publisher.dataset.store.create(key, b"another version's")
    with pytest.raises(ConflictError, match="remove the file"):
        publish(workspace, publisher)
    assert publisher.dataset.store.read(key) == b"another version's"
    assert publisher.dataset.find_manifest(ERA, GRID[0]) is None


def test_concurrent_differing_manifest_is_conflict(
    workspace: Workspace, publisher: PartitionCopier, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = publisher.dataset.manifest_key(ERA, GRID[0])
    created = Unlocked.create

    def create(store: Unlocked, name: str, data: bytes) -> None:
        if name == key:  # the other copier's, just before ours
            document = json.loads(data)
            document["tables"][PRIMARY_TABLE]["checksum"] = f"sha256:{'0' * 64}"
            created(store, name, json.dumps(document).encode())
        created(store, name, data)

    monkeypatch.setattr(Unlocked, "create", create)
    with pytest.raises(ConflictError, match="another copier at the same time"):
        publish(workspace, publisher)


@pytest.mark.parametrize("same", [True, False])
def test_concurrently_published_partition_is_found_on_creation(
    same: bool, workspace: Workspace, publisher: PartitionCopier
) -> None:
    """Nothing is asked before: what may be created once tells, and the manifest there says what it is."""
    mine = dataclasses.replace(publisher, encoder=workspace.connections.copier().encoder)
    finish = mine.start(ERA, GRID[0], workspace.lake.file_starts(GRID[0].start, GRID[0].end))
    assert publish(workspace, publisher) is Outcome.WRITTEN
    if same:
        assert finish().outcome is Outcome.UNCHANGED
        return
    key = publisher.dataset.manifest_key(ERA, GRID[0])
    document = json.loads(publisher.dataset.store.read(key))
    document["tables"][PRIMARY_TABLE]["checksum"] = f"sha256:{'0' * 64}"
    publisher.dataset.store.replace(key, json.dumps(document).encode())
    with pytest.raises(ConflictError, match=f"was published with the checksum sha256:{'0' * 64}, but the lake gives"):
        finish()


@pytest.mark.parametrize(
    ("compression", "outcome"), [("zstd", Outcome.UNCHANGED), ("snappy", Outcome.REPLACED)], ids=["same", "other"]
)
def test_allow_overwrite_replaces_published_partition(
    compression: str, outcome: Outcome, workspace: Workspace, publisher: PartitionCopier
) -> None:
    publish(workspace, publisher)
    before = publisher.dataset.find_manifest(ERA, GRID[0])
    era = dataclasses.replace(ERA, allow_overwrite=True)
    encoder = workspace.but(target={"compression": compression}).connections.copier().encoder
    files = workspace.lake.file_starts(GRID[0].start, GRID[0].end)
    found = dataclasses.replace(publisher, encoder=encoder).copy(era, GRID[0], files)
    after = publisher.dataset.find_manifest(era, GRID[0])
    assert found.outcome is outcome
    assert before is not None
    assert after is not None
    assert after.checksum == publisher.dataset.checksum(publisher.dataset.parquet_key(era, GRID[0]))
    assert (after.checksum == before.checksum) is (outcome is Outcome.UNCHANGED)


def test_allow_overwrite_keeps_differing_orphan(workspace: Workspace, publisher: PartitionCopier) -> None:
    era = dataclasses.replace(ERA, allow_overwrite=True)
    key = publisher.dataset.parquet_key(era, GRID[0])
    publisher.dataset.store.create(key, b"another version's")
    with pytest.raises(ConflictError, match="remove the file"):
        publisher.copy(era, GRID[0], workspace.lake.file_starts(GRID[0].start, GRID[0].end))
    assert publisher.dataset.store.read(key) == b"another version's"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is asked of stores, a request each (an update is two)."""
    found: list[str] = []
    inside = threading.local()
    for name in ("read", "size", "list_children", "create", "update", "delete"):
        real = getattr(Unlocked, name)

        def counted(store: Unlocked, key: str, *rest: Any, real: Any = real, name: str = name, **more: Any) -> Any:
            depth = getattr(inside, "depth", 0)
            if not depth:  # not what an update does to do its work
                found.append(f"{name} {key.rpartition('/')[2]}")
            inside.depth = depth + 1
            try:
                return real(store, key, *rest, **more)
            finally:
                inside.depth = depth

        monkeypatch.setattr(Unlocked, name, counted)
    return found


def test_existing_partition_costs_one_request(
    workspace: Workspace, publisher: PartitionCopier, asked: list[str]
) -> None:
    publish(workspace, publisher)
    asked.clear()
    assert publish(workspace, publisher) is Outcome.SKIPPED
    assert asked == ["read _manifest.json"]


def test_publishing_reads_own_and_neighbours_manifest(
    workspace: Workspace, publisher: PartitionCopier, asked: list[str]
) -> None:
    """The first partition has a neighbour behind it alone."""
    assert publish(workspace, publisher) is Outcome.WRITTEN
    assert asked == ["read _manifest.json"] * 2 + ["create _manifest.json"]


def test_lake_is_prefetched_unless_previous_was_skipped(
    workspace: Workspace, publisher: PartitionCopier, asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    begin = ObjectPrefetcher.start

    def begun(fetch: ObjectPrefetcher, keys: Iterable[str]) -> None:
        asked.append("lake")
        begin(fetch, keys)

    monkeypatch.setattr(ObjectPrefetcher, "start", begun)
    found = []
    with reading_ahead(workspace, publisher) as mine:
        for partition in (GRID[0], GRID[0], GRID[0], GRID[1], GRID[2]):
            asked.clear()
            outcome = mine.copy(ERA, partition, workspace.lake.file_starts(partition.start, partition.end)).outcome
            found.append((outcome, [what for what in asked if what in ("lake", "read _manifest.json")]))
    manifest = before = behind = "read _manifest.json"
    assert found == [
        (Outcome.WRITTEN, [manifest, "lake", behind]),
        (Outcome.SKIPPED, ["lake", manifest]),
        (Outcome.SKIPPED, [manifest]),
        (Outcome.WRITTEN, [manifest, "lake", before, behind]),
        (Outcome.WRITTEN, ["lake", manifest, before, behind]),
    ]


def test_stopping_run_reads_no_further_partition(
    workspace: Workspace, publisher: PartitionCopier, asked: list[str]
) -> None:
    stop_on_signals = threading.Event()
    with reading_ahead(workspace, publisher, stop_on_signals.is_set) as mine:
        mine.copy(ERA, GRID[0], workspace.lake.file_starts(GRID[0].start, GRID[0].end))
        stop_on_signals.set()
        asked.clear()
        with pytest.raises(RunStoppedError, match="12-21 was not finished"):
            mine.copy(ERA, GRID[1], workspace.lake.file_starts(GRID[1].start, GRID[1].end))
    assert asked == ["read _manifest.json"]


def test_failed_prefetch_is_requested_again(
    workspace: Workspace, publisher: PartitionCopier, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage while the lake is read ahead: the next attempt must not meet the errors of the one before."""
    read, failed = Unlocked.read, threading.Event()

    def down(store: Unlocked, key: str, most: int | None = None) -> bytes:
        if key.endswith(".json"):
            assert failed.wait(20)  # until the lake has failed too
        else:
            failed.set()
        raise StoreError("the service is down")

    with reading_ahead(workspace, publisher) as mine:
        mine.copy(ERA, GRID[0], workspace.lake.file_starts(GRID[0].start, GRID[0].end))
        monkeypatch.setattr(Unlocked, "read", down)
        for _ in range(2):
            with pytest.raises(StoreError, match="down"):
                mine.copy(ERA, GRID[1], workspace.lake.file_starts(GRID[1].start, GRID[1].end))
        monkeypatch.setattr(Unlocked, "read", read)
        found = mine.copy(ERA, GRID[1], workspace.lake.file_starts(GRID[1].start, GRID[1].end))
    assert found.outcome is Outcome.WRITTEN


def test_following_commit_costs_ten_requests(tmp_path: Path, asked: list[str]) -> None:
    sequence = sequencer(tmp_path)
    sequence.commit(summary(2, 11))
    before = sequence.commit(summary(12, 21)).event_hash
    asked.clear()
    sequence.commit(summary(22, 31))
    assert asked == [
        "read checkpoint.json",
        "read pas-chain-heads.json",
        "read standalone_e1_v1_12-21.2.json",
        "read standalone_e1_v1_22-31.json",
        f"create {before.removeprefix('sha256:')}",
        "create standalone_e1_v1_22-31.json",
        "update pas-chain-heads.json",
        "update checkpoint.json",
    ]


def test_given_position_is_not_read_again(tmp_path: Path, asked: list[str]) -> None:
    sequence = sequencer(tmp_path)
    sequence.commit(summary(2, 11))
    sequence.commit(summary(12, 21))
    position = sequence.position()
    asked.clear()
    sequence.commit(summary(22, 31), position)
    assert asked == [
        "read standalone_e1_v1_22-31.json",
        f"create {position.head.removeprefix('sha256:')}",
        "create standalone_e1_v1_22-31.json",
        "update pas-chain-heads.json",
        "update checkpoint.json",
    ]


def test_outdated_position_does_not_fork_chain(tmp_path: Path) -> None:
    slow = sequencer(tmp_path)
    slow.commit(summary(2, 11))
    position = slow.position()
    other = sequencer(tmp_path)
    for start in (12, 22):
        other.commit(summary(start, start + 9))
    commits = [slow.commit(summary(12, 21), position), slow.commit(summary(32, 41))]
    assert [one.is_new for one in commits] == [False, True]
    assert [event.partition.end for event in log_at(tmp_path).load()] == [11, 21, 31, 41]
    assert log_at(tmp_path).head() == commits[-1].event_hash


def test_late_head_update_passes_older_head(tmp_path: Path) -> None:
    """Another copier has advanced the head to an event between the one that this copier read and its own."""
    log = log_at(tmp_path)
    events = []
    for start in (2, 12, 22):
        prev_hash = events[-1].event_hash if events else ""
        events.append(make_event(summary(start, start + 9), PRIMARY_TABLE, prev_hash, PRODUCER, "2026-01-01T00:00:00Z"))
        log.append(events[-1])
    first, second, third = (event.event_hash for event in events)
    assert log.hashes_between(first, third) == [second]
    assert log.hashes_between("", third) == [second, first]
    log.set_head(second)
    log.set_head(third, expected=[first, *log.hashes_between(first, third)])
    log.set_head(second, expected=[first, *log.hashes_between(first, second)])  # later still: it stays
    assert log.head() == third
