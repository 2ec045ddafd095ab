"""The auditor finds every way in which what was published and its chain can stop fitting each other."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from bronze.audit.event import hash_document
from bronze.audit.event_log import HEADS
from bronze.partitioning.partition import Partition
from bronze.verify import Level, PartitionCheck, PartitionReport, Verdict
from bronze.verify.verifier import check_each, verify_published
from tests.bronze.conftest import GRID, Workspace, copy, hex_hash

SECOND, THIRD, LAST = GRID[1], GRID[2], GRID[-1]


def event_path(workspace: Workspace, partition: Partition):
    return workspace.events / workspace.log.key(partition)


def flip(path, at: int) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def edit(path, change: Callable[[dict], object]) -> None:
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document, indent=2))


def test_intact_chain_holds(published: Workspace) -> None:
    found = published.audit()
    assert found.problems == []
    assert found.gaps == []
    assert (found.chain, found.events, found.partitions, found.rows) == ("standalone/e1/v1", 6, 6, 60)
    assert (found.first, found.last) == (2, 61)
    assert found.head == published.log.head()
    assert found.bytes == sum(published.parquet(one).stat().st_size for one in GRID)


def test_nothing_at_all_is_no_proof(workspace: Workspace) -> None:
    found = workspace.audit()
    assert (found.problems, found.gaps, found.events, found.first, found.head) == ([], [], 0, None, "")
    assert found.verdict is Verdict.NOTHING


def rewrite_event(document: dict) -> None:
    """As someone would who can compute hashes."""
    document["tables"]["ledgers_lcm_raw"]["checksum"] = f"sha256:{hex_hash('forged')}"
    document["chain"]["event_hash"] = hash_document(document)


def replace_without_event(at: Workspace, partition: Partition) -> None:
    """What a run that was killed leaves of a replacement: other content, and the mark."""
    at.of(allow_overwrite=True, protocol_max=99).but(target={"compression": "none"}).publish(partition)


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        # the data
        (lambda at: flip(at.parquet(SECOND), 1000), ["12-21.parquet: has the checksum sha256:", "its manifest says"]),
        (lambda at: flip(at.parquet(SECOND), -1), ["part-12-21.parquet: has the checksum"]),
        (lambda at: at.parquet(SECOND).write_bytes(b""), ["part-12-21.parquet: has 0 bytes"]),
        (lambda at: at.parquet(SECOND).unlink(), ["part-12-21.parquet: is missing"]),
        # the manifest
        (lambda at: at.manifest(SECOND).unlink(), ["standalone_e1_v1_12-21.json: its partition is not published"]),
        (lambda at: shutil.copy(at.manifest(THIRD), at.manifest(SECOND)), ["describes standalone/e1/v1 22-31"]),
        (lambda at: edit(at.manifest(SECOND), lambda one: one["ledgers"].update(last_hash=hex_hash("x"))),
         ["range=12-21/_manifest.json: says last_hash", hex_hash("x"), "as its rows have"]),
        # data and manifest together, but not the event
        (lambda at: replace_without_event(at, SECOND),
         ["unchecked: ", "12-21.json: is of other content than its partition, which a run is replacing"]),
        (lambda at: (replace_without_event(at, SECOND), at.parquet(SECOND).with_name("_replacing.json").unlink()),
         ["wrong: ", "standalone_e1_v1_12-21.json: says checksum sha256:", "expected sha256:"]),
        # the events
        (lambda at: event_path(at, SECOND).unlink(), ["is broken: 2-11 follows nothing, 22-31 follows sha256:"]),
        (lambda at: event_path(at, LAST).unlink(),
         ["the chain standalone/e1/v1 has 6 events, the last one sha256:", "holds 5 event files of it, the last one"]),
        (lambda at: edit(event_path(at, SECOND), lambda one: one["producer"].update(version="v9")),
         ["12-21.json cannot be used: event_hash is sha256:", "but its content hashes to sha256:"]),
        (lambda at: edit(event_path(at, SECOND), rewrite_event),
         ["is broken", "22-31 follows sha256:", "12-21.json: says checksum"]),
        (lambda at: flip(event_path(at, SECOND), 3), ["12-21.json"]),
        (lambda at: shutil.copy(event_path(at, SECOND), event_path(at, Partition(62, 71))),
         ["62-71.json is of standalone/e1/v1 12-21, which does not match its file name"]),
        # the head
        (lambda at: (at.events / HEADS).write_text(json.dumps({"standalone/e1/v1": f"sha256:{hex_hash(0)}"})),
         [f"the chain head of standalone/e1/v1 is sha256:{hex_hash(0)}, expected sha256:"]),
        (lambda at: (at.events / HEADS).write_text("{"), ["chain heads", "cannot be used"]),
    ],
)  # fmt: skip
def test_damage_is_found(published: Workspace, spoil: Callable[[Workspace], object], messages: list[str]) -> None:
    spoil(published)
    problems = published.audit().problems
    assert 1 <= len(problems) <= 2, problems
    for message in messages:
        assert any(message in problem for problem in problems), problems


@pytest.mark.parametrize("partition", [SECOND, LAST])
def test_partition_being_replaced_is_not_called_wrong(published: Workspace, partition: Partition) -> None:
    """Its manifest is gone while its mark is there; without the mark it is missing."""
    mark = published.parquet(partition).with_name("_replacing.json")
    replace_without_event(published, partition)
    published.manifest(partition).unlink()
    found = published.audit()
    assert found.verdict is Verdict.INCOMPLETE
    assert any("which a run is replacing" in problem for problem in found.problems)
    mark.unlink()
    found = published.audit()
    assert found.verdict is Verdict.DOES_NOT_HOLD
    assert any("its partition is not published" in problem for problem in found.problems)


def test_partition_that_appears_during_audit_is_not_foreign(published: Workspace) -> None:
    new = published.parquet(Partition(62, 71))

    def check_all(check: PartitionCheck, partitions: Sequence[Partition]) -> Iterator[PartitionReport]:
        new.parent.mkdir(exist_ok=True)
        shutil.copy(published.parquet(SECOND), new)  # after the listing
        yield from check_each(check, partitions)

    check = PartitionCheck(dataset=published.dataset, era=published.era, level=Level.MANIFESTS)
    found = verify_published(check, check_all=check_all, knows_range=False)
    assert new.exists()
    assert found.problems == []


def test_all_problems_are_found_at_once(published: Workspace) -> None:
    flip(published.parquet(SECOND), 1000)
    published.manifest(LAST).unlink()
    published.parquet(THIRD).unlink()
    assert len({one.partition for one in published.audit().findings}) == 3


def test_pruned_first_event_breaks_no_link(published: Workspace) -> None:
    event_path(published, GRID[0]).unlink()
    found = published.audit()
    assert found.problems == []
    assert (found.events, found.partitions, found.rows) == (5, 6, 60)


@pytest.mark.parametrize("pruned", [GRID[:1], GRID], ids=["the first", "all"])
def test_partition_with_pruned_event_is_checked(published: Workspace, pruned: list[Partition]) -> None:
    for one in pruned:
        event_path(published, one).unlink()
    flip(published.parquet(GRID[0]), 1000)
    (problem,) = published.audit().problems
    assert "part-2-11.parquet: has the checksum" in problem


def test_gap_is_reported(workspace: Workspace) -> None:
    copy(workspace, GRID[:2])
    document = json.loads((workspace.state / "checkpoint.json").read_text())
    (workspace.state / "checkpoint.json").write_text(json.dumps(document | {"last_committed_ledger": 31}))
    copy(workspace, GRID[3:4])
    found = workspace.audit()
    assert (found.problems, found.gaps) == ([], [Partition(22, 31)])
    assert (found.first, found.last) == (2, 41)


def forget_links(path) -> None:
    """As the older copier's manifests are."""
    edit(path, lambda document: [document.pop(key) for key in ("ledgers", "made_with")])


