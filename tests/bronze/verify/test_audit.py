"""An audit says what is wrong, what could not be checked and what was not, and takes no run in progress for damage."""

from __future__ import annotations

import errno
import json
import shutil
from collections.abc import Callable
from typing import Any

import pytest

from bronze.dataset.dataset import Dataset
from bronze.dataset.published_tables import find_tables
from bronze.errors import RunStoppedError
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from bronze.verify.audit import audit_era, seam_findings
from bronze.verify.era_audit import EraAudit, Verdict
from bronze.verify.finding import Level, Severity
from bronze.verify.partition_check import PartitionCheck
from bronze.verify.selection import Selection, Subset
from bronze.waiting import stop_waits_when
from tests.bronze.conftest import GRID, OPTIONS, Workspace, copy, hex_hash


def audited(at: Workspace, level: Level = Level.ROWS, *, knows_range: bool = True, **selection: Any) -> EraAudit:
    check = PartitionCheck(dataset=at.dataset, era=at.era, level=level)
    return audit_era(check, Selection(**selection), lambda check, some: map(check.check, some), has_end=knows_range)


@pytest.mark.parametrize("level", list(Level)[:3])
def test_good_partitions_hold(published: Workspace, level: Level) -> None:
    found = audited(published, level)
    assert (found.verdict, found.findings, found.gaps) == ("HOLDS", [], [])
    assert [report.partition for report in found.reports] == GRID
    assert sum(report.checked_rows for report in found.reports) == (60 if level is Level.ROWS else 0)


def test_missing_levels_are_not_checked(published: Workspace) -> None:
    words = " ".join(audited(published, Level.MANIFESTS).not_checked)
    assert "--level files" in words
    assert "--level rows" in words
    assert "--level source" in words


def test_nothing_published_is_nothing_to_verify(workspace: Workspace) -> None:
    found = audited(workspace)
    assert (found.verdict, found.is_empty) == ("NOTHING TO VERIFY", True)


@pytest.mark.parametrize(("gone", "knows_range", "gap"), [(0, True, "2-11"), (2, False, "22-31"), (5, True, "52-61")])
def test_missing_partition_is_a_gap(published: Workspace, gone: int, knows_range: bool, gap: str) -> None:
    shutil.rmtree(published.parquet(GRID[gone]).parent)
    found = audited(published.of(ledger_end=61), Level.MANIFESTS, knows_range=knows_range)
    assert [str(one) for one in found.gaps] == [gap]
    assert [(one.severity, one.partition) for one in found.findings] == [(Severity.MISSING, gap)]


def test_partition_in_progress_is_a_note(published: Workspace) -> None:
    published.manifest(GRID[-1]).unlink()
    found = audited(published)
    assert found.verdict == "HOLDS"
    assert [(one.severity, one.partition) for one in found.findings] == [(Severity.NOTE, "52-61")]


def test_unreadable_file_costs_its_own_finding(published: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = published.dataset.parquet_key(published.era, GRID[1])
    published.parquet(GRID[3]).write_bytes(b"x" * published.parquet(GRID[3]).stat().st_size)
    original = LocalStore.open_read

    def failing(self: LocalStore, key: str) -> Any:
        if key == bad:
            raise OSError(errno.EIO, "Input/output error")
        return original(self, key)

    monkeypatch.setattr(LocalStore, "open_read", failing)
    found = audited(published)
    assert {(one.severity, one.partition) for one in found.findings} == {
        (Severity.UNCHECKED, "12-21"), (Severity.WRONG, "32-41")
    }  # fmt: skip
    assert len(found.reports) == 6


def test_damaged_parquet_file_is_wrong(published: Workspace) -> None:
    path = published.parquet(GRID[3])
    path.write_bytes(path.read_bytes()[:-20] + bytes(20))
    found = audited(published)
    assert {one.severity for one in found.findings} == {Severity.WRONG}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda found: found["signers"].update(dict.fromkeys(list(found["signers"])[:1], 31)), "'signers': {"),
        (lambda found: found["signers"].update({"G" + "A" * 55: 30}), "'signers': {"),
        (lambda found: found.update(signatures=4, failed_signatures=6), "'signatures': 4, 'failed_signatures': 6"),
        (lambda found: found.update(network_id="ab" * 32), "'network_id': 'abab"),
    ],
)
def test_changed_signers_of_a_manifest_are_found(
    published: Workspace, change: Callable[[dict[str, Any]], None], said: str
) -> None:
    path = published.manifest(GRID[2])
    document = json.loads(path.read_bytes())
    change(document["authenticity"])
    path.write_text(json.dumps(document))
    check = PartitionCheck(
        dataset=published.dataset, era=published.era, level=Level.ROWS, passphrase=OPTIONS.passphrase
    )
    (found,) = check.check(GRID[2]).findings
    assert said in found.found
    assert found.expected.endswith("as its rows show")
    assert found.object == str(path)
    assert check.check(GRID[1]).findings == ()


