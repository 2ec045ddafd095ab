"""What one listing shows: published partitions, lone files, marks of replacements; and what it costs."""

from __future__ import annotations

from bronze.dataset.listing import list_dataset
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import GRID, Workspace

FIRST, SECOND, THIRD, FOURTH = GRID[:4]


def test_uncovered_ranges_stop_before_the_next_ledger(published: Workspace) -> None:
    published.manifest(SECOND).unlink()  # its directory and parquet file stay
    dataset, era = published.dataset, published.era
    assert list_dataset(dataset, era).uncovered_ranges(12) == []
    assert list_dataset(dataset, era).uncovered_ranges(32) == [SECOND]
    assert list_dataset(dataset, era).uncovered_ranges(72) == [SECOND, Partition(62, 71)]


def test_lone_files_are_no_partitions(published: Workspace) -> None:
    dataset, era = published.dataset, published.era
    published.manifest(FIRST).unlink()
    published.parquet(SECOND).unlink()
    for path in (published.manifest(THIRD), published.parquet(THIRD)):
        path.unlink()
    dataset.mark_replacing(era, FOURTH)
    dataset.mark_replacing(era, THIRD)
    found = list_dataset(dataset, era)
    assert found.published == tuple(GRID[3:])
    assert (found.orphans, found.bare, found.empty) == ((FIRST,), (SECOND,), (THIRD,))
    assert found.replaced == (THIRD, FOURTH)
    assert found.list_partitions(era) == [SECOND, *GRID[3:]]
    assert found.find_manifest(era, FIRST) is None
    assert not found.is_empty


def test_unmarked_partition_is_not_replaced(published: Workspace) -> None:
    dataset, era = published.dataset, published.era
    dataset.mark_replacing(era, FIRST)
    dataset.mark_replacing(era, FIRST)
    dataset.unmark_replacing(era, FIRST)
    dataset.unmark_replacing(era, FIRST)
    assert list_dataset(dataset, era).replaced == ()


def test_empty_directories_are_nothing(workspace: Workspace) -> None:
    (workspace.data / workspace.dataset.directory(workspace.era, FIRST)).mkdir(parents=True)
    found = list_dataset(workspace.dataset, workspace.era)
    assert found.is_empty
    assert found.empty == (FIRST,)


def test_orphan_is_removed_unless_it_has_a_manifest(published: Workspace) -> None:
    dataset, era = published.dataset, published.era
    assert not dataset.remove_orphan(era, FIRST)
    assert published.parquet(FIRST).exists()
    published.manifest(FIRST).unlink()
    assert dataset.remove_orphan(era, FIRST)
    assert not published.parquet(FIRST).exists()
