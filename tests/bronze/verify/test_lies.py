"""Lies that are consistent in themselves: everything rehashed, manifests and events adapted, files removed or added."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from bronze.audit.event import hash_document, parse_event
from bronze.audit.event_log import HEADS, EventLog
from bronze.partitioning.partition import Partition
from bronze.verify import EraAudit, Verdict
from tests.bronze.conftest import GRID, Workspace, copy, hex_hash

SECOND, THIRD, LAST = GRID[1], GRID[2], GRID[-1]
TABLE = "ledgers_lcm_raw"


def rehash(workspace: Workspace, change: Callable[[dict[str, Any]], object]) -> None:
    """Change events and hash the whole chain anew, as somebody would who has every file but no other copy's head."""
    events = workspace.log.load()
    head = ""
    for event in events:
        document = json.loads(event.to_bytes())
        change(document)
        document["chain"] = {"prev_event_hash": head, "event_hash": ""}
        head = document["chain"]["event_hash"] = hash_document(document)
        path = workspace.events / workspace.log.key(event.partition)
        data = json.dumps(document, indent=2, ensure_ascii=False).encode()
        path.write_bytes(parse_event(data, "forged").to_bytes())
    (workspace.events / HEADS).write_text(json.dumps({workspace.era.chain: head}))
    path = workspace.state / "checkpoint.json"
    known = json.loads(path.read_bytes())
    path.write_text(json.dumps(known | {"chain_head": head}))


def only(one: Partition, change: Callable[[dict[str, Any]], object]) -> Callable[[dict[str, Any]], object]:
    """`change` for the event of one partition."""
    return lambda document: change(document) if document["partition"]["ledger_start"] == one.start else None


def table_of(document: dict[str, Any]) -> dict[str, Any]:
    entry: dict[str, Any] = document["tables"][TABLE]
    return entry


