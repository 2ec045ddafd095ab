"""The commit of partitions to their chain: in order, once, whatever died in between, whoever else commits."""

from __future__ import annotations

import dataclasses
import itertools
import json
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bronze.audit.event import Event, make_event
from bronze.audit.event_log import HEADS, EventLog
from bronze.catalog.catalog import Catalog
from bronze.catalog.lineage import LineageContext
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.position import ChainPosition
from bronze.commit.sequencer import Sequencer
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import ConflictError, StateError, VerificationError
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from tests.bronze.catalog.conftest import rows
from tests.bronze.conftest import (
    ERA,
    GRID,
    PRODUCER,
    LayingSequencer,
    Workspace,
    era,
    files,
    hex_hash,
    lay,
    summary,
    workspace_at,
)
from tests.bronze.storage.store_suite import race
from tests.support.postgres_server import database, postgres

__all__ = ["database", "postgres"]

CHECKPOINT = "checkpoint.json"
FOUR = [summary(start, start + 9) for start in range(2, 42, 10)]


def chain_of(workspace: Workspace) -> list[tuple[int, int, str]]:
    """The chain as its files have it, read by nobody before: range and checksum of each event."""
    events = workspace.log.load()
    assert workspace.log.head() == (events[-1].event_hash if events else None)
    return [(event.partition.start, event.partition.end, event.checksum) for event in events]


def said(summaries: Sequence[PartitionSummary]) -> list[tuple[int, int, str]]:
    return [(one.partition.start, one.partition.end, one.checksum) for one in summaries]


def commit(workspace: Workspace, *summaries: PartitionSummary, **changes: object) -> list[bool]:
    """Commit with a sequencer that knows nothing yet; which events are new."""
    sequencer = workspace.sequencer(**changes)
    return [sequencer.commit(one).is_new for one in summaries]


def checkpoint_of(workspace: Workspace) -> tuple[int, str]:
    document = json.loads((workspace.state / CHECKPOINT).read_text())
    return document["last_committed_ledger"], document["last_committed_partition"]["checksum"]


def test_partitions_are_committed_in_ledger_order(workspace: Workspace) -> None:
    assert workspace.sequencer().position() == ChainPosition(2, "", None)
    commits = [workspace.sequencer().commit(one) for one in FOUR]
    assert [one.is_new for one in commits] == [True] * 4
    assert chain_of(workspace) == said(FOUR)
    assert checkpoint_of(workspace) == (41, FOUR[-1].checksum)
    assert workspace.sequencer().position() == ChainPosition(42, commits[-1].event_hash, Partition(32, 41))
    assert [event.event_hash for event in workspace.log.load()] == [one.event_hash for one in commits]


