"""What a chain says exists, compared with what is published: made again, finished, removed or refused."""

from __future__ import annotations

import json
import shutil

import pytest

from bronze.audit.event import make_event
from bronze.commit.existence import Existence, check_existence, settle_replacements
from bronze.dataset.listing import list_dataset
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import StateError
from bronze.outcomes import PartitionSummary
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import GRID, PRODUCER, Workspace, copy, lay, summary

FIRST, SECOND, THIRD = GRID[:3]


def check(workspace: Workspace, *, last_ledger: int = 63) -> Existence:
    return check_existence(
        list_dataset(workspace.dataset, workspace.era),
        workspace.connections.event_log(workspace.era),
        workspace.checkpoint.load(),
        last_ledger=last_ledger,
    )


def checksum_of(workspace: Workspace, partition: Partition) -> str:
    event, _ = workspace.log.latest(partition)
    assert event is not None
    return event.checksum


def remove(workspace: Workspace, *gone: Partition) -> None:
    for one in gone:
        shutil.rmtree(workspace.manifest(one).parent)


def without_events(workspace: Workspace) -> Workspace:
    return workspace.but(chain={"events": None})


def append_event(workspace: Workspace, made: PartitionSummary) -> None:
    """As versions did that did not compare it with the other events."""
    head = workspace.log.load()[-1].event_hash
    workspace.log.append(make_event(made, PRIMARY_TABLE, head, PRODUCER, "2026-01-01T00:00:00Z"))


def orphan(workspace: Workspace, start: int, end: int) -> Partition:
    path = workspace.parquet(Partition(start, end))
    path.parent.mkdir(parents=True)
    path.write_bytes(b"PAR1")
    return Partition(start, end)


def test_complete_chain_has_nothing_to_mend(published: Workspace) -> None:
    found = check(published)
    assert [*found.missing, *found.unfinished, *found.superfluous, *found.uncorrected, *found.problems] == []


def test_missing_partitions_carry_checksum_of_event(published: Workspace) -> None:
    published.manifest(FIRST).unlink()
    published.parquet(SECOND).unlink()
    remove(published, THIRD)
    found = check(published)
    assert found.missing == {one: checksum_of(published, one) for one in GRID[:3]}
    assert (found.unfinished, found.superfluous, dict(found.problems)) == ((), (), {})


def test_missing_event_between_others_is_refused(published: Workspace) -> None:
    (published.events / published.log.key(SECOND)).unlink()
    with pytest.raises(StateError, match="is broken: 2-11 follows nothing"):
        check(published)


def test_nothing_there_is_refused(published: Workspace) -> None:
    shutil.rmtree(published.data)
    message = r"6 event files in .*events say that it reaches ledger 61: expected for example .*range=52-61/part-52-61"
    with pytest.raises(StateError, match=message):
        check(published)
    with pytest.raises(StateError, match="the checkpoint say"):
        check(without_events(published))


def test_edited_checkpoint_promises_nothing(published: Workspace) -> None:
    path = published.state / "checkpoint.json"
    document = json.loads(path.read_text())
    document["last_committed_ledger"] = 51
    path.write_text(json.dumps(document))
    shutil.rmtree(published.data)
    assert not check(without_events(published)).missing


def test_chain_of_older_copier_may_lie_elsewhere(published: Workspace, shared: object) -> None:
    at = published.of(era_id="pre_p23", network="pubnet", ledger_start=53312000)
    shutil.copytree(f"{shared}/samples/pas_chain", at.events, dirs_exist_ok=True)
    assert not check_existence(
        list_dataset(at.dataset, at.era), at.connections.event_log(at.era), None, last_ledger=53312100
    ).missing


def test_older_copiers_part_may_lie_elsewhere(published: Workspace, shared: object) -> None:
    """A chain that is continued: only what was published since is here. Of what lies below one event tells."""
    at = published.of(era_id="pre_p23", network="pubnet", ledger_start=53312000, ledger_end=0)
    shutil.copytree(f"{shared}/samples/pas_chain", at.events, dirs_exist_ok=True)
    made = summary(53312050, 53312059, of=at.era)
    append_event(at, made)
    lay(at.dataset, at.era, made)
    log = at.connections.event_log(at.era)
    assert log is not None
    found = check_existence(list_dataset(at.dataset, at.era), log, None, last_ledger=53312100)
    assert [*found.missing, *found.problems] == []
    assert list(log.read_names) == ["pubnet_pre_p23_v1_53312040-53312049.json"]
    shutil.rmtree(at.dataset.store.path(at.dataset.directory(at.era, made.partition)))  # type: ignore[attr-defined]
    lay(at.dataset, at.era, summary(53312060, 53312069, of=at.era))
    assert list(check_existence(list_dataset(at.dataset, at.era), log, None, last_ledger=53312100).missing) == [
        made.partition
    ]


