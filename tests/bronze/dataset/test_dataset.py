"""Datasets: keys, listings, and which partitions count as published."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from bronze.dataset.manifest import LedgerLinks
from bronze.errors import ObjectNotFoundError, StateError
from bronze.outcomes import Outcome
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import GRID, Workspace

FIRST, SECOND = GRID[:2]


def test_keys_of_a_partition(workspace: Workspace) -> None:
    dataset = workspace.dataset
    path = "standalone/e1/v1/ledgers_lcm_raw/range=2-11"
    assert dataset.storage_path(workspace.era, FIRST) == path
    assert dataset.parquet_key(workspace.era, FIRST) == f"bronze/{path}/part-2-11.parquet"
    assert dataset.manifest_key(workspace.era, FIRST) == f"bronze/{path}/_manifest.json"


def test_published_partition_is_found(published: Workspace) -> None:
    found = published.dataset.find_manifest(published.era, FIRST)
    assert found is not None
    assert found.partition == FIRST
    data = published.parquet(FIRST).read_bytes()
    assert (found.byte_size, found.checksum) == (len(data), f"sha256:{hashlib.sha256(data).hexdigest()}")
    assert published.dataset.checksum(published.dataset.parquet_key(published.era, FIRST)) == found.checksum


def test_missing_partition_is_not_found(workspace: Workspace) -> None:
    assert workspace.dataset.find_manifest(workspace.era, FIRST) is None
    assert workspace.dataset.list_partitions(workspace.era) == []
    with pytest.raises(ObjectNotFoundError):
        workspace.dataset.checksum("bronze/x")


def test_parquet_file_without_manifest_is_not_published(published: Workspace) -> None:
    published.manifest(FIRST).unlink()
    assert published.dataset.find_manifest(published.era, FIRST) is None
    assert FIRST in published.dataset.list_partitions(published.era)


def test_orphan_is_removed_unless_it_has_manifest(published: Workspace) -> None:
    """Another copier may have published it since it was listed."""
    data = published.parquet(FIRST).read_bytes()
    assert not published.dataset.remove_orphan(published.era, FIRST)
    assert published.parquet(FIRST).read_bytes() == data
    published.manifest(FIRST).unlink()
    assert published.dataset.remove_orphan(published.era, FIRST)
    assert not published.parquet(FIRST).exists()


def test_only_partition_directories_are_listed(published: Workspace) -> None:
    table = published.manifest(FIRST).parents[1]
    for name in (
        "range=",
        "range=5",
        "range=20-10",
        "range=1-2x",
        "range=12345678901-12345678902",
        "range=02-08",
        "range=\u0663-\u0665",
        "_temporary",
        "x",
    ):
        (table / name).mkdir()
    (table / "range=70-79").write_text("a file")
    (table / "range=100-109").mkdir()
    assert published.dataset.list_partitions(published.era) == [*GRID, Partition(100, 109)]


def edit(change: Callable[[dict[str, Any]], object]) -> Callable[[Workspace], None]:
    """A change of the first partition's manifest."""

    def apply(workspace: Workspace) -> None:
        document = json.loads(workspace.manifest(FIRST).read_text())
        change(document)
        workspace.manifest(FIRST).write_text(json.dumps(document))

    return apply


ENTRY = "ledgers_lcm_raw"


@pytest.mark.parametrize(
    ("spoil", "messages"),
    [
        # the manifest of the next partition
        (lambda workspace: shutil.copy(workspace.manifest(SECOND), workspace.manifest(FIRST)),
         ["describes standalone/e1/v1 12-21, expected standalone/e1/v1 2-11"]),
        # of another network, era or version
        (edit(lambda one: one["partition"].update(network="pubnet")), ["describes pubnet/e1/v1 2-11, expected"]),
        (edit(lambda one: one["partition"].update(era_id="e2")), ["describes standalone/e2/v1 2-11"]),
        (edit(lambda one: one["partition"].update(version="v2")), ["describes standalone/e1/v2 2-11"]),
        # an incomplete one
        (edit(lambda one: one["tables"][ENTRY].update(row_count=9)),
         ["incomplete partition", "9 rows", "2-11 has 10 ledgers", "Remove the manifest"]),
        # without its parquet file, or with another file
        (lambda workspace: workspace.parquet(FIRST).unlink(), ["stands without its parquet file", "part-2-11.parquet"]),
        (lambda workspace: workspace.parquet(FIRST).write_bytes(b"short"), ["has 5 bytes, its manifest says"]),
        # not a manifest
        (lambda workspace: workspace.manifest(FIRST).write_bytes(b"{}"), ["lacks the key 'partition'"]),
    ],
)  # fmt: skip
def test_contradictory_partition_is_refused(
    published: Workspace, spoil: Callable[[Workspace], object], messages: list[str]
) -> None:
    spoil(published)
    with pytest.raises(StateError) as caught:
        published.dataset.find_manifest(published.era, FIRST)
    for message in [*messages, "range=2-11/_manifest.json" if "bytes" not in messages[0] else "range=2-11"]:
        assert message in str(caught.value)
    # and the copier refuses it too
    with pytest.raises(StateError):
        published.publish(FIRST)


