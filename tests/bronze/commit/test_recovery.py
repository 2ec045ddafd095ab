"""`repair` puts the same position into a lost checkpoint that `run` comes to, whatever else is lost or was changed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bronze.audit.event_log import HEADS
from bronze.commit.chain_state import ChainState
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.position import ChainPosition
from bronze.commit.recovery import recover, restore
from bronze.errors import BronzeError, StateError
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import plan_era
from bronze.storage import location as locations
from tests.bronze.conftest import GRID, Workspace, copy, files, hex_hash, workspace_at

#: What changes the six partitions 2-11 .. 52-61, their chain, or how a run is configured.
State = Callable[[Workspace], Workspace | None]


def run(workspace: Workspace) -> None:
    """What a run does, in one thread and up to the first partition that fails."""
    era, connections = workspace.era, workspace.connections
    plan = plan_era(era, connections.sequencer(era).position().next_ledger, None, connections.dataset(), partial=False)
    sequencer = connections.sequencer(era)
    restore(
        era, connections.dataset(), connections.event_log(era), connections.checkpoint(era), connections.downstream()
    )
    with suppress(BronzeError):
        for partition in plan.partitions:
            sequencer.commit(workspace.publish(partition))


def repair(workspace: Workspace) -> list[str]:
    """What the command of this name does; what it says."""
    era, connections = workspace.era, workspace.connections
    log, cursor, checkpoint = connections.event_log(era), connections.delivery_cursor(era), connections.checkpoint(era)
    return list(recover(era, connections.dataset(), log, cursor, checkpoint, connections.downstream()))


def prune(*pruned: Partition) -> State:
    def apply(workspace: Workspace) -> None:
        for one in pruned:
            (workspace.events / workspace.log.key(one)).unlink()

    return apply


def unpublish(*gone: Partition) -> State:
    def apply(workspace: Workspace) -> None:
        for one in gone:
            shutil.rmtree(workspace.manifest(one).parent)

    return apply


def no_heads(workspace: Workspace) -> None:
    (workspace.events / HEADS).unlink()


def no_events(workspace: Workspace) -> Workspace:
    return workspace.but(chain={"events": None})


def of(**changes: int) -> State:
    return lambda workspace: workspace.of(**changes)


def edit(one: Partition, change: Callable[[dict], object]) -> State:
    def apply(workspace: Workspace) -> None:
        document = json.loads(workspace.manifest(one).read_text())
        change(document)
        workspace.manifest(one).write_text(json.dumps(document))

    return apply


def without(*missing: Partition) -> State:
    """As after a checkpoint that was set forward over `missing`."""

    def apply(workspace: Workspace) -> None:
        shutil.rmtree(workspace.events)
        shutil.rmtree(workspace.state)
        unpublish(*missing)(workspace)
        for one in [one for one in GRID if one not in missing]:
            made = workspace.publish(one)
            workspace.state.mkdir(exist_ok=True)
            path = workspace.state / "checkpoint.json"
            names = ("network", "era_id", "version_label")
            document = dict(zip(names, workspace.era.chain.split("/"), strict=True))
            path.write_text(json.dumps(document | {"last_committed_ledger": one.start - 1}))
            workspace.sequencer().commit(made)

    return apply


def corrected(workspace: Workspace) -> None:
    other = workspace.of(allow_overwrite=True).but(target={"compression": "snappy"})
    copy(other, [GRID[1]])


def damaged(one: Partition) -> State:
    return lambda workspace: workspace.parquet(one).write_bytes(b"") and None


STATES = [
    ([], 61),
    ([no_heads], 61),
    # gaps in front, in the middle, both
    ([without(GRID[0], GRID[1])], None),
    ([without(GRID[2])], 21),
    ([without(GRID[0], GRID[3])], None),
    ([without(GRID[2]), no_heads], 21),
    # pruned: the oldest, all of them, also with a gap, and with the heads lost
    ([prune(*GRID[:2])], 61),
    ([prune(*GRID[:2]), no_heads], 61),
    ([without(GRID[0]), prune(GRID[1])], 61),
    ([without(GRID[3]), prune(GRID[0])], 31),
    ([prune(*GRID)], 61),
    ([unpublish(GRID[3]), prune(*GRID)], 31),
    # corrected, and pruned after that
    ([corrected], 61),
    ([corrected, prune(GRID[0])], 61),
    # no audit stream
    ([no_events], 61),
    ([no_events, unpublish(GRID[0])], None),
    ([no_events, unpublish(GRID[2])], 21),
    ([no_events, edit(GRID[3], lambda one: one["ledgers"].update(previous_hash=hex_hash("x")))], 31),
    ([no_events, edit(GRID[3], lambda one: one.pop("ledgers"))], 61),
    ([no_events, damaged(GRID[3])], 31),
    ([no_events, of(ledger_end=31)], 31),
    # another partition size
    ([of(partition_size=20)], 61),
    ([of(partition_size=3), without(GRID[4])], 41),
    ([no_events, of(partition_size=20)], 61),
    # another start: forward, into a partition, behind everything, back
    ([of(ledger_start=22)], 61),
    ([of(ledger_start=25)], 61),
    ([of(ledger_start=12), without(GRID[0]), of(ledger_start=2)], None),
    ([of(ledger_start=0), prune(GRID[0])], 61),
    ([no_events, of(ledger_start=25)], 61),
    ([no_events, of(ledger_start=71, ledger_end=80)], None),
]  # fmt: skip


@pytest.fixture
def lost(published: Workspace, tmp_path: Path) -> Callable[[list[State]], tuple[Workspace, Workspace]]:
    """Twice the same state, its checkpoint lost."""

    def make(states: list[State]) -> tuple[Workspace, Workspace]:
        workspace = published.of(ledger_end=61)
        for state in states:
            workspace = state(workspace) or workspace
        (workspace.state / "checkpoint.json").unlink()
        for folder in ("data", "events", "state"):
            if (tmp_path / folder).exists():
                shutil.copytree(tmp_path / folder, tmp_path / "twin" / folder)
        twin = workspace_at(tmp_path / "twin", Path(workspace.job.source.location.path), eras=workspace.job.eras)  # type: ignore[union-attr]
        return workspace, twin if workspace.job.chain.events else twin.but(chain={"events": None})

    return make


def last_committed(workspace: Workspace) -> int | None:
    found = workspace.checkpoint.load()
    return found.last_ledger if found else None


def without_lake(workspace: Workspace) -> Workspace:
    return workspace.but(source={"location": locations.StorageLocation("/nowhere")})


@pytest.mark.parametrize(("states", "expected"), STATES)
def test_repair_and_run_agree(
    lost: Callable[[list[State]], tuple[Workspace, Workspace]], states: list[State], expected: int | None
) -> None:
    ran, repaired = lost(states)
    run(without_lake(ran))  # it commits what is published and stops where something would have to be copied
    said = repair(repaired)
    assert (last_committed(ran), last_committed(repaired)) == (expected, expected)
    anew = f"checkpoint of standalone/e1/v1: rebuilt, committed up to ledger {expected}"
    assert (anew in said) == (expected is not None)
    # The next run finds the same to do, and does the same.
    run(ran)
    run(repaired)
    assert last_committed(ran) == last_committed(repaired)
    assert names(ran) == names(repaired)
    if ran.job.chain.events:
        assert [one.partition for one in ran.log.load()] == [one.partition for one in repaired.log.load()]


def test_start_behind_events_is_refused_by_both(
    lost: Callable[[list[State]], tuple[Workspace, Workspace]],
) -> None:
    """The ledgers between would be missing for ever: neither a run nor repair makes a checkpoint of it."""
    ran, repaired = lost([of(ledger_start=71, ledger_end=80)])
    for act in (lambda: run(without_lake(ran)), lambda: repair(repaired)):
        with pytest.raises(StateError, match="is committed up to ledger 61, but ledger_start is 71"):
            act()
    assert (last_committed(ran), last_committed(repaired)) == (None, None)


def names(workspace: Workspace) -> list[str]:
    return sorted(files(workspace.data))


def test_chain_that_begins_anew_gets_its_events(published: Workspace) -> None:
    """Events, head and checkpoint are gone: what is published is not committed, and repair does not say so."""
    shutil.rmtree(published.events)
    shutil.rmtree(published.state)
    workspace = published.of(ledger_end=61)
    assert repair(workspace) == []
    assert last_committed(workspace) is None
    run(workspace)
    assert [one.partition for one in workspace.log.load()] == list(GRID)


def test_intact_state_needs_no_repair(published: Workspace) -> None:
    before = files(published.events) | files(published.state)
    assert repair(published) == []
    assert files(published.events) | files(published.state) == before


def test_checkpoint_made_meanwhile_stays(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is there when it is to be rebuilt: another run has just made it."""
    path = published.state / "checkpoint.json"
    made = path.read_bytes()
    monkeypatch.setattr(CheckpointFile, "load", lambda _: None)
    (published.events / published.log.key(GRID[-1])).unlink()
    at = published.connections
    (published.events / HEADS).unlink()
    restore(published.era, at.dataset(), at.event_log(published.era), at.checkpoint(published.era), at.downstream())
    assert path.read_bytes() == made


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"{ damaged", "it is not valid JSON: "), (b"{}", "it lacks the key 'network'")],
)
def test_damaged_file_is_kept_aside(content: bytes, reason: str, published: Workspace) -> None:
    """What is said of it does not advise to do what is being done."""
    (published.state / "checkpoint.json").write_bytes(content)
    (said, *_) = repair(published)
    assert f"was set aside as checkpoint.json.damaged-1: {reason}" in said
    assert "bronze-copier repair" not in said
    assert (published.state / "checkpoint.json.damaged-1").read_bytes() == content


def test_checkpoint_made_meanwhile_outlasts_repair(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without events repair takes what is published for committed."""
    path = published.state / "checkpoint.json"
    made = path.read_bytes()
    monkeypatch.setattr(CheckpointFile, "load", lambda _: None)
    repair(published.but(chain={"events": None}))
    assert path.read_bytes() == made


def test_head_advanced_meanwhile_stays(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that lags is updated, unless another copier has advanced it since it was read."""
    log, era, at = published.log, published.era, published.connections
    log.set_head(log.load()[-2].event_hash)
    restore(era, at.dataset(), at.event_log(era), at.checkpoint(era), at.downstream())
    assert log.head() == log.load()[-1].event_hash

    log.set_head(log.load()[-2].event_hash)
    later = f"sha256:{hex_hash('of another copier')}"
    read = ChainState.read_position

    def overtaken(state: ChainState, *rest: ChainPosition) -> ChainPosition:
        position = read(state, *rest)
        log.set_head(later)
        return position

    monkeypatch.setattr(ChainState, "read_position", overtaken)
    restore(era, at.dataset(), at.event_log(era), at.checkpoint(era), at.downstream())
    assert log.head() == later