def test_ledgers_in_other_partitions_are_not_missing(workspace: Workspace) -> None:
    copy(workspace, [FIRST, Partition(12, 15)])
    remove(workspace, Partition(12, 15))
    append_event(workspace, workspace.publish(SECOND))
    found = check(workspace)
    assert [*found.missing, *found.problems] == []


def test_overlap_of_missing_and_published_is_problem(workspace: Workspace) -> None:
    copy(workspace, [FIRST, Partition(12, 15)])
    remove(workspace, Partition(12, 15))
    workspace.publish(Partition(14, 21))
    found = check(workspace)
    assert not found.missing
    assert "cannot be made again" in found.problems[Partition(12, 15)]


def test_longer_of_two_missing_partitions_counts(workspace: Workspace) -> None:
    copy(workspace, [FIRST, Partition(12, 15)])
    remove(workspace, Partition(12, 15))
    append_event(workspace, workspace.publish(SECOND))
    remove(workspace, SECOND)
    found = check(workspace)
    assert list(found.missing) == [SECOND]
    assert not found.problems


@pytest.mark.parametrize("replaced", [False, True])
def test_traces_without_events_are_made_again(published: Workspace, replaced: bool) -> None:
    at = without_events(published)
    expected = checksum_of(published, FIRST)
    published.parquet(FIRST).unlink()
    if replaced:
        published.manifest(FIRST).unlink()
        at.dataset.mark_replacing(at.era, FIRST)
    assert check(at).missing == {FIRST: "" if replaced else expected}


def test_last_partition_of_checkpoint_is_known(published: Workspace) -> None:
    expected = checksum_of(published, GRID[-1])
    remove(published, GRID[-1])
    assert check(without_events(published)).missing == {GRID[-1]: expected}


def test_orphans_are_finished_or_superfluous(published: Workspace) -> None:
    beside, longer, shorter = orphan(published, 13, 20), orphan(published, 62, 63), orphan(published, 62, 62)
    beyond, across = orphan(published, 70, 71), orphan(published, 64, 69)  # the lake does not reach them
    found = check(published)
    assert found.superfluous == (beside, shorter)
    assert found.unfinished == (longer,)
    assert not found.missing
    assert list(found.problems) == [across, beyond]
    assert f"{published.parquet(beyond)} has no manifest" in found.problems[beyond]
    assert "ledgers 2 to 63 only" in found.problems[beyond]


def test_orphan_over_missing_partition_is_superfluous(published: Workspace) -> None:
    remove(published, SECOND)
    beside = orphan(published, 12, 15)
    found = check(published)
    assert (list(found.missing), found.superfluous, found.unfinished) == ([SECOND], (beside,), ())


def test_replacement_without_event_is_uncorrected(published: Workspace) -> None:
    overwriting = published.of(allow_overwrite=True).but(target={"compression": "snappy"})
    for one in (FIRST, SECOND):
        made = overwriting.publish(one)
    overwriting.dataset.mark_replacing(published.era, THIRD)
    overwriting.sequencer().commit(made)
    listing, log = list_dataset(published.dataset, published.era), published.log
    assert listing.replaced == (FIRST, SECOND, THIRD)
    assert list(check(published).uncorrected) == [FIRST]
    assert "Run once more with allow_overwrite" in check(published).uncorrected[FIRST]
    assert list(settle_replacements(listing, log)) == [FIRST]
    assert list_dataset(published.dataset, published.era).replaced == (FIRST,)
    overwriting.sequencer().commit(overwriting.publish(FIRST))
    assert settle_replacements(list_dataset(published.dataset, published.era), published.log) == {}
    assert list_dataset(published.dataset, published.era).replaced == ()


@pytest.mark.parametrize("is_recorded", [True, False])
def test_overlap_names_partition_without_event(published: Workspace, is_recorded: bool) -> None:
    beside, over = Partition(12, 15), Partition(40, 45)
    published.publish(beside)
    published.publish(over)
    found = check(published if is_recorded else without_events(published))
    assert not found.missing
    if not is_recorded:  # nothing tells which one is to go
        assert list(found.problems) == [SECOND, over, GRID[4]]
        assert f"the directory of {beside}" in found.problems[SECOND]
        return
    assert list(found.problems) == [beside, over]
    for one, problem in found.problems.items():
        assert f"It has no event: remove {published.parquet(one).parent}" in problem
    shutil.rmtree(published.parquet(beside).parent)
    shutil.rmtree(published.parquet(over).parent)
    assert not check(published).problems
