"""A partition is compared with the published ones right beside it, as the grids of the run's eras name them."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks
from bronze.dataset.neighbours import check_published_neighbours
from bronze.errors import VerificationError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from tests.bronze.conftest import era, hex_hash, lay, summary

FIRST = era(era_id="e1", ledger_start=2, ledger_end=31)
SECOND = era(era_id="e2", ledger_start=32, ledger_end=61)
BOTH = (FIRST, SECOND)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    return Dataset(LocalStore(tmp_path), "bronze", "ledgers_lcm_raw")


def publish(dataset: Dataset, of: Era, start: int, end: int) -> None:
    lay(dataset, of, summary(start, end, of=of))


def links(start: int, end: int, *, before: str = "", last: str = "") -> LedgerLinks:
    return LedgerLinks(
        first=start,
        last=end,
        previous_hash=before or hex_hash(start - 1),
        first_hash=hex_hash(start),
        last_hash=last or hex_hash(end),
    )


def check(dataset: Dataset, of: Era, found: LedgerLinks) -> None:
    check_published_neighbours(dataset, BOTH, of, Partition(found.first, found.last), found)


def test_partition_between_its_neighbours_links(dataset: Dataset) -> None:
    publish(dataset, FIRST, 2, 11)
    publish(dataset, FIRST, 22, 31)
    check(dataset, FIRST, links(12, 21))
    with pytest.raises(VerificationError):
        check(dataset, FIRST, links(12, 21, before=hex_hash("other")))


@pytest.mark.parametrize(
    ("of", "published", "found", "names"),
    [
        (FIRST, (FIRST, 2, 11), links(12, 21, before="0" * 64), "ledger 12 .* ledger 11 of .*/e1/v1 2-11"),
        (FIRST, (FIRST, 22, 31), links(12, 21, last="0" * 64), "ledger 21 .* ledger 22 of .*/e1/v1 22-31"),
        (SECOND, (FIRST, 22, 31), links(32, 41, before="0" * 64), "ledger 32 .* ledger 31 of .*/e1/v1 22-31"),
        (FIRST, (SECOND, 32, 41), links(22, 31, last="0" * 64), "ledger 31 .* ledger 32 of .*/e2/v1 32-41"),
        (FIRST, (FIRST, 12, 15), links(16, 21, before="0" * 64), "ledger 16 .* ledger 15 of .*/e1/v1 12-15"),
        (FIRST, (FIRST, 16, 21), links(12, 15, last="0" * 64), "ledger 15 .* ledger 16 of .*/e1/v1 16-21"),
    ],
    ids=["before", "behind", "era before", "era behind", "partial before", "rest behind"],
)
def test_other_history_beside_is_refused(
    of: Era, published: tuple[Era, int, int], found: LedgerLinks, names: str, dataset: Dataset
) -> None:
    publish(dataset, *published)
    with pytest.raises(VerificationError, match=names) as caught:
        check(dataset, of, found)
    _, start, end = published
    assert f"range={start}-{end}" in str(caught.value)  # the directory to remove if that one is wrong
    assert "was not published" in str(caught.value)


def test_damaged_neighbour_is_left_to_the_commit(dataset: Dataset) -> None:
    publish(dataset, FIRST, 2, 11)
    dataset.store.delete(dataset.manifest_key(FIRST, Partition(2, 11)))
    dataset.store.create(dataset.manifest_key(FIRST, Partition(2, 11)), b"{}")
    other = links(12, 21, before="0" * 64)
    check(dataset, FIRST, other)
    assert other.previous_hash != hex_hash(11)


def test_two_manifests_are_read_at_most(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in range(2, 32, 10):
        publish(dataset, FIRST, start, start + 9)
    read: list[Partition] = []
    find = Dataset.find_manifest

    def counted(self: Dataset, of: Era, partition: Partition, *, check_file: bool = True) -> object:
        read.append(partition)
        return find(self, of, partition, check_file=check_file)

    monkeypatch.setattr(Dataset, "find_manifest", counted)
    check(dataset, FIRST, links(12, 21))
    assert read == [Partition(2, 11), Partition(22, 31)]