def test_repeated_commit_changes_nothing(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    before = files(workspace.events)
    assert commit(workspace, *FOUR) == [False] * 4
    assert commit(workspace, FOUR[2], FOUR[0]) == [False] * 2  # in any order
    assert files(workspace.events) == before
    assert checkpoint_of(workspace)[0] == 41


def test_partition_after_gap_is_refused(workspace: Workspace) -> None:
    commit(workspace, FOUR[0])
    before = files(workspace.events)
    message = "partition standalone/e1/v1 22-31 cannot be committed: the next ledger to commit is 12"
    with pytest.raises(StateError, match=message):
        commit(workspace, FOUR[2])
    assert files(workspace.events) == before
    assert checkpoint_of(workspace)[0] == 11


@pytest.mark.parametrize("other", [(12, 21), (2, 21), (12, 31), (14, 15)])
def test_overlap_with_last_committed_is_refused(workspace: Workspace, other: tuple[int, int]) -> None:
    commit(workspace, summary(2, 15))
    before = files(workspace.events)
    with pytest.raises(StateError, match=f"{other[0]}-{other[1]} cannot be committed: it overlaps .* 2-15"):
        commit(workspace, summary(*other))
    assert files(workspace.events) == before


def test_overlap_with_earlier_event_is_refused(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    shutil.rmtree(workspace.data)
    before = files(workspace.events)
    with pytest.raises(StateError, match="14-17 cannot be committed: it overlaps the committed partition 12-21"):
        commit(workspace, summary(14, 17))
    assert files(workspace.events) == before


def test_overlap_with_published_partition_is_refused(workspace: Workspace) -> None:
    commit(workspace, FOUR[0])
    lay(workspace.dataset, workspace.era, summary(12, 15))
    with pytest.raises(StateError, match="12-21 overlaps the published partition 12-15"):
        commit(workspace, FOUR[1])


def test_links_hold_without_partition_in_checkpoint(workspace: Workspace) -> None:
    commit(workspace, *FOUR[:2])
    document = json.loads((workspace.state / CHECKPOINT).read_text())
    del document["last_committed_partition"]
    (workspace.state / CHECKPOINT).write_text(json.dumps(document))
    with pytest.raises(VerificationError, match=f"ledger 21 of the published partition 12-21 has {hex_hash(21)}"):
        commit(workspace, summary(22, 31, previous_hash=hex_hash("other")))
    assert commit(workspace, FOUR[2]) == [True]


def test_filled_gap_links_to_partition_behind(workspace: Workspace) -> None:
    commit(workspace, FOUR[0])
    document = json.loads((workspace.state / CHECKPOINT).read_text())
    (workspace.state / CHECKPOINT).write_text(json.dumps(document | {"last_committed_ledger": 21}))
    commit(workspace, FOUR[2])
    before = files(workspace.events)
    with pytest.raises(VerificationError, match="22 of the published partition 22-31 follows"):
        commit(workspace, summary(12, 21, last_hash=hex_hash("other")))
    assert files(workspace.events) == before
    assert commit(workspace, FOUR[1]) == [True]


def test_raised_ledger_start_is_refused(workspace: Workspace) -> None:
    commit(workspace, FOUR[0])
    with pytest.raises(StateError, match="is committed up to ledger 11, but ledger_start is 22"):
        workspace.sequencer(ledger_start=22).position()
    assert workspace.sequencer(ledger_start=12).position().next_ledger == 12
    (workspace.state / CHECKPOINT).unlink()  # then the events say how far the chain is
    with pytest.raises(StateError, match="is committed up to ledger 11, but ledger_start is 22"):
        workspace.sequencer(ledger_start=22).position()
    assert workspace.sequencer(ledger_start=12).position().next_ledger == 12


# The files of a chain after each of its commits, put together at every state that a crash can leave: an event
# file is created first, the head follows, then the checkpoint. None: the file is lost altogether.
CRASHES = [
    (events, head, checkpoint)
    for events in range(5)
    for head in (None, *range(1, events + 1))
    for checkpoint in (None, *range(1, events + 1))
]


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory, lake_of) -> list[Path]:
    """Directories: the place after no, one, ... four commits."""
    root = tmp_path_factory.mktemp("stages")
    working = workspace_at(root / "working", lake_of())
    for folder in (working.events, working.state):
        folder.mkdir(parents=True)
    for count in range(5):
        if count:
            commit(working, FOUR[count - 1])
        shutil.copytree(root / "working", root / str(count))
    return [root / str(count) for count in range(5)]


def restore(workspace: Workspace, stages: list[Path], events: int, head: int | None, checkpoint: int | None) -> None:
    shutil.copytree(stages[events] / "events", workspace.events)
    (workspace.events / HEADS).unlink(missing_ok=True)
    workspace.state.mkdir()
    if head is not None:
        shutil.copy(stages[head] / "events" / HEADS, workspace.events)
    if checkpoint is not None:
        shutil.copy(stages[checkpoint] / "state" / CHECKPOINT, workspace.state)


@pytest.mark.parametrize(("events", "head", "checkpoint"), CRASHES)
def test_every_crash_is_recovered_from(
    workspace: Workspace, stages: list[Path], events: int, head: int | None, checkpoint: int | None
) -> None:
    restore(workspace, stages, events, head, checkpoint)
    position = workspace.sequencer().position()
    # no checkpoint: rebuilt from the events; an old one is obeyed, and what follows it is completed
    assert position.next_ledger == 2 + 10 * (events if checkpoint is None else checkpoint)
    before = {name: data for name, data in files(workspace.events).items() if name != HEADS}
    # a run hands in what follows the position; the last one again, too, where nothing does
    commit(workspace, *[one for one in FOUR if one.partition.end >= min(position.next_ledger, 41)])
    assert chain_of(workspace) == said(FOUR)
    assert before.items() <= files(workspace.events).items()
    assert checkpoint_of(workspace) == (41, FOUR[-1].checksum)


@pytest.mark.parametrize("pruned", [1, 2, 3])
@pytest.mark.parametrize("lost", [(), (HEADS,), (CHECKPOINT,), (HEADS, CHECKPOINT)], ids=str)
def test_old_events_may_be_pruned(workspace: Workspace, pruned: int, lost: tuple[str, ...]) -> None:
    commit(workspace, *FOUR)
    head = workspace.log.head()
    for one in FOUR[:pruned]:
        (workspace.events / workspace.log.key(one.partition)).unlink()
    for name in lost:
        (workspace.events / name).unlink(missing_ok=True)
        (workspace.state / name).unlink(missing_ok=True)
    assert workspace.sequencer().position() == ChainPosition(42, head, Partition(32, 41))
    commit(workspace, summary(42, 51))
    assert chain_of(workspace) == said([*FOUR[pruned:], summary(42, 51)])


def test_chain_resumes_from_head_without_events(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    head = workspace.log.head()
    for one in FOUR:
        (workspace.events / workspace.log.key(one.partition)).unlink()
    assert workspace.sequencer().position() == ChainPosition(42, head, Partition(32, 41))
    commit(workspace, summary(42, 51))
    (event,) = workspace.log.load()
    assert event.prev_hash == head


def test_missing_newest_event_is_found(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    (workspace.events / workspace.log.key(FOUR[3].partition)).unlink()
    message = r"the checkpoint says that the chain standalone/e1/v1 has 4 events, the last one sha256:.* holds 3 event"
    with pytest.raises(StateError, match=message):
        workspace.sequencer().position()


def test_missing_middle_event_is_found_on_reading(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    (workspace.events / workspace.log.key(FOUR[1].partition)).unlink()
    (workspace.state / CHECKPOINT).unlink()
    with pytest.raises(StateError, match="is broken: 2-11 follows nothing, 22-31 follows sha256:"):
        workspace.sequencer().position()


def forged(workspace: Workspace, start: int, end: int, prev: str) -> Event:
    event = make_event(summary(start, end, "forged"), PRIMARY_TABLE, prev, PRODUCER, "2026-01-01T00:00:00Z")
    workspace.log.append(event)
    return event


def test_forked_chain_is_found(workspace: Workspace) -> None:
    commit(workspace, *FOUR[:2])
    forged(workspace, 62, 71, workspace.log.load()[0].event_hash)
    with pytest.raises(StateError, match="forks: the events of 12-21 and 62-71 both follow sha256:"):
        commit(workspace, summary(22, 31))
    (workspace.state / CHECKPOINT).unlink()
    with pytest.raises(StateError, match="forks"):
        workspace.sequencer().position()


def test_another_chains_head_is_refused(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    (workspace.events / HEADS).write_text(json.dumps({ERA.chain: f"sha256:{hex_hash('other')}"}))
    with pytest.raises(StateError, match=f"is sha256:{hex_hash('other')}, but no event file in {workspace.events}"):
        workspace.sequencer().position()


def test_conflicting_content_is_refused(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    before = files(workspace.events)
    other = summary(12, 21, "other")
    with pytest.raises(ConflictError) as caught:
        commit(workspace, other)
    for part in ("standalone/e1/v1 12-21", other.checksum, FOUR[1].checksum):
        assert part in str(caught.value)
    assert files(workspace.events) == before


def test_correction_is_appended(workspace: Workspace) -> None:
    commit(workspace, *FOUR)
    original = files(workspace.events)
    second, third = summary(12, 21, "second"), summary(12, 21, "third")
    assert commit(workspace, second, allow_overwrite=True) == [True]
    assert commit(workspace, second, allow_overwrite=True) == [False]
    assert commit(workspace, third, allow_overwrite=True) == [True]
    assert commit(workspace, FOUR[1], allow_overwrite=True) == [True]  # and back
    assert chain_of(workspace) == said([*FOUR, second, third, FOUR[1]])
    revisions = {name for name in files(workspace.events) if "12-21" in name}
    assert revisions == {f"standalone_e1_v1_12-21{revision}.json" for revision in ("", ".2", ".3", ".4")}
    assert all(files(workspace.events)[name] == data for name, data in original.items() if name != HEADS)
    assert workspace.sequencer().position().next_ledger == 42
    commit(workspace, summary(42, 51))
    assert len({event.event_id for event in workspace.log.load()}) == 8


def test_checkpoint_names_correction_of_last_partition(workspace: Workspace) -> None:
    sequencer = workspace.sequencer(allow_overwrite=True)
    sequencer.commit(FOUR[0])
    corrected = summary(2, 11, "corrected", last_hash=hex_hash("corrected"))
    sequencer.commit(corrected)
    assert checkpoint_of(workspace) == (11, corrected.checksum)
    # the next one follows what the corrected one ends with
    sequencer.commit(summary(12, 21, previous_hash=hex_hash("corrected")))


@pytest.mark.parametrize("checkpoint", [True, False])
def test_correction_killed_before_head_makes_no_fork(workspace: Workspace, checkpoint: bool) -> None:
    commit(workspace, *FOUR[:2])
    heads = (workspace.events / HEADS).read_bytes()
    corrected = summary(2, 11, "corrected")
    commit(workspace, corrected, allow_overwrite=True)
    (workspace.events / HEADS).write_bytes(heads)
    if not checkpoint:
        (workspace.state / CHECKPOINT).unlink()
    # the next run goes on at the end and knows nothing of corrections
    commit(workspace, *FOUR[2:])
    assert chain_of(workspace) == said([*FOUR[:2], corrected, *FOUR[2:]])


@pytest.mark.parametrize("again", [FOUR[2:], FOUR[2:3]], ids=["all", "one"])
def test_old_caches_before_correction_are_updated(workspace: Workspace, again: list[PartitionSummary]) -> None:
    commit(workspace, *FOUR[:2])
    old = {path: path.read_bytes() for path in (workspace.events / HEADS, workspace.state / CHECKPOINT)}
    corrected = summary(2, 11, "corrected")
    commit(workspace, corrected, *FOUR[2:], allow_overwrite=True)
    for path, data in old.items():
        path.write_bytes(data)
    assert not any(commit(workspace, *again))
    assert chain_of(workspace) == said([*FOUR[:2], corrected, *FOUR[2:]])


@pytest.mark.parametrize(
    ("last_ledger", "partition", "next_ledger"),
    [
        (21, {"start": 12, "end": 21}, 22),  # back
        (101, None, 102),  # forward, the partition left out
        (101, {"start": 32, "end": 41}, 102),  # forward, the partition left as it was
        (15, None, 16),  # into a partition
        (0, None, 2),  # before the era: its start
    ],
)
def test_edited_checkpoint_is_obeyed(
    workspace: Workspace, last_ledger: int, partition: dict[str, int] | None, next_ledger: int
) -> None:
    commit(workspace, *FOUR)
    document = json.loads((workspace.state / CHECKPOINT).read_text())
    document |= {"last_committed_ledger": last_ledger, "last_committed_partition": partition}
    (workspace.state / CHECKPOINT).write_text(json.dumps(document))
    position = workspace.sequencer().position()
    assert (position.next_ledger, position.head) == (next_ledger, workspace.log.head())
    # going on from there, over what is committed already, gives one chain
    again = [one for one in FOUR if one.partition.end >= next_ledger]
    later = summary(next_ledger, next_ledger + 9) if next_ledger > 41 else summary(42, 51)
    assert commit(workspace, *again, later) == [False] * len(again) + [True]
    assert chain_of(workspace) == said([*FOUR, later])


def test_filled_gap_is_appended(workspace: Workspace) -> None:
    commit(workspace, FOUR[0])
    document = json.loads((workspace.state / CHECKPOINT).read_text())
    (workspace.state / CHECKPOINT).write_text(json.dumps(document | {"last_committed_ledger": 31}))
    commit(workspace, FOUR[3])
    assert commit(workspace, FOUR[1], FOUR[2]) == [True, True]
    assert chain_of(workspace) == said([FOUR[0], FOUR[3], FOUR[1], FOUR[2]])
    assert checkpoint_of(workspace)[0] == 41
    (workspace.state / CHECKPOINT).unlink()
    assert workspace.sequencer().position().next_ledger == 42


def test_unlinked_partition_is_refused(published: Workspace) -> None:
    following = published.of(partition_size=2).publish(Partition(62, 63))
    broken = summary(62, 63, previous_hash=hex_hash("other"))
    before = files(published.events)
    with pytest.raises(VerificationError) as caught:
        commit(published, broken)
    for part in (
        "ledger 62 of partition standalone/e1/v1 62-63",
        hex_hash("other"),
        "ledger 61",
        following.previous_hash,
    ):
        assert part in str(caught.value)
    assert files(published.events) == before
    assert commit(published, following) == [True]


def test_unlinked_partition_of_same_run_is_refused(workspace: Workspace) -> None:
    sequencer = workspace.sequencer()
    sequencer.commit(FOUR[0])
    with pytest.raises(VerificationError, match=f"ledger 11, the last one committed, has {hex_hash(11)}"):
        sequencer.commit(summary(12, 21, previous_hash=hex_hash("other")))
    sequencer.commit(FOUR[1])


@pytest.mark.parametrize("checkpoint", [True, False])
def test_commits_without_audit_stream(workspace: Workspace, checkpoint: bool) -> None:
    workspace = workspace.but(chain={"events": None, **({} if checkpoint else {"checkpoint": None})})
    sequencer = workspace.sequencer()
    commits = [sequencer.commit(one) for one in FOUR]
    assert [(one.event_hash, one.is_new) for one in commits] == [("", True)] * 4
    assert sequencer.commit(FOUR[1]).is_new is False
    assert sequencer.position().next_ledger == 42
    # only the checkpoint is remembered
    assert workspace.sequencer().position().next_ledger == (42 if checkpoint else 2)
    with pytest.raises(StateError, match="the next ledger to commit is 42"):
        sequencer.commit(summary(52, 61))


def test_chain_without_checkpoint_is_resumed(workspace: Workspace) -> None:
    workspace = workspace.but(chain={"checkpoint": None})
    commit(workspace, *FOUR[:2])
    assert workspace.sequencer().position().next_ledger == 22
    commit(workspace, *FOUR[2:])
    assert chain_of(workspace) == said(FOUR)


def test_older_copiers_chain_is_continued(workspace: Workspace, shared: Path) -> None:
    shutil.copytree(shared / "samples" / "pas_chain", workspace.events)
    workspace.state.mkdir()
    shutil.copy(shared / "samples" / "checkpoint_pubnet_pre_p23_v1.json", workspace.state / CHECKPOINT)
    theirs = {path.name: path.read_bytes() for path in workspace.events.glob("pubnet_*")}
    of = era(era_id="pre_p23", network="pubnet", ledger_start=53312000)
    workspace = workspace.but(eras=(of,))
    position = workspace.sequencer().position()
    assert position.next_ledger == 53312050
    next_one = summary(53312050, 53312059, of=of)
    commit(workspace, next_one)
    assert chain_of(workspace)[-1] == said([next_one])[0]
    assert workspace.log.load()[-1].prev_hash == position.head
    assert len(workspace.log.load()) == 6
    assert theirs.items() <= files(workspace.events).items()
    # nor does it need their checkpoint or heads
    (workspace.state / CHECKPOINT).unlink()
    (workspace.events / HEADS).unlink()
    assert workspace.sequencer().position().next_ledger == 53312060


def test_several_chains_share_heads_file(workspace: Workspace) -> None:
    other = workspace.but(eras=(era(era_id="e2"),), chain={"single_era": False})
    for one in FOUR:
        commit(workspace, one)
        commit(other, summary(one.partition.start, one.partition.end, of=other.era))
    assert set(json.loads((workspace.events / HEADS).read_text())) == {"standalone/e1/v1", "standalone/e2/v1"}
    assert chain_of(workspace) == chain_of(other)


def test_concurrent_threads_make_one_chain(workspace: Workspace) -> None:
    many = [summary(start, start + 9) for start in range(2, 82, 10)]
    new = race(4, lambda _: sum(commit(workspace, *many)))
    assert sum(new) == 8, new  # type: ignore[arg-type]
    assert chain_of(workspace) == said(many)


PROCESS = """
import sys
from pathlib import Path
from tests.bronze.conftest import summary, workspace_at
workspace = workspace_at(Path(sys.argv[1]), Path(sys.argv[2]))
print("ready", flush=True); sys.stdin.readline()
sequencer = workspace.sequencer()
print(sum(sequencer.commit(summary(start, start + 9)).is_new for start in range(2, 102, 10)))
"""


def test_concurrent_processes_make_one_chain(workspace: Workspace, tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROCESS, str(tmp_path), workspace.job.source.location.path]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "cwd": Path(__file__).parents[3]}
    racers = [subprocess.Popen(command, **pipes) for _ in range(2)]  # type: ignore[call-overload]
    try:
        assert {racer.stdout.readline() for racer in racers} == {"ready\n"}
        for racer in racers:
            racer.stdin.write("go\n")
            racer.stdin.flush()
        assert sum(int(racer.communicate()[0]) for racer in racers) == 10
    finally:
        for racer in racers:
            racer.kill()
            racer.communicate()
    assert chain_of(workspace) == said([summary(start, start + 9) for start in range(2, 102, 10)])


@settings(deadline=None, max_examples=40)
@given(st.randoms(use_true_random=False))
def test_crashes_losses_and_repeats_make_one_chain(
    tmp_path_factory: pytest.TempPathFactory, rng: random.Random
) -> None:
    workspace = workspace_at(tmp_path_factory.mktemp("any"), Path("/nowhere"))
    for _ in range(rng.randint(1, 6)):
        done = workspace.sequencer().position().next_ledger
        first = rng.choice(range(2, done + 1, 10))
        upto = rng.choice(range(first, done + 30, 10))
        commit(workspace, *[summary(start, start + 9) for start in range(first, upto, 10)])
        for file in (workspace.events / HEADS, workspace.state / CHECKPOINT):
            if rng.random() < 0.3:
                file.unlink(missing_ok=True)
    ends = [event.partition.end for event in workspace.log.load()]
    assert ends == [2 + 10 * number + 9 for number in range(len(ends))]
    assert all(after - before == 10 for before, after in itertools.pairwise(ends))


def test_published_fixture_has_whole_grid(published: Workspace) -> None:
    assert [(start, end) for start, end, _ in chain_of(published)] == [(one.start, one.end) for one in GRID]


def test_link_to_older_partition_is_checked(published: Workspace) -> None:
    """Its manifest has no key `ledgers`: the hash is read from its parquet file."""
    following = published.of(partition_size=2).publish(Partition(62, 63))
    path = published.manifest(GRID[-1])
    document = json.loads(path.read_text())
    del document["ledgers"]
    path.write_text(json.dumps(document))
    before = files(published.events)
    with pytest.raises(VerificationError, match="ledger 62 of partition standalone/e1/v1 62-63 follows a ledger"):
        commit(published, summary(62, 63, previous_hash=hex_hash("other")))
    assert files(published.events) == before
    assert commit(published, following) == [True]


def test_unreadable_older_partition_is_refused(published: Workspace) -> None:
    path = published.manifest(GRID[-1])
    document = json.loads(path.read_text())
    del document["ledgers"]
    path.write_text(json.dumps(document))
    parquet = published.parquet(GRID[-1])
    parquet.write_bytes(bytes(parquet.stat().st_size))
    with pytest.raises(StateError, match=r"part-52-61\.parquet cannot be read to link its partition"):
        commit(published, summary(62, 63))


def test_outdated_position_is_read_again_under_lock(workspace: Workspace) -> None:
    slow = workspace.sequencer()
    slow.commit(FOUR[0])
    position = slow.position()
    commit(workspace, *FOUR[1:3])
    assert slow.commit(FOUR[3], position).is_new
    assert chain_of(workspace) == said(FOUR)


def test_event_of_dead_copier_is_not_forked(workspace: Workspace) -> None:
    """It appended after the head that a living sequencer wrote, and died before the head followed."""
    living = workspace.sequencer()
    for one in FOUR[:2]:
        living.commit(one)
    heads = (workspace.events / HEADS).read_bytes()
    corrected = summary(2, 11, "corrected")
    commit(workspace, corrected, allow_overwrite=True)
    (workspace.events / HEADS).write_bytes(heads)
    living.commit(FOUR[2])
    assert chain_of(workspace) == said([*FOUR[:2], corrected, FOUR[2]])


def test_link_to_another_copiers_partition_is_checked(workspace: Workspace) -> None:
    """It was published after this copier had listed what is."""
    sequencer = workspace.sequencer()
    sequencer.commit(FOUR[0])
    workspace.sequencer().commit(FOUR[1])
    with pytest.raises(VerificationError, match="but ledger 21, the last one committed, has"):
        sequencer.commit(summary(22, 31, previous_hash=hex_hash("other")))
    assert sequencer.commit(FOUR[2]).is_new


def test_adopted_event_is_made_durable(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer may have crashed before that was certain."""
    commit(workspace, FOUR[0])
    durable: list[str] = []
    monkeypatch.setattr(LocalStore, "ensure_durable", lambda store, key: durable.append(f"{store.url}/{key}"))
    assert commit(workspace, FOUR[0]) == [False]
    assert f"{workspace.events}/{workspace.log.key(FOUR[0].partition)}" in durable


def test_chain_is_locked_while_it_changes(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[Path] = []
    changed: list[str] = []
    lock = LocalStore.lock

    @contextmanager
    def locking(store: LocalStore, prefix: str = "") -> Iterator[None]:
        with lock(store, prefix):
            held.append(store.root / prefix)
            yield
            held.pop()

    def watched(kind: type, name: str) -> None:
        real = getattr(kind, name)

        def call(*args: Any, **options: Any) -> Any:
            assert workspace.events in held, f"{name} without the lock of the events"
            changed.append(name)
            return real(*args, **options)

        monkeypatch.setattr(kind, name, call)

    monkeypatch.setattr(LocalStore, "lock", locking)
    watched(EventLog, "append")
    watched(EventLog, "set_head")
    watched(CheckpointFile, "save")
    commit(workspace, FOUR[0])
    assert changed == ["append", "set_head", "save"]


def test_head_advanced_during_commit_stays(workspace: Workspace) -> None:
    """Another copier goes on behind the event while this one waits for catalog and endpoint."""
    later = f"sha256:{hex_hash('of another copier')}"

    class Overtaken(Downstream):
        def record(self, *_: object) -> None:
            workspace.log.set_head(later)

    def committed(downstream: Downstream, one: PartitionSummary) -> str:
        lay(workspace.dataset, ERA, one)
        sequencer = Sequencer(
            ERA, workspace.dataset, PRODUCER, events=workspace.log, checkpoint=None, downstream=downstream
        )
        return sequencer.commit(one).event_hash

    head = committed(Downstream(), FOUR[0])
    assert workspace.log.head() == head
    committed(Overtaken(), FOUR[1])
    assert workspace.log.head() == later


def test_commit_overtaken_by_correction_changes_nothing(workspace: Workspace, database: str) -> None:
    """A worker that is taken for lost goes on when its partition was committed, and corrected since."""
    overwriting = dataclasses.replace(ERA, allow_overwrite=True)
    corrected = summary(FOUR[1].partition.start, FOUR[1].partition.end, "other")

    def sequencer(era: Era, kind: type[Downstream] = Downstream) -> Sequencer:
        context = LineageContext(
            table=PRIMARY_TABLE, storage_root="file:///data/", source_type="archive", source_location="/lake"
        )
        downstream = kind(catalog=Catalog(database, "tests"), lineage_context=context, catalog_strict=True)
        return LayingSequencer(
            era, workspace.dataset, PRODUCER, events=workspace.log, checkpoint=workspace.checkpoint,
            downstream=downstream,
        )  # fmt: skip

    def everything() -> list[object]:
        lines = rows(database, "SELECT * FROM _meta_lineage ORDER BY id")
        notes = rows(database, "SELECT description FROM _meta_changes ORDER BY id")
        return [workspace.log.head(), workspace.checkpoint.content(), lines, notes]

    before: list[object] = []

    class Overtaken(Downstream):
        def record(self, *given: Any) -> None:
            sequencer(ERA).commit(FOUR[1])
            sequencer(overwriting).commit(corrected)
            before.extend(everything())
            super().record(*given)

    sequencer(ERA).commit(FOUR[0])
    sequencer(ERA, Overtaken).commit(FOUR[1])

    assert everything() == before
    assert corrected.checksum in str(before)


def test_commit_overtaken_by_filled_gap_keeps_end(workspace: Workspace) -> None:
    """The checkpoint keeps the end of the chain that another copier, which filled a gap meanwhile, knows of."""
    workspace.checkpoint.save(summary(0, FOUR[1].partition.end).partition, "")

    def sequencer(kind: type[Downstream] = Downstream) -> Sequencer:
        return LayingSequencer(
            ERA, workspace.dataset, PRODUCER, events=workspace.log, checkpoint=workspace.checkpoint, downstream=kind()
        )

    before: list[bytes] = []

    class Overtaken(Downstream):
        def record(self, *_: object) -> None:
            for one in (FOUR[2], FOUR[0]):
                sequencer().commit(one)
            before.append(workspace.checkpoint.content())

    sequencer(Overtaken).commit(FOUR[2])

    (known,) = before
    assert workspace.checkpoint.content() == known
    assert str(workspace.log.head()).encode() in known


def test_unpublished_partition_is_not_committed(workspace: Workspace) -> None:
    lay(workspace.dataset, ERA, FOUR[0])
    forged = dataclasses.replace(FOUR[0], checksum=FOUR[1].checksum)
    sequencer = Sequencer(ERA, workspace.dataset, PRODUCER, events=workspace.log, checkpoint=None)
    with pytest.raises(StateError, match="was reported with checksum"):
        sequencer.commit(forged)
    assert workspace.log.names() == []
