"""Event files that are missing, older, pruned or never made: told apart by checkpoint and links."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.event_log import SET_ASIDE
from bronze.commit.recovery import Adopt, recover
from bronze.errors import StateError
from bronze.partitioning.partition import Partition
from tests.bronze.commit.test_sequencer import chain_of
from tests.bronze.conftest import Workspace, copy

GRID = [Partition(start, start + 9) for start in range(2, 62, 10)]


def checkpoint(workspace: Workspace) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((workspace.state / "checkpoint.json").read_bytes())
    return found


def edit(workspace: Workspace, **changes: Any) -> None:
    document = {key: value for key, value in (checkpoint(workspace) | changes).items() if value is not None}
    (workspace.state / "checkpoint.json").write_text(json.dumps(document))


def set_back(workspace: Workspace, last: int) -> None:
    """As an operator edits it."""
    edit(workspace, last_committed_ledger=last)


def parts(workspace: Workspace) -> list[int]:
    return [start for start, _, _ in chain_of(workspace)]


def recovered(workspace: Workspace, adopt: Adopt | None) -> list[str]:
    at, of = workspace.connections, workspace.era
    log, cursor = at.event_log(of), at.delivery_cursor(of)
    return list(recover(of, at.dataset(), log, cursor, at.checkpoint(of), at.downstream(), adopt=adopt))


def test_checkpoint_names_end_of_chain(workspace: Workspace) -> None:
    last = copy(workspace, GRID[:3])[-1]
    document = checkpoint(workspace)
    keys = list(document)
    assert keys[keys.index("last_committed_partition") + 1 : -1] == [
        "chain_head",
        "chain_events",
        "chain_files",
        "chain_ranges",
    ]
    assert (document["chain_head"], document["chain_events"]) == (last.event_hash, 3)
    assert document["chain_ranges"] == [[2, 31]]


@pytest.mark.parametrize("directory", ["missing", "empty"])
def test_events_that_are_gone_are_an_error(workspace: Workspace, directory: str) -> None:
    head = copy(workspace, GRID[:2])[-1].event_hash
    shutil.rmtree(workspace.events)
    if directory == "empty":
        workspace.events.mkdir()
    message = rf"has 2 events, the last one {head}, but .* holds none .* repair --adopt checkpoint"
    with pytest.raises(StateError, match=message):
        workspace.sequencer().commit(workspace.publish(GRID[2]))
    with pytest.raises(StateError, match=message):
        recovered(workspace, None)
    assert not workspace.events.exists() or list(workspace.events.rglob("*.json")) == []


def test_older_event_directory_is_an_error(workspace: Workspace, tmp_path: Path) -> None:
    copy(workspace, GRID[:2])
    shutil.copytree(workspace.events, tmp_path / "older")
    copy(workspace, GRID[2:4])
    shutil.rmtree(workspace.events)
    shutil.copytree(tmp_path / "older", workspace.events)
    message = r"has 4 events, the last one .* holds 2 event files of it"
    with pytest.raises(StateError, match=message):
        workspace.sequencer().position()
    with pytest.raises(StateError, match=message):
        recovered(workspace, None)


def test_lost_events_are_gone_on_behind(workspace: Workspace, tmp_path: Path) -> None:
    copy(workspace, GRID[:2])
    shutil.copytree(workspace.events, tmp_path / "older")
    head = copy(workspace, GRID[2:4])[-1].event_hash
    shutil.rmtree(workspace.events)
    shutil.copytree(tmp_path / "older", workspace.events)
    said = recovered(workspace, Adopt.CHECKPOINT)
    assert any(head in sentence for sentence in said)
    assert len(list((workspace.events / SET_ASIDE).iterdir())) == 2
    copy(workspace, GRID[4:5])
    (event,) = workspace.log.load()
    assert event.prev_hash == head
    assert checkpoint(workspace)["chain_events"] == 5
    assert recovered(workspace, Adopt.CHECKPOINT) == []


def test_events_that_are_there_may_count(workspace: Workspace, tmp_path: Path) -> None:
    copy(workspace, GRID[:2])
    shutil.copytree(workspace.events, tmp_path / "older")
    copy(workspace, GRID[2:4])
    shutil.rmtree(workspace.events)
    shutil.copytree(tmp_path / "older", workspace.events)
    recovered(workspace, Adopt.EVENTS)
    assert workspace.sequencer().position().next_ledger == GRID[2].start
    copy(workspace, GRID[2:5])
    assert parts(workspace) == [2, 12, 22, 32, 42]
    assert checkpoint(workspace)["last_committed_ledger"] == 51


def test_newer_events_than_the_checkpoint_are_normal(workspace: Workspace) -> None:
    copy(workspace, GRID[:2])
    old = (workspace.state / "checkpoint.json").read_bytes()
    copy(workspace, GRID[2:3])
    (workspace.state / "checkpoint.json").write_bytes(old)
    copy(workspace, GRID[2:4])
    assert parts(workspace) == [2, 12, 22, 32]
    assert checkpoint(workspace)["chain_events"] == 4


def test_stream_enabled_late_gets_all_events(workspace: Workspace) -> None:
    silent = workspace.but(chain={"events": None})
    copy(silent, GRID[:3])
    assert workspace.sequencer().position().next_ledger == GRID[0].start
    copy(workspace, GRID[:4])
    assert parts(workspace) == [2, 12, 22, 32]


def test_stream_disabled_for_a_while_gets_its_events(workspace: Workspace) -> None:
    copy(workspace, GRID[:2])
    silent = workspace.but(chain={"events": None})
    copy(silent, GRID[2:4])
    assert checkpoint(workspace)["chain_events"] == 2
    assert "chain_files" not in checkpoint(workspace)
    assert workspace.sequencer().position().next_ledger == GRID[2].start
    sequencer = workspace.sequencer()
    sequencer.commit(workspace.publish(GRID[2]))  # and the run is killed
    assert workspace.sequencer().position().next_ledger == GRID[3].start
    copy(workspace, GRID[3:5])
    assert parts(workspace) == [2, 12, 22, 32, 42]


def test_edited_checkpoint_is_obeyed(workspace: Workspace) -> None:
    copy(workspace, GRID[:4])
    set_back(workspace, GRID[1].end)
    assert workspace.sequencer().position().next_ledger == GRID[2].start
    edit(workspace, last_committed_ledger=GRID[1].end, last_committed_partition=None)
    assert workspace.sequencer().position().next_ledger == GRID[2].start


OUT_OF_ORDER = [GRID[0], GRID[3], GRID[4], GRID[1], GRID[2]]


def out_of_order(workspace: Workspace) -> None:
    """The chain goes on behind a gap, which is filled later: 2-11, 32-41, 42-51, 12-21, 22-31."""
    copy(workspace, GRID[:1])
    set_back(workspace, GRID[2].end)
    copy(workspace, GRID[3:5])
    set_back(workspace, GRID[0].end)
    copy(workspace, GRID[1:3])
    assert parts(workspace) == [one.start for one in OUT_OF_ORDER]


def prune(workspace: Workspace, count: int) -> None:
    """Remove the oldest event files, by links."""
    for event in workspace.log.load()[:count]:
        (workspace.events / workspace.log.key(event.partition)).unlink()


@pytest.mark.parametrize("lost", ["nothing", "the checkpoint"])
@pytest.mark.parametrize("pruned", [1, 2, 3, 4])
def test_pruned_partitions_get_no_second_event(workspace: Workspace, pruned: int, lost: str) -> None:
    out_of_order(workspace)
    prune(workspace, pruned)
    if lost == "the checkpoint":
        (workspace.state / "checkpoint.json").unlink()
    else:
        set_back(workspace, 0)
    copy(workspace, GRID[:5])
    assert parts(workspace) == [one.start for one in OUT_OF_ORDER[pruned:]]


@pytest.mark.parametrize("pruned", [0, 1, 2, 3])
@pytest.mark.parametrize("killed", [False, True])
def test_gap_filled_after_pruning_gets_its_events(workspace: Workspace, pruned: int, killed: bool) -> None:
    copy(workspace, GRID[:1])
    set_back(workspace, GRID[2].end)
    copy(workspace, GRID[3:5])
    prune(workspace, pruned)
    set_back(workspace, GRID[0].end)
    if killed:  # published, not committed
        workspace.publish(GRID[1])
    copy(workspace, GRID[1:3])
    assert parts(workspace)[-2:] == [12, 22]


def test_event_left_by_a_dead_run_is_followed(workspace: Workspace) -> None:
    """It filled a gap, and died between the event's file and the chain head."""
    copy(workspace, GRID[:1])
    set_back(workspace, GRID[1].end)
    copy(workspace, GRID[2:3])
    kept = {path: path.read_bytes() for path in (*workspace.state.iterdir(), workspace.events / "pas-chain-heads.json")}
    set_back(workspace, GRID[0].end)
    copy(workspace, GRID[1:2])
    for path, data in kept.items():
        if path.is_file():
            path.write_bytes(data)
    copy(workspace, GRID[3:4])
    assert parts(workspace) == [2, 22, 12, 32]


