"""A summary that differs from what is published is not committed: no event, no head, no checkpoint."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from bronze.errors import StateError
from bronze.outcomes import Outcome
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from tests.bronze.conftest import GRID, PRODUCER, Workspace, files, hex_hash

FORGED = {
    "checksum": {"checksum": f"sha256:{'6' * 64}"},
    "row_count": {"row_count": 11},
    "byte_size": {"byte_size": 666},
    "first ledger": {"first": 13},
    "last ledger": {"last": 20},
    "hash before": {"previous_hash": hex_hash("forged")},
    "first hash": {"first_hash": hex_hash("forged")},
    "last hash": {"last_hash": hex_hash("forged")},
    "producer": {"producer": Producer("other", "v6", "666")},
    "path": {"storage_path": "standalone/e1/v1/elsewhere/range=12-21"},
    "chain": {"chain": "standalone/e6/v1"},
    "partition": {"partition": Partition(12, 31)},
}


@pytest.mark.parametrize("changes", FORGED.values(), ids=FORGED.keys())
def test_forged_summary_is_refused(workspace: Workspace, changes: dict[str, Any]) -> None:
    sequencer = workspace.connections.sequencer(workspace.era)
    sequencer.commit(workspace.publish(GRID[0]))
    real = workspace.publish(GRID[1])
    before = (files(workspace.events), files(workspace.state))

    with pytest.raises(StateError):
        sequencer.commit(dataclasses.replace(real, **changes))

    assert (files(workspace.events), files(workspace.state)) == before
    assert sequencer.commit(real).is_new


def test_refusal_names_both_checksums(workspace: Workspace) -> None:
    real = workspace.publish(GRID[0])
    forged = dataclasses.replace(real, checksum=f"sha256:{'6' * 64}")
    with pytest.raises(StateError, match=f"checksum sha256:{'6' * 64}, but .*_manifest.json says {real.checksum}"):
        workspace.connections.sequencer(workspace.era).commit(forged)


def test_summary_without_manifest_is_refused(workspace: Workspace) -> None:
    real = workspace.publish(GRID[0])
    workspace.manifest(GRID[0]).unlink()
    with pytest.raises(StateError, match="reported as published, but has no manifest"):
        workspace.connections.sequencer(workspace.era).commit(real)
    assert files(workspace.events) == {}


def test_truncated_parquet_file_is_not_committed(workspace: Workspace) -> None:
    real = workspace.publish(GRID[0])
    parquet = workspace.parquet(GRID[0])
    parquet.write_bytes(parquet.read_bytes()[:-1])
    message = re.escape(f"has {real.byte_size - 1} bytes, its manifest says {real.byte_size}")
    with pytest.raises(StateError, match=message):
        workspace.connections.sequencer(workspace.era).commit(real)
    assert files(workspace.events) == {}


def test_unchanged_partition_of_another_producer_is_committed(workspace: Workspace) -> None:
    workspace.publish(GRID[0])
    upgraded = workspace.of(allow_overwrite=True).but(run={"producer": dataclasses.replace(PRODUCER, version="v9")})
    same = upgraded.publish(GRID[0])
    assert (same.outcome, same.producer) == (Outcome.UNCHANGED, PRODUCER)
    assert upgraded.connections.sequencer(upgraded.era).commit(same).is_new
