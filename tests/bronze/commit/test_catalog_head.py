"""A chain whose event files are gone continues from the catalog only when the catalog knows all of it."""

from __future__ import annotations

import json

import pytest

from bronze.catalog.lineage import RecordedPartition
from bronze.commit.catalog_head import check_catalog_head
from bronze.errors import StateError
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import ERA, GRID, Workspace


def rows(workspace: Workspace) -> dict[Partition, RecordedPartition]:
    made = {}
    for number, partition in enumerate(GRID):
        manifest = workspace.dataset.find_manifest(ERA, partition)
        assert manifest is not None
        made[partition] = RecordedPartition(
            row_id=number, row_count=10, byte_size=1, checksum=manifest.checksum, event_hash="", prev_hash="",
            storage_path="", producer="", git_sha="",
        )  # fmt: skip
    return made


def test_complete_catalog_may_name_the_head(published: Workspace) -> None:
    complete = rows(published)
    check_catalog_head(ERA, published.dataset, complete, 61)
    del complete[GRID[5]]  # published and not yet committed
    check_catalog_head(ERA, published.dataset, complete, 51)


def test_missing_row_may_hide_an_event(published: Workspace) -> None:
    incomplete = rows(published)
    del incomplete[GRID[2]]
    with pytest.raises(StateError, match=r"partition 22-31 has the checksum .* the catalog has no row of it"):
        check_catalog_head(ERA, published.dataset, incomplete, 61)


def test_replaced_partition_may_hide_an_event(published: Workspace) -> None:
    stale = rows(published)
    document = json.loads(published.manifest(GRID[2]).read_text())
    document["tables"]["ledgers_lcm_raw"]["checksum"] = f"sha256:{'0' * 64}"
    published.manifest(GRID[2]).write_text(json.dumps(document))
    with pytest.raises(StateError, match=r"partition 22-31 has the checksum sha256:0+, the catalog says sha256:"):
        check_catalog_head(ERA, published.dataset, stale, 61)


def test_partition_without_manifest_is_not_compared(published: Workspace) -> None:
    complete = rows(published)
    published.manifest(GRID[1]).unlink()
    del complete[GRID[1]]
    check_catalog_head(ERA, published.dataset, complete, 61)