def problem_in(found: EraAudit) -> str:
    assert found.verdict is Verdict.DOES_NOT_HOLD
    (problem,) = found.problems
    return problem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: table_of(one).update(row_count=11), "says row_count 11, expected 10"),
        (lambda one: table_of(one).update(byte_size=1), "says byte_size 1, expected"),
        (lambda one: table_of(one).update(storage_path="a/b"), "says storage_path a/b, expected standalone/e1/v1/led"),
        (lambda one: one.update(timestamp="yesterday"), "says timestamp 'yesterday', expected RFC 3339"),
        (lambda one: one.update(tables={"other": table_of(one)}), "says table other, expected ledgers_lcm_raw"),
    ],
)
def test_event_that_lies_is_found(
    published: Workspace, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    rehash(published, only(SECOND, change))
    problem = problem_in(published.audit())
    assert "standalone_e1_v1_12-21.json" in problem
    assert message in problem


def test_made_up_event_id_is_found(published: Workspace) -> None:
    rehash(published, lambda one: one["producer"].update(version="v2.0.0"))
    problems = published.audit().problems
    assert len(problems) == 5  # of all that have another event before them now
    assert "expected one that follows from its content" in problems[0]


def state(workspace: Workspace, one: Partition) -> dict[str, Any]:
    """What the manifest of a partition has to say of its parquet file."""
    data = workspace.parquet(one).read_bytes()
    return {"checksum": f"sha256:{hashlib.sha256(data).hexdigest()}", "byte_size": len(data)}


def adapt(workspace: Workspace, one: Partition) -> None:
    """Put the checksum of the parquet file into manifest and event."""
    stated = state(workspace, one)
    path = workspace.manifest(one)
    document = json.loads(path.read_bytes())
    document["tables"][TABLE].update(stated)
    path.write_text(json.dumps(document))
    rehash(workspace, only(one, lambda event: table_of(event).update(stated)))


def test_swapped_files_are_found(published: Workspace) -> None:
    first, second = published.parquet(SECOND), published.parquet(THIRD)
    first_bytes, second_bytes = first.read_bytes(), second.read_bytes()
    first.write_bytes(second_bytes)
    second.write_bytes(first_bytes)
    for one in (SECOND, THIRD):
        adapt(published, one)
    problems = published.audit().problems
    assert "begins with ledger 22 and ends with ledger 31, expected 12 and 21, as its name says" in problems[0]
    assert "begins with ledger 12 and ends with ledger 21, expected 22 and 31, as its name says" in problems[1]


def test_other_rows_and_columns_are_found(published: Workspace) -> None:
    import pyarrow.parquet as pq

    path = published.parquet(SECOND)
    table = pq.ParquetFile(path).read()
    pq.write_table(table.slice(0, 9).drop_columns(["fee_pool"]), path)
    adapt(published, SECOND)
    problems = published.audit().problems
    assert any("has 9 rows, expected 10, as its manifest says" in one for one in problems)
    assert any("has the columns" in one for one in problems)
    assert any("ends with ledger 20" in one for one in problems)


def test_dropped_last_events_are_found(published: Workspace) -> None:
    events = published.log.load()
    for event in events[4:]:
        (published.events / published.log.key(event.partition)).unlink()
    (published.events / HEADS).write_text(json.dumps({published.era.chain: events[3].event_hash}))
    assert "holds 4 event files of it" in published.audit().problems[0]


def test_removed_events_are_found(published: Workspace) -> None:
    for path in published.events.glob("*.json"):
        path.unlink()
    found = published.audit()
    assert found.verdict is Verdict.DOES_NOT_HOLD
    assert "holds none of its event files" in found.problems[0]


def test_partition_without_event_is_found(published: Workspace) -> None:
    silent = published.but(chain={"events": None}, eras=(published.of(ledger_end=0).era,))
    (published.state / "checkpoint.json").unlink()
    for path in published.events.glob("*.json"):
        path.unlink()
    copy(silent, GRID[:3])
    found = published.audit()
    assert [
        f"{one}: is committed and has no event" in text for one, text in zip(GRID[:3], found.problems, strict=True)
    ] == [True] * 3
    assert any(f"{GRID[3]}: is published and not committed yet" in note for note in found.notes)


def test_everything_deleted_is_no_proof(published: Workspace) -> None:
    for root in (published.data, published.events, published.state):
        shutil.rmtree(root)
    found = published.audit()
    assert (found.verdict, found.partitions) == (Verdict.NOTHING, 0)


@pytest.mark.parametrize("name", ["extra.parquet", "range=12-21/extra.parquet", "range=1-x/part-1-x.parquet"])
def test_foreign_parquet_file_is_found(published: Workspace, name: str) -> None:
    path = published.parquet(SECOND).parent.parent / name
    path.parent.mkdir(exist_ok=True)
    shutil.copy(published.parquet(SECOND), path)
    assert f"{path}: belongs to no partition" in problem_in(published.audit())


def test_foreign_pipe_is_found(published: Workspace) -> None:
    """A query over all parquet files would wait at it for ever."""
    path = published.parquet(SECOND).parent / "extra.parquet"
    os.mkfifo(path)
    assert f"{path}: belongs to no partition" in problem_in(published.audit())


def test_other_foreign_file_is_noted(published: Workspace) -> None:
    path = published.parquet(SECOND).parent / "_SUCCESS"
    path.write_bytes(b"")
    found = published.audit()
    assert found.verdict is Verdict.HOLDS
    assert found.notes == [f"note: {path}: is not a file of this program"]


def edit_checkpoint(workspace: Workspace, **changes: Any) -> None:
    path = workspace.state / "checkpoint.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def test_checkpoint_that_contradicts_is_found(published: Workspace) -> None:
    last = {"start": 52, "end": 61, "checksum": f"sha256:{hex_hash('other')}"}
    edit_checkpoint(published, last_committed_partition=last)
    assert "says that 52-61 has the checksum" in problem_in(published.audit())
    edit_checkpoint(published, last_committed_ledger=71, last_committed_partition={**last, "start": 62, "end": 71})
    assert "says that 62-71 was committed last, expected a partition that is published" in published.audit().problems[0]


def test_checkpoint_set_by_hand_is_noted(published: Workspace) -> None:
    """Operators do that; whoever else did, the audit tells."""
    edit_checkpoint(published, last_committed_ledger=41)
    found = published.audit()
    assert found.verdict is Verdict.HOLDS
    (note,) = found.notes
    assert "was set by hand to ledger 41, the last partition that a run committed was 52-61" in note


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"era_id": "e9"}, "the checkpoint: {state} has none of this chain"),
        (
            {"last_committed_partition": {"start": 52, "end": 61, "checksum": "sha256:nonsense"}},
            "the checksum of 52-61 in the checkpoint, which states none, or none that is one",
        ),
    ],
)
def test_checkpoint_that_says_nothing_is_told(published: Workspace, changes: dict[str, Any], said: str) -> None:
    assert not any("checkpoint" in sentence for sentence in published.audit().not_checked)
    edit_checkpoint(published, **changes)
    assert said.format(state=published.state) in published.audit().not_checked


