"""Publishing of a partition: what exists already decides what is created, replaced, adopted or refused."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.dataset.publication import Publication
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import ConflictError
from bronze.outcomes import Outcome
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from tests.bronze.conftest import ERA, PRODUCER, files, hex_hash
from tests.bronze.storage.store_suite import race

PARTITION = Partition(2, 11)
OVERWRITING = dataclasses.replace(ERA, allow_overwrite=True)


class Unlocked(LocalStore):
    """A store that cannot keep other publishers waiting, like an object store."""

    supports_locking = False  # type: ignore[assignment]
    is_remote = True  # type: ignore[assignment]

    @contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        yield


@pytest.fixture(params=[LocalStore, Unlocked])
def dataset(request: pytest.FixtureRequest, tmp_path: Path) -> Dataset:
    return Dataset(request.param(tmp_path / "data"), "bronze", PRIMARY_TABLE)


@pytest.fixture
def unlocked(tmp_path: Path) -> Dataset:
    return Dataset(Unlocked(tmp_path / "data"), "bronze", PRIMARY_TABLE)


def checksum(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(content: bytes) -> Manifest:
    return Manifest(
        partition=PARTITION,
        network=ERA.network,
        era_id=ERA.era_id,
        version_label=ERA.version_label,
        table=PRIMARY_TABLE,
        checksum=checksum(content),
        row_count=len(PARTITION),
        byte_size=len(content),
        producer=PRODUCER,
        created_at="2026-01-01T00:00:00Z",
        ledgers=LedgerLinks(
            first=2, last=11, previous_hash=hex_hash(1), first_hash=hex_hash(2), last_hash=hex_hash(11)
        ),
    )


def publish(dataset: Dataset, content: bytes, era: Era = ERA) -> Outcome:
    """Publish the partition with a parquet file of these bytes."""
    with dataset.store.upload(dataset.parquet_key(era, PARTITION), caller_hashes=True) as upload:
        upload.write(content)
        return Publication(dataset=dataset, era=era, manifest=manifest_of(content), upload=upload).publish()


def published_content(dataset: Dataset) -> bytes | None:
    """Bytes of the published partition, which its manifest must describe; None when it is not published."""
    manifest = dataset.find_manifest(ERA, PARTITION)
    if manifest is None:
        return None
    content = dataset.store.read(dataset.parquet_key(ERA, PARTITION))
    assert manifest.checksum == checksum(content)
    return content


def test_new_partition_is_written(dataset: Dataset) -> None:
    assert publish(dataset, b"rows") is Outcome.WRITTEN
    assert published_content(dataset) == b"rows"
    assert len(files(Path(dataset.store.url))) == 2


@pytest.mark.parametrize("era", [ERA, OVERWRITING], ids=["create only", "overwriting"])
def test_same_content_again_is_unchanged(dataset: Dataset, era: Era) -> None:
    publish(dataset, b"rows")
    before = files(Path(dataset.store.url))
    assert publish(dataset, b"rows", era) is Outcome.UNCHANGED
    assert files(Path(dataset.store.url)) == before


def test_other_content_is_a_conflict(dataset: Dataset) -> None:
    publish(dataset, b"rows")
    with pytest.raises(ConflictError, match="set allow_overwrite to replace it") as caught:
        publish(dataset, b"other")
    assert checksum(b"rows") in str(caught.value)
    assert checksum(b"other") in str(caught.value)
    assert published_content(dataset) == b"rows"


def test_other_content_replaces_with_allow_overwrite(dataset: Dataset) -> None:
    publish(dataset, b"rows")
    assert publish(dataset, b"other", OVERWRITING) is Outcome.REPLACED
    assert published_content(dataset) == b"other"


@pytest.mark.parametrize("era", [ERA, OVERWRITING], ids=["create only", "overwriting"])
def test_orphan_with_same_bytes_is_adopted(dataset: Dataset, era: Era) -> None:
    dataset.store.create(dataset.parquet_key(era, PARTITION), b"rows")
    assert publish(dataset, b"rows", era) is Outcome.WRITTEN
    assert published_content(dataset) == b"rows"


def test_orphan_with_other_bytes_is_replaced_under_lock(tmp_path: Path) -> None:
    dataset = Dataset(LocalStore(tmp_path), "bronze", PRIMARY_TABLE)
    dataset.store.create(dataset.parquet_key(ERA, PARTITION), b"torn")
    assert publish(dataset, b"rows") is Outcome.WRITTEN
    assert published_content(dataset) == b"rows"


@pytest.mark.parametrize("era", [ERA, OVERWRITING], ids=["create only", "overwriting"])
def test_orphan_with_other_bytes_conflicts_without_lock(unlocked: Dataset, era: Era) -> None:
    key = unlocked.parquet_key(era, PARTITION)
    unlocked.store.create(key, b"another version's")
    with pytest.raises(ConflictError, match="remove the file"):
        publish(unlocked, b"rows", era)
    assert unlocked.store.read(key) == b"another version's"
    assert published_content(unlocked) is None


@pytest.mark.parametrize("same", [True, False])
def test_manifest_created_by_another_copier_first(tmp_path: Path, same: bool) -> None:
    other = manifest_of(b"rows" if same else b"ROWS")  # the same size, so that the file fits both

    class Overtaken(Unlocked):
        """Another copier's manifest comes just before this one's."""

        def create(self, key: str, data: bytes) -> None:
            super().create(key, other.to_bytes())
            super().create(key, data)

    dataset = Dataset(Overtaken(tmp_path), "bronze", PRIMARY_TABLE)
    if same:
        assert publish(dataset, b"rows") is Outcome.UNCHANGED
        return
    with pytest.raises(ConflictError, match="created by another copier at the same time"):
        publish(dataset, b"rows")


def test_concurrent_publishers_write_once(dataset: Dataset) -> None:
    outcomes = race(6, lambda _: publish(dataset, b"rows"))
    assert sorted(map(str, outcomes)) == ["unchanged"] * 5 + ["written"]
    assert published_content(dataset) == b"rows"
    assert len(files(Path(dataset.store.url))) == 2


def test_mark_comes_before_a_replacement(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    publish(dataset, b"rows")

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(dataset.store), "delete", killed)
    with pytest.raises(KeyboardInterrupt):
        publish(dataset, b"other", dataclasses.replace(ERA, allow_overwrite=True))
    assert dataset.store.size(dataset.replacing_key(ERA, PARTITION)) is not None


def test_published_file_is_no_orphan(dataset: Dataset) -> None:
    publish(dataset, b"rows")
    assert not dataset.remove_orphan(ERA, PARTITION)
    assert published_content(dataset) == b"rows"


def test_found_partition_is_made_durable(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its writer may have crashed before that was certain."""
    publish(dataset, b"rows")
    durable: list[str] = []
    monkeypatch.setattr(type(dataset.store), "ensure_durable", lambda _, key: durable.append(key))
    assert publish(dataset, b"rows") is Outcome.UNCHANGED
    assert durable == [dataset.manifest_key(ERA, PARTITION)]


def test_correction_of_missing_partition_is_marked(dataset: Dataset) -> None:
    """The chain states another content, and nothing is there."""
    with dataset.store.upload(dataset.parquet_key(ERA, PARTITION), caller_hashes=True) as upload:
        upload.write(b"rows")
        publication = Publication(
            dataset=dataset, era=OVERWRITING, manifest=manifest_of(b"rows"), upload=upload, is_correction=True
        )
        assert publication.publish() is Outcome.WRITTEN
    assert dataset.store.size(dataset.replacing_key(ERA, PARTITION)) is not None