def test_subset_reads_all_manifests_and_some_files(published: Workspace) -> None:
    part = Subset.parse("1/2")
    found = audited(published, subset=part)
    inside = {one for one in GRID if part.holds(one)}
    assert {one.partition for one in found.reports if one.checked_rows} == inside
    assert 0 < found.deep < len(found.reports) == 6
    assert any("--subset 1/2" in sentence for sentence in found.not_checked)


def test_interrupted_audit_says_so(published: Workspace) -> None:
    check = PartitionCheck(dataset=published.dataset, era=published.era, level=Level.ROWS)
    found = audit_era(check, Selection(), lambda check, some: map(check.check, some[:2]))
    assert not found.is_complete
    assert found.verdict is Verdict.INTERRUPTED
    assert "4 partitions: the audit was interrupted" in found.not_checked
    assert (found.deep, "2 partitions" in found.checked[0]) == (2, True)


@pytest.mark.parametrize("level", [Level.FILES, Level.ROWS])
def test_stop_ends_check_within_file(published: Workspace, level: Level) -> None:
    looked = iter([False] * (level is Level.ROWS) + [True] * 9)
    check = PartitionCheck(dataset=published.dataset, era=published.era, level=level)
    with stop_waits_when(lambda: next(looked)), pytest.raises(RunStoppedError, match="stopped while"):
        check.check(GRID[0])
    assert check.check(GRID[0]).findings == ()


def test_eras_that_do_not_link_are_found(published: Workspace) -> None:
    first, second = published.of(ledger_end=31), published.of(era_id="e2", ledger_start=32)
    for partition in GRID[3:]:
        shutil.rmtree(published.parquet(partition).parent)
    copy(second.but(chain={"single_era": False}), GRID[3:])
    audits = [audited(first), audited(second)]
    assert list(seam_findings(audits)) == []
    other = published.of(era_id="e2", ledger_start=42)
    shutil.rmtree(second.parquet(GRID[3]).parent)
    shutil.move(second.parquet(GRID[4]).parent.parent, second.parquet(GRID[4]).parent.parent.with_name("kept"))
    assert list(seam_findings([audited(first), audited(other)])) == []  # a gap is no broken link
    overlapping = [audited(first), audited(first)]
    assert [one.found.partition(" of ")[0] for one in seam_findings(overlapping)] == [
        f"overlaps the partition {partition}" for partition in GRID[:3]
    ]


def test_ledgers_of_two_eras_are_found(published: Workspace) -> None:
    """Wherever they lie among those of the other era; what only lies between them is no overlap."""
    other = published.of(era_id="e2", ledger_start=12)
    for partition in (GRID[1], GRID[4]):
        other.publish(partition)
    for partition in (GRID[0], GRID[1], GRID[3]):
        shutil.rmtree(published.parquet(partition).parent)
    (found,) = seam_findings([audited(published, Level.MANIFESTS), audited(other, Level.MANIFESTS)])
    assert (found.partition, found.chain, found.ledger) == ("42-51", "standalone/e1/v1", 42)
    assert found.found == "overlaps the partition 42-51 of standalone/e2/v1"


def test_overlaps_of_two_eras_are_bounded(published: Workspace) -> None:
    """A whole era that was published twice."""
    other = published.of(era_id="e2", partition_size=2)
    for start in range(4, 48, 2):
        other.publish(Partition(start, start + 1))
    *named, last = seam_findings([audited(published, Level.MANIFESTS), audited(other, Level.MANIFESTS)])
    assert [one.partition for one in named] == [f"{start}-{start + 1}" for start in range(4, 44, 2)]
    assert last.found == "overlaps standalone/e1/v1 in 22 partitions, the first 20 of which are named"


def test_eras_that_take_turns_must_link(published: Workspace) -> None:
    """Ledgers 22-31 of one era lie between 12-21 and 32-41 of the other one."""
    other = published.of(era_id="e2", ledger_start=22)
    other.publish(GRID[2])
    shutil.rmtree(published.parquet(GRID[2]).parent)
    assert list(seam_findings([audited(published, Level.MANIFESTS), audited(other, Level.MANIFESTS)])) == []
    path = other.manifest(GRID[2])
    document = json.loads(path.read_bytes())
    document["ledgers"]["last_hash"] = hex_hash("made up")
    path.write_text(json.dumps(document))
    (found,) = seam_findings([audited(published, Level.MANIFESTS), audited(other, Level.MANIFESTS)])
    expected = f"{hex_hash('made up')}, the last one of standalone/e2/v1 22-31"
    assert (found.partition, found.expected) == ("32-41", expected)


def test_tables_are_found_by_prefix_alone(published: Workspace) -> None:
    (table,) = find_tables(LocalStore(published.data / "bronze"))
    assert table.dataset == Dataset(table.dataset.store, "", "ledgers_lcm_raw")
    assert (table.era.chain, table.era.ledger_start, table.era.partition_size) == ("standalone/e1/v1", 2, 10)
    assert list(table.partitions) == GRID


def test_nothing_is_written(published: Workspace) -> None:
    before = {path: path.stat().st_mtime_ns for path in published.data.rglob("*")}
    audited(published)
    assert {path: path.stat().st_mtime_ns for path in published.data.rglob("*")} == before
