"""A partition is made anew with the content that is stated of it: only what is wrong is replaced."""

from __future__ import annotations

import dataclasses

import pytest

from bronze.errors import ConflictError
from bronze.ingest.copier import PartitionCopier
from bronze.outcomes import Outcome, PartitionSummary
from tests.bronze.conftest import ERA, GRID, Workspace

FIRST = GRID[0]


def again(workspace: Workspace, checksum: str) -> PartitionSummary:
    copier: PartitionCopier = workspace.connections.copier()
    copier = dataclasses.replace(copier, again={(ERA.chain, FIRST): checksum})
    return copier.copy(ERA, FIRST, range(2, 12))


def stated(workspace: Workspace) -> str:
    found = workspace.dataset.find_manifest(ERA, FIRST)
    assert found is not None
    return found.checksum


def test_only_the_wrong_file_is_replaced(published: Workspace) -> None:
    checksum, good = stated(published), published.parquet(FIRST).read_bytes()
    manifest = published.manifest(FIRST)
    kept = (manifest.read_bytes(), manifest.stat().st_ino)
    assert again(published, checksum).outcome is Outcome.UNCHANGED
    published.parquet(FIRST).write_bytes(good[:-1] + b"\0")
    assert again(published, checksum).outcome is Outcome.WRITTEN
    assert published.parquet(FIRST).read_bytes() == good
    assert (manifest.read_bytes(), manifest.stat().st_ino) == kept


@pytest.mark.parametrize("key", ["byte_size", "first_hash"])
def test_manifest_with_wrong_field_is_replaced(key: str, published: Workspace) -> None:
    checksum, manifest = stated(published), published.manifest(FIRST)
    good = manifest.read_text()
    at = good.index(f'"{key}": ') + len(key) + 4
    wrong = good[:at] + ("1" + good[at:] if key == "byte_size" else f'"{"0" * 64}' + good[at + 65 :])
    manifest.write_text(wrong)
    assert again(published, checksum).outcome is Outcome.WRITTEN
    assert published.dataset.find_manifest(ERA, FIRST) is not None
    created = '"created_at"'
    assert [line for line in manifest.read_text().splitlines() if created not in line] == [
        line for line in good.splitlines() if created not in line
    ]


def test_other_content_replaces_nothing(published: Workspace) -> None:
    damaged = published.parquet(FIRST).read_bytes()[:-1]
    published.parquet(FIRST).write_bytes(damaged)
    other = f"sha256:{'6' * 64}"
    with pytest.raises(ConflictError, match="Nothing was replaced") as caught:
        again(published, other)
    assert other in str(caught.value)
    assert published.parquet(FIRST).read_bytes() == damaged