@pytest.mark.parametrize("count", [2, 5])
def test_first_commit_reads_no_earlier_event(workspace: Workspace, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    copy(workspace, GRID[:count])
    read: list[str] = []
    log = type(workspace.log)
    original = log.read_event

    def recording(self: Any, name: str) -> Any:
        read.append(name)
        return original(self, name)

    monkeypatch.setattr(log, "read_event", recording)
    following = workspace.publish(GRID[count])
    workspace.sequencer().commit(following)
    key = workspace.log.key
    assert set(read) <= {
        key(GRID[count - 1]),
        key(GRID[count - 1], 2),
        key(GRID[count]),
        key(GRID[count], 2),
    }


@pytest.mark.parametrize(
    "change",
    [
        {"chain_head": "xyz"},
        {"chain_events": 0},
        {"chain_events": True},
        {"chain_files": "xyz"},
        {"chain_ranges": "2-11"},
        {"chain_ranges": [[2]]},
        {"chain_ranges": [["2", 11]]},
    ],
)
def test_damaged_end_of_chain_is_an_error(workspace: Workspace, change: dict[str, Any]) -> None:
    copy(workspace, GRID[:1])
    edit(workspace, **change)
    with pytest.raises(StateError, match=r"checkpoint\.json"):
        workspace.sequencer().position()
    assert any("set aside" in sentence for sentence in recovered(workspace, None))
    assert parts(workspace) == [2]


def test_pruned_events_stay_counted(workspace: Workspace) -> None:
    copy(workspace, GRID[:4])
    for one in GRID[:3]:
        (workspace.events / workspace.log.key(one)).unlink()
    copy(workspace, GRID[4:5])
    assert (checkpoint(workspace)["chain_events"], checkpoint(workspace)["chain_ranges"]) == (5, [[2, 51]])


def test_uncounted_pruned_chain_stays_uncounted(workspace: Workspace) -> None:
    """The checkpoint is of an older version, and the oldest events were pruned before anybody counted them."""
    copy(workspace, GRID[:4])
    edit(workspace, chain_head=None, chain_events=None, chain_files=None, chain_ranges=None)
    (workspace.events / workspace.log.key(GRID[0])).unlink()
    last = copy(workspace, GRID[4:5])[-1]
    assert checkpoint(workspace)["chain_head"] == last.event_hash
    assert "chain_events" not in checkpoint(workspace)


def test_verify_names_events_that_are_gone(workspace: Workspace) -> None:
    copy(workspace, GRID[:3])
    assert workspace.audit().problems == []
    shutil.rmtree(workspace.events)
    (problem,) = workspace.audit().problems
    assert "has 3 events, the last one" in problem
    assert "repair --adopt" in problem


@pytest.mark.parametrize("killed_at", [0, 1, 2])
def test_killed_adoption_is_completed(
    workspace: Workspace, tmp_path: Path, killed_at: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(workspace, GRID[:3])
    shutil.copytree(workspace.events, tmp_path / "older")
    head = copy(workspace, GRID[3:5])[-1].event_hash
    shutil.rmtree(workspace.events)
    (tmp_path / "older").rename(workspace.events)
    store, deleted = type(workspace.log.store), []
    delete = store.delete

    def dying(self: Any, key: str) -> None:
        if len(deleted) == killed_at:
            raise KeyboardInterrupt
        deleted.append(key)
        delete(self, key)

    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", dying)
        with pytest.raises(KeyboardInterrupt):
            recovered(workspace, Adopt.CHECKPOINT)
    recovered(workspace, Adopt.CHECKPOINT)
    assert workspace.log.names() == []
    assert len(list((workspace.events / SET_ASIDE).iterdir())) == 3
    copy(workspace, GRID[5:6])
    (event,) = workspace.log.load()
    assert (event.partition, event.prev_hash) == (GRID[5], head)


def test_partition_published_after_pruning_gets_its_event(workspace: Workspace) -> None:
    """Published by a run that was killed; the checkpoint is lost, so that the times decide."""
    copy(workspace, GRID[:4])
    prune(workspace, 2)
    workspace.publish(GRID[4])
    (workspace.state / "checkpoint.json").unlink()
    copy(workspace, GRID[:5])
    assert parts(workspace) == [22, 32, 42]


def test_replaced_partition_gets_event_after_pruning(workspace: Workspace) -> None:
    """The event that was pruned was of the content before."""
    copy(workspace, GRID[:3])
    prune(workspace, 1)
    (made,) = copy(workspace.of(allow_overwrite=True).but(target={"compression": "snappy"}), GRID[:1])
    assert made.is_new
    assert parts(workspace) == [12, 22, 2]


def test_gap_published_after_pruning_gets_its_event(workspace: Workspace) -> None:
    """It lies before all events that are left, and the checkpoint that says it never had one is lost."""
    copy(workspace, GRID[:1])
    set_back(workspace, GRID[2].end)
    copy(workspace, GRID[3:5])
    prune(workspace, 1)
    workspace.publish(GRID[1])
    (workspace.state / "checkpoint.json").unlink()
    copy(workspace, GRID[1:2])
    assert parts(workspace) == [32, 42, 12]


def test_partition_published_with_the_oldest_gets_its_event(workspace: Workspace) -> None:
    """Both were published before either was committed; the run was killed in between, and the checkpoint is lost."""
    copy(workspace, GRID[:3])
    workspace.publish(GRID[3])
    workspace.publish(GRID[4])
    copy(workspace, GRID[3:4])
    prune(workspace, 3)
    (workspace.state / "checkpoint.json").unlink()
    copy(workspace, GRID[:5])
    assert parts(workspace) == [32, 42]