def test_wrong_number_of_events_is_found(published: Workspace) -> None:
    edit_checkpoint(published, chain_events=7)
    assert "had 7 events" in problem_in(published.audit())


@pytest.mark.parametrize("lost", [GRID[0], GRID[2], LAST], ids=["first", "middle", "last"])
def test_missing_partition_is_not_holding(published: Workspace, lost: Partition) -> None:
    silent = published.but(chain={"events": None, "checkpoint": None}).of(ledger_end=61)
    shutil.rmtree(published.parquet(lost).parent)
    found = silent.audit()
    assert found.verdict is Verdict.INCOMPLETE
    assert found.gaps == [lost]


def test_made_up_head_is_found(published: Workspace) -> None:
    (published.events / HEADS).write_text(json.dumps({published.era.chain: f"sha256:{hex_hash('other')}"}))
    (published.state / "checkpoint.json").unlink()
    problem = problem_in(published.audit())
    assert f"the chain head of standalone/e1/v1 is sha256:{hex_hash('other')}, expected sha256:" in problem
    assert problem.endswith("(bronze-copier repair)")


@pytest.mark.parametrize("head", [0, 3, None])
def test_lagging_head_is_not_wrong(published: Workspace, head: int | None) -> None:
    events = published.log.load()
    heads = {} if head is None else {published.era.chain: events[head].event_hash}
    (published.events / HEADS).write_text(json.dumps(heads))
    found = published.audit()
    assert (found.verdict, found.problems) == (Verdict.HOLDS, [])
    assert "the next run updates it" in found.notes[0]


def test_killed_run_gives_no_false_alarm(published: Workspace) -> None:
    following = Partition(62, 63)
    published.of(partition_size=2).publish(following)
    published.of(partition_size=2).manifest(following).unlink()
    found = published.audit()
    assert (found.verdict, found.problems) == (Verdict.HOLDS, [])
    assert (
        "has no manifest yet: a run in progress, or the next one, finishes or removes it, or says why not"
        in found.notes[0]
    )


def test_what_was_not_checked_is_said(published: Workspace) -> None:
    said = " ".join(published.audit().not_checked)
    assert "whether they are what their hashes say (--level rows)" in said
    assert "whether the lake has the same bytes (--level source)" in said
    assert "rebuilt from its start, which cannot be told apart" in said
    assert "the audit events" in " ".join(published.but(chain={"events": None}).audit().not_checked)


def test_unreadable_event_hides_nothing_else(published: Workspace) -> None:
    (published.events / published.log.key(SECOND)).write_text("{")
    data = bytearray(published.parquet(LAST).read_bytes())
    data[1000] ^= 1
    published.parquet(LAST).write_bytes(data)
    problems = published.audit().problems
    assert any("12-21.json cannot be used" in one for one in problems)
    assert any("part-52-61.parquet: has the checksum" in one for one in problems)