def test_oversized_manifest_is_not_loaded(published: Workspace) -> None:
    published.manifest(FIRST).write_bytes(b" " * (1 << 20) + published.manifest(FIRST).read_bytes())
    with pytest.raises(
        StateError, match=r"range=2-11/_manifest\.json cannot be used: .* more than the 1048576 allowed"
    ):
        published.dataset.find_manifest(published.era, FIRST)


def test_file_check_can_be_left_out(published: Workspace) -> None:
    published.parquet(FIRST).unlink()
    found = published.dataset.find_manifest(published.era, FIRST, check_file=False)
    assert found is not None
    assert found.partition == FIRST


@pytest.mark.parametrize("start", [0, 1, 2])
def test_ledgers_0_and_1_have_no_rows(workspace: Workspace, start: int) -> None:
    at = workspace.of(ledger_start=start)
    made = at.publish(Partition(start, 5))
    assert (made.first, made.last, made.row_count) == (2, 5, 4)
    found = at.dataset.find_manifest(at.era, Partition(start, 5))
    assert found is not None
    assert found.row_count == 4


def test_older_manifest_is_skipped_with_links_from_file(published: Workspace) -> None:
    known = published.dataset.find_manifest(published.era, FIRST)
    assert known is not None
    edit(lambda one: one.pop("ledgers"))(published)
    before = published.parquet(FIRST).read_bytes()
    made = published.publish(FIRST)
    assert made.outcome is Outcome.SKIPPED
    assert made.checksum == known.checksum
    assert known.ledgers == LedgerLinks(
        first=made.first,
        last=made.last,
        previous_hash=made.previous_hash,
        first_hash=made.first_hash,
        last_hash=made.last_hash,
    )
    assert published.parquet(FIRST).read_bytes() == before


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path, data: data[:-8] + b"\xff" * 8,  # no footer
        lambda path, data: bytes(len(data)),
        lambda path, data: data[:-200] + bytes(192) + data[-8:],  # an invalid footer
    ],
)
def test_unreadable_older_partition_is_refused(published: Workspace, spoil: Callable[[Path, bytes], bytes]) -> None:
    edit(lambda one: one.pop("ledgers"))(published)
    path = published.parquet(FIRST)
    path.write_bytes(spoil(path, path.read_bytes()))
    with pytest.raises(StateError, match=r"part-2-11\.parquet cannot be read to link its partition"):
        published.publish(FIRST)


def as_older_copier(path: Path, change: Callable[[pa.Table], pa.Table] = lambda table: table) -> None:
    """Rewrite the partition at `path` with the older copier's column types, and its manifest without `ledgers`."""
    table = change(pq.ParquetFile(path).read())
    types = {
        "ledger_sequence": pa.uint64(),
        "protocol_version": pa.uint32(),
        "tx_count": pa.uint32(),
        "operation_count": pa.uint32(),
    }
    fields = [field.with_type(types.get(field.name, field.type)) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), path)
    data = path.read_bytes()
    manifest = path.with_name("_manifest.json")
    document = json.loads(manifest.read_text())
    del document["ledgers"]
    document["tables"][ENTRY] |= {
        "checksum": f"sha256:{hashlib.sha256(data).hexdigest()}",
        "byte_size": len(data),
    }
    manifest.write_text(json.dumps(document))


@pytest.mark.parametrize("start", [0, 1, 2])
def test_older_partitions_links_are_read_from_file(workspace: Workspace, start: int) -> None:
    at = workspace.of(ledger_start=start)
    part = Partition(start, 11)
    made = at.publish(part)
    as_older_copier(at.parquet(part))
    manifest = at.dataset.find_manifest(at.era, part)
    assert manifest is not None
    assert manifest.ledgers is None
    assert at.dataset.links(at.era, manifest) == LedgerLinks(
        first=2, last=11, previous_hash=made.previous_hash, first_hash=made.first_hash, last_hash=made.last_hash
    )


def set_column(name: str, values: Callable[[pa.ChunkedArray], Any]) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        at = table.column_names.index(name)
        return table.set_column(at, name, values(table.column(name)))

    return change


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda table: table.drop_columns(["ledger_hash"]), "cannot be read to link its partition"),
        (lambda table: table.slice(0, 0), "cannot be read to link its partition"),
        (
            set_column("ledger_hash", lambda hashes: pa.nulls(len(hashes), pa.string())),
            "first_hash is None, expected text",
        ),
        (set_column("previous_ledger_hash", lambda hashes: pc.utf8_upper(hashes)), "previous_hash is '"),
        (
            set_column("ledger_sequence", lambda numbers: pc.add(numbers, 10)),
            "begins with ledger 12 and ends with ledger 21, but its partition is 2-11",
        ),
    ],
)
def test_older_partition_that_cannot_be_linked_is_refused(
    published: Workspace, change: Callable[[pa.Table], pa.Table], says: str
) -> None:
    as_older_copier(published.parquet(FIRST), change)
    manifest = published.dataset.find_manifest(published.era, FIRST)
    assert manifest is not None
    with pytest.raises(StateError) as caught:
        published.dataset.links(published.era, manifest)
    assert says in str(caught.value)
    assert str(published.parquet(FIRST)) in str(caught.value)