def test_manifest_without_links_is_found(published: Workspace) -> None:
    """What makes it no manifest of the older copier is still there."""
    edit(published.manifest(GRID[2]), lambda document: document.pop("ledgers"))
    (problem,) = published.audit().problems
    assert f"{published.manifest(GRID[2])}: has no links to its neighbours (ledgers)" in problem


def test_unknown_keys_of_manifest_are_noted(published: Workspace) -> None:
    edit(published.manifest(GRID[2]), lambda document: document.update(au4henticity={}, zzz=1))
    found = published.audit()
    assert found.verdict is Verdict.HOLDS
    (note,) = found.notes
    assert note.endswith("has keys that this version does not know, and does not check: au4henticity, zzz")


def test_linked_older_partitions_hold(published: Workspace) -> None:
    for one in GRID[::2]:
        forget_links(published.manifest(one))
    found = published.audit()
    assert (found.problems, found.gaps, found.partitions) == ([], [], 6)


@pytest.mark.parametrize("other", [SECOND, THIRD], ids=["before", "after"])
def test_made_up_links_are_found(published: Workspace, other: Partition) -> None:
    """The rows say what links a partition; the manifest may lack it, as the older copier's do, not say otherwise."""
    edit(published.manifest(SECOND), lambda one: one["ledgers"].update(last_hash=hex_hash("x")))
    edit(published.manifest(THIRD), lambda one: one["ledgers"].update(previous_hash=hex_hash("x")))
    forget_links(published.manifest(other))
    (problem,) = published.audit().problems
    assert "as its rows have" in problem
    assert f"range={THIRD if other == SECOND else SECOND}/_manifest.json: says" in problem