def test_chain_without_any_event_is_unchecked(published: Workspace) -> None:
    """It may be the first run at work, or somebody removed all events: nothing tells."""
    for path in (*published.events.glob("*.json"), published.state / "checkpoint.json"):
        path.unlink()
    found = published.audit()
    assert found.verdict is Verdict.UNCHECKED
    assert "6 partitions are published and the chain has no event at all" in found.problems[0]


def test_first_commit_meanwhile_is_not_wrong(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain's first head appears when the event files are already listed."""
    heads = (published.events / HEADS).read_bytes()
    for path in (*published.events.glob("*.json"), published.state / "checkpoint.json"):
        path.unlink()
    names = EventLog.names

    def list_then_commit(log: EventLog) -> list[str]:
        found = names(log)
        (published.events / HEADS).write_bytes(heads)
        return found

    monkeypatch.setattr(EventLog, "names", list_then_commit)
    assert published.audit().verdict is Verdict.UNCHECKED


def test_head_without_events_is_found(published: Workspace) -> None:
    for path in (*published.events.glob("standalone*.json"), published.state / "checkpoint.json"):
        path.unlink()
    assert len([one for one in published.audit().problems if "is committed and has no event" in one]) == 6


def test_ledgers_outside_of_era_are_noted(published: Workspace) -> None:
    found = published.of(ledger_start=12, ledger_end=41).but(chain={"events": None, "checkpoint": None}).audit()
    assert found.verdict is Verdict.HOLDS
    (note,) = found.notes
    assert "3 partitions, from 2-11 to 52-61, have ledgers outside of the era's range 12-41" in note
    assert published.audit().notes == []


def test_second_chain_in_mid_era_is_found(published: Workspace) -> None:
    """Events in another directory, the first of which follows nothing: what a mistyped directory began."""
    events = published.log.load()
    for event in events[:3]:
        (published.events / published.log.key(event.partition)).unlink()
    head = ""
    for event in events[3:]:
        document = json.loads(event.to_bytes())
        document["chain"] = {"prev_event_hash": head, "event_hash": ""}
        head = document["chain"]["event_hash"] = hash_document(document)
        path = published.events / published.log.key(event.partition)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False))
    (published.events / HEADS).write_text(json.dumps({published.era.chain: head}))
    (published.state / "checkpoint.json").unlink()
    problems = published.audit().problems
    without = [
        str(one) for one in GRID[:3] if any(f"{one}: is committed and has no event" in text for text in problems)
    ]
    assert without == [str(one) for one in GRID[:3]]


@pytest.mark.parametrize("keys", [("ledgers",), ("ledgers", "made_with")])
def test_links_removed_everywhere_are_told(published: Workspace, keys: tuple[str, ...]) -> None:
    """Without `made_with` they are the older copier's; then the rows say whether partitions link."""
    for partition in GRID:
        path = published.manifest(partition)
        document = json.loads(path.read_bytes())
        path.write_text(json.dumps({key: value for key, value in document.items() if key not in keys}))
    found = published.audit()
    assert len(found.problems) == (6 if keys == ("ledgers",) else 0)
    swapped = published.parquet(THIRD)
    swapped.write_bytes(published.parquet(SECOND).read_bytes())
    adapt(published, THIRD)
    assert published.audit().verdict is Verdict.DOES_NOT_HOLD


def test_links_made_up_everywhere_are_found(published: Workspace) -> None:
    """So that each partition follows the one before it."""
    for partition in GRID:
        path = published.manifest(partition)
        document = json.loads(path.read_bytes())
        document["ledgers"] |= {
            "previous_hash": hex_hash(partition.start - 1), "first_hash": hex_hash(partition.start),
            "last_hash": hex_hash(partition.end),
        }  # fmt: skip
        path.write_text(json.dumps(document))
    problems = published.audit().problems
    assert len([one for one in problems if "as its rows have" in one]) == 3 * len(GRID)


def test_version_that_was_never_published_is_no_proof(published: Workspace) -> None:
    found = published.of(version_label="v2").but(chain={"events": None, "checkpoint": None}).audit()
    assert (found.verdict, found.gaps) == (Verdict.NOTHING, [])
