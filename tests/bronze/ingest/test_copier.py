"""A partition is published whole and once; what exists already decides what is done."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

from bronze.authenticity.findings import PartitionAuthenticity
from bronze.authenticity.value_signature import network_id
from bronze.errors import ConflictError, DataError, FrameError, ObjectNotFoundError, StateError, VerificationError
from bronze.outcomes import Outcome
from bronze.partitioning.partition import Partition
from bronze.storage import location as locations
from bronze.storage.local import LocalStore
from pipeline.sample import SampleLedger, SampleOptions, write_sample_lake
from pipeline.sample.chain import STANDALONE_PASSPHRASE
from tests.bronze.conftest import ERA, GRID, Workspace, files, workspace_at
from tests.bronze.storage.store_suite import race

FIRST, SECOND = GRID[:2]

PROVEN_NOTHING = PartitionAuthenticity(network_id="").as_json()


def with_other_lake(workspace: Workspace, tmp_path: Path) -> Workspace:
    """The same destination, but the lake has another history."""
    options = SampleOptions(first=2, ledgers=62, transactions=3, seed=1)
    return workspace.but(
        source={"location": locations.StorageLocation(str(write_sample_lake(tmp_path / "other-lake", options).root))}
    )


def stamps(workspace: Workspace) -> dict[str, tuple[int, int]]:
    """Inode and modification time of every file at the destination: not written again means not changed."""
    paths = [path for path in workspace.data.rglob("*") if path.is_file()]
    return {str(path): (path.stat().st_ino, path.stat().st_mtime_ns) for path in paths}


def test_published_files_and_summary(workspace: Workspace, chain: list[SampleLedger]) -> None:
    made = workspace.publish(SECOND)
    part = chain[10:20]
    data, manifest = workspace.parquet(SECOND).read_bytes(), json.loads(workspace.manifest(SECOND).read_text())
    assert set(files(workspace.data)) == {
        f"bronze/standalone/e1/v1/ledgers_lcm_raw/range=12-21/{name}"
        for name in ("part-12-21.parquet", "_manifest.json")
    }
    assert made.outcome is Outcome.WRITTEN
    assert (made.chain, made.partition, made.first, made.last) == ("standalone/e1/v1", SECOND, 12, 21)
    assert (made.row_count, made.files, made.raw_bytes) == (10, 10, sum(len(one.xdr) for one in part))
    assert (made.byte_size, made.checksum) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
    assert made.previous_hash == chain[9].ledger_hash.hex()
    assert (made.first_hash, made.last_hash) == (part[0].ledger_hash.hex(), part[-1].ledger_hash.hex())
    assert made.storage_path == "standalone/e1/v1/ledgers_lcm_raw/range=12-21"
    created = manifest.pop("created_at")
    assert created.endswith("Z")
    assert manifest == {
        "partition": {"start": 12, "end": 21, "era_id": "e1", "version": "v1", "network": "standalone"},
        "tables": {"ledgers_lcm_raw": {"file": "part-12-21.parquet", "checksum": made.checksum, "row_count": 10,
                                       "byte_size": len(data)}},
        "producer": {"name": "bronze-copier", "version": "v1.2.3", "git_sha": "abc123"},
        "made_with": {"pyarrow": pa.__version__, "reader_table": "16.1.1", "verification": "full"},
        "ledgers": {"first": 12, "last": 21, "previous_hash": made.previous_hash, "first_hash": made.first_hash,
                    "last_hash": made.last_hash},
        "authenticity": {**PROVEN_NOTHING, "network_id": network_id(STANDALONE_PASSPHRASE).hex(),
                         "signatures": 10, **{key: manifest["authenticity"][key] for key in ("signers", "events")}},
    }  # fmt: skip


def test_copies_in_two_datasets_are_identical(workspace: Workspace, tmp_path: Path) -> None:
    other = workspace.but(
        target={"location": locations.StorageLocation(str(tmp_path / "elsewhere")), "prefix": ""},
        chain={"copier_id": "other"},
    )
    assert workspace.publish(FIRST) == other.publish(FIRST)
    assert workspace.parquet(FIRST).read_bytes() == other.parquet(FIRST).read_bytes()


def test_existing_partition_is_skipped_without_lake(published: Workspace) -> None:
    before = stamps(published)
    made = published.but(source={"location": locations.StorageLocation("/nowhere")}).publish(FIRST)
    assert made.outcome is Outcome.SKIPPED
    assert (made.files, made.raw_bytes) == (0, 0)
    assert stamps(published) == before


def test_skipped_and_written_summaries_agree(workspace: Workspace) -> None:
    written, skipped = workspace.publish(FIRST), workspace.publish(FIRST)
    names = ("checksum", "row_count", "byte_size", "first", "last", "previous_hash", "first_hash", "last_hash",
             "storage_path", "chain", "partition", "producer")  # fmt: skip
    assert {name: getattr(written, name) for name in names} == {name: getattr(skipped, name) for name in names}


def test_identical_orphan_is_adopted(published: Workspace) -> None:
    published.manifest(FIRST).unlink()
    before = stamps(published)
    assert published.publish(FIRST).outcome is Outcome.WRITTEN
    assert published.manifest(FIRST).exists()
    assert stamps(published).items() >= before.items()


@pytest.mark.parametrize("leftover", [b"", b"half a file", None], ids=["empty", "torn", "one bit"])
def test_different_orphan_is_replaced(published: Workspace, leftover: bytes | None) -> None:
    good = published.parquet(FIRST).read_bytes()
    published.manifest(FIRST).unlink()
    bad = good[:100] + bytes([good[100] ^ 1]) + good[101:] if leftover is None else leftover
    published.parquet(FIRST).write_bytes(bad)
    assert published.publish(FIRST).outcome is Outcome.WRITTEN
    assert published.parquet(FIRST).read_bytes() == good
    assert published.audit().problems == []


def test_different_content_is_a_conflict(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # two copiers begin while nothing is there; the other one is done first
    other = with_other_lake(workspace, tmp_path)
    published = other.publish(FIRST)
    before = stamps(workspace)
    copier = workspace.connections.copier()
    looks = iter([None])
    find = type(copier.dataset).find_manifest
    monkeypatch.setattr(
        type(copier.dataset),
        "find_manifest",
        lambda *of, **how: next(looks) if looks.__length_hint__() else find(*of, **how),
    )
    with pytest.raises(ConflictError) as caught:
        copier.copy(ERA, FIRST, range(2, 12))
    for part in ("part-2-11.parquet", published.checksum, "sha256:", "allow_overwrite"):
        assert part in str(caught.value)
    assert str(caught.value).count("sha256:") == 2
    assert stamps(workspace) == before


def test_overwrite_with_same_content_changes_nothing(published: Workspace) -> None:
    before = stamps(published)
    for one in GRID:
        assert published.of(allow_overwrite=True).publish(one).outcome is Outcome.UNCHANGED
    assert stamps(published) == before


def test_overwrite_with_other_content_replaces(published: Workspace, tmp_path: Path) -> None:
    other = with_other_lake(published, tmp_path).of(allow_overwrite=True)
    old = published.parquet(FIRST).read_bytes()
    made = other.publish(FIRST)
    assert made.outcome is Outcome.REPLACED
    assert published.parquet(FIRST).read_bytes() != old
    found = published.dataset.find_manifest(ERA, FIRST)
    assert found is not None
    assert (found.checksum, found.ledgers.last_hash if found.ledgers else "") == (made.checksum, made.last_hash)
    assert other.publish(FIRST).outcome is Outcome.UNCHANGED


def test_interrupted_replacement_is_completed(published: Workspace, tmp_path: Path) -> None:
    other = with_other_lake(published, tmp_path).of(allow_overwrite=True)
    published.manifest(FIRST).unlink()  # the first step of a replacement
    assert published.dataset.find_manifest(ERA, FIRST) is None
    assert other.publish(FIRST).outcome is Outcome.WRITTEN
    assert other.publish(FIRST).outcome is Outcome.UNCHANGED


@pytest.mark.parametrize("overwrite", [False, True])
def test_damaged_manifest_is_an_error(published: Workspace, overwrite: bool) -> None:
    published.manifest(FIRST).write_text("{}")
    before = stamps(published)
    with pytest.raises(StateError, match=r"range=2-11/_manifest\.json lacks the key"):
        published.of(allow_overwrite=overwrite).publish(FIRST)
    assert stamps(published) == before


@pytest.mark.parametrize(
    ("spoil", "error"),
    [
        (lambda path, following: path.write_bytes(path.read_bytes()[:-1]), FrameError),
        (lambda path, following: path.unlink(), DataError),
        (lambda path, following: path.write_bytes(following.read_bytes()), DataError),
    ],
)
def test_bad_input_publishes_nothing(
    tmp_path: Path, lake_of: Callable[..., Path], spoil: Callable[[Path, Path], object], error: type[DataError]
) -> None:
    root = shutil.copytree(lake_of(), tmp_path / "lake")
    workspace = workspace_at(tmp_path, root)
    spoil(root / workspace.lake.key(21), root / workspace.lake.key(22))  # the last one: everything before was written
    with pytest.raises(error, match=workspace.lake.key(21)):
        workspace.publish(SECOND)
    assert files(workspace.data) == {}
    assert workspace.publish(FIRST).outcome is Outcome.WRITTEN


def test_failed_overwrite_keeps_published_partition(published: Workspace, tmp_path: Path) -> None:
    root = shutil.copytree(published.job.source.location.path, tmp_path / "lake")
    (root / published.lake.key(5)).unlink()
    before = stamps(published)
    with pytest.raises(DataError):
        published.of(allow_overwrite=True).but(source={"location": locations.StorageLocation(str(root))}).publish(FIRST)
    with pytest.raises(VerificationError):
        published.of(allow_overwrite=True, protocol_min=99).publish(FIRST)
    assert stamps(published) == before


def test_concurrent_copiers_publish_once(workspace: Workspace) -> None:
    made = race(6, lambda _: workspace.publish(FIRST))
    outcomes = sorted(one.outcome for one in made)  # type: ignore[attr-defined]
    assert outcomes.count(Outcome.WRITTEN) == 1
    assert set(outcomes) <= {Outcome.WRITTEN, Outcome.UNCHANGED, Outcome.SKIPPED}
    assert len({one.checksum for one in made}) == 1  # type: ignore[attr-defined]
    assert len(files(workspace.data)) == 2
    assert LocalStore(workspace.data).remove_leftovers() == []


def test_concurrent_overwrites_leave_a_consistent_partition(workspace: Workspace, tmp_path: Path) -> None:
    workspace.publish(FIRST)
    both = [workspace.of(allow_overwrite=True), with_other_lake(workspace, tmp_path).of(allow_overwrite=True)]
    made = race(4, lambda racer: both[racer % 2].publish(FIRST))
    assert all(not isinstance(one, Exception) for one in made), made
    found = workspace.dataset.find_manifest(ERA, FIRST)
    assert found is not None
    assert workspace.dataset.checksum(workspace.dataset.parquet_key(ERA, FIRST)) == found.checksum


def test_dry_run_writes_nothing(workspace: Workspace) -> None:
    made = workspace.connections.copier().dry_run(ERA, FIRST, range(2, 12))
    assert made.outcome is Outcome.DRY_RUN
    assert not workspace.data.exists()
    written = workspace.publish(FIRST)
    assert (made.checksum, made.byte_size, made.raw_bytes) == (written.checksum, written.byte_size, written.raw_bytes)


def test_short_partition_is_never_published(workspace: Workspace) -> None:
    # the lake ends at 63: whatever is planned, nothing is published of 62-71
    with pytest.raises(DataError, match=f"{workspace.lake.key(64)} is missing"):
        workspace.publish(Partition(62, 71))
    assert files(workspace.data) == {}
    with pytest.raises(ObjectNotFoundError):
        workspace.dataset.checksum(workspace.dataset.parquet_key(ERA, Partition(62, 71)))


def test_committed_partition_is_made_with_its_bytes_only(workspace: Workspace) -> None:
    made = workspace.publish(SECOND)
    shutil.rmtree(workspace.parquet(SECOND).parent)
    copier = workspace.connections.copier()
    starts = workspace.lake.file_starts(SECOND.start, SECOND.end)
    key = (workspace.era.chain, SECOND)
    other = dataclasses.replace(copier, committed={key: f"sha256:{'ab' * 32}"})
    with pytest.raises(ConflictError, match="is missing and cannot be made again"):
        other.copy(workspace.era, SECOND, starts)
    same = dataclasses.replace(copier, committed={key: made.checksum})
    assert same.copy(workspace.era, SECOND, starts).outcome is Outcome.WRITTEN


def test_skipped_partition_is_made_durable(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer may have crashed before that was certain."""
    workspace.publish(FIRST)
    durable: list[str] = []
    monkeypatch.setattr(LocalStore, "ensure_durable", lambda _, key: durable.append(key))
    assert workspace.publish(FIRST).outcome is Outcome.SKIPPED
    assert durable == [workspace.dataset.manifest_key(ERA, FIRST)]