def test_unreadable_older_partition_is_problem(published: Workspace) -> None:
    forget_links(published.manifest(SECOND))
    path = published.parquet(SECOND)
    path.write_bytes(bytes(path.stat().st_size))
    flip(published.parquet(LAST), 1000)
    problems = published.audit().problems
    assert [str(path) in one for one in problems] == [True, False]
    assert "part-52-61.parquet: has the checksum" in problems[1]


@pytest.mark.parametrize("which", [Workspace.parquet, Workspace.manifest], ids=["parquet", "manifest"])
def test_unreadable_file_hides_no_problem(published: Workspace, which: Callable[[Workspace, Partition], Path]) -> None:
    path = which(published, SECOND)
    path.unlink()
    path.symlink_to(path)  # a loop: whoever looks at it gets an OSError
    flip(published.parquet(LAST), 1000)
    problems = sorted(published.audit().problems)
    assert len(problems) == 2
    assert "cannot be read" in problems[0]
    assert "range=12-21" in problems[0]
    assert "part-52-61.parquet: has the checksum" in problems[1]
    is_published = which is Workspace.parquet  # what has no file for its manifest is not
    assert published.audit().gaps == ([] if is_published else [SECOND])


def test_unreadable_event_is_problem(published: Workspace) -> None:
    path = event_path(published, SECOND)
    path.unlink()
    path.symlink_to(path)
    (problem,) = published.audit().problems
    assert str(path) in problem


def test_damaged_checkpoint_is_problem(published: Workspace) -> None:
    (published.state / "checkpoint.json").write_text("{")
    found = published.audit()
    assert found.gaps == []
    (problem,) = found.problems
    assert "checkpoint.json cannot be used" in problem


def set_checkpoint(workspace: Workspace, last: int) -> None:
    edit(workspace.state / "checkpoint.json", lambda document: document.update(last_committed_ledger=last))


def unpublish(workspace: Workspace, one: Partition) -> None:
    shutil.rmtree(workspace.manifest(one).parent)


@pytest.mark.parametrize("checkpoint", [True, False])
def test_leading_gap_is_reported(published: Workspace, checkpoint: bool) -> None:
    workspace = published.but(chain={"events": None})
    unpublish(workspace, GRID[0])
    unpublish(workspace, GRID[1])
    if not checkpoint:
        workspace = workspace.but(chain={"checkpoint": None})
    assert workspace.audit().gaps == [Partition(2, 21)]


def test_gap_up_to_checkpoint_is_reported(published: Workspace) -> None:
    set_checkpoint(published, 81)
    assert published.audit().gaps == [Partition(62, 81)]


def test_damaged_partition_is_not_gap(published: Workspace) -> None:
    published.parquet(SECOND).unlink()
    assert published.audit().gaps == []


def test_partitions_before_era_are_ignored(published: Workspace) -> None:
    unpublish(published, SECOND)
    assert published.of(ledger_start=22).audit().gaps == []
    assert published.of(ledger_start=15).audit().gaps == [Partition(15, 21)]


def test_overlapping_partitions_are_found(published: Workspace) -> None:
    published.publish(Partition(15, 17))
    problems = published.audit().problems
    assert any("overlaps the partition 12-21 of standalone/e1/v1" in problem for problem in problems), problems


def test_corrected_chain_holds(published: Workspace) -> None:
    other = published.of(allow_overwrite=True).but(target={"compression": "snappy"})
    copy(other, [SECOND])
    found = published.audit()
    assert (found.problems, found.events, found.partitions) == ([], 7, 6)


def test_chain_without_audit_stream_holds(published: Workspace) -> None:
    silent = published.but(chain={"events": None})
    assert silent.audit().problems == []
    assert silent.audit().partitions == 6
    flip(published.parquet(SECOND), 1000)
    assert len(silent.audit().problems) == 1
