"""Where a chain stands when its event files and its head are gone: by the catalog, as far as it can be believed."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest

from bronze.catalog.lineage import RecordedPartition
from bronze.commit.chain_state import ChainState
from bronze.commit.downstream import Downstream
from bronze.errors import CatalogUnavailableError, StateError
from bronze.partitioning.partition import Partition
from tests.bronze.commit.test_catalog_head import rows
from tests.bronze.conftest import GRID, Workspace, hex_hash

HEAD = f"sha256:{hex_hash('the last event')}"


class RecordingCatalog:
    """A catalog that says what a test wants, or that does not answer."""

    def __init__(self, recorded: dict[Partition, RecordedPartition] | None) -> None:
        self._recorded = recorded

    def last_event(self, *_: object) -> tuple[Partition, str]:
        if self._recorded is None:
            raise CatalogUnavailableError("no answer")
        return GRID[5], HEAD

    def recorded(self, *_: object) -> dict[Partition, RecordedPartition]:
        assert self._recorded is not None
        return self._recorded


def state(workspace: Workspace, recorded: dict[Partition, RecordedPartition] | None) -> ChainState:
    catalog: Any = RecordingCatalog(recorded)
    downstream = Downstream(catalog=catalog, lineage_context=workspace.connections.lineage_context())
    return ChainState(workspace.era, workspace.log, workspace.checkpoint, downstream, workspace.dataset)


@pytest.fixture
def lost(published: Workspace) -> Workspace:
    """Without event files, chain heads and checkpoint."""
    shutil.rmtree(published.events)
    (published.state / "checkpoint.json").unlink()
    return published


def test_complete_catalog_names_the_position(lost: Workspace) -> None:
    position = state(lost, rows(lost)).read_position()
    assert (position.next_ledger, position.head) == (62, HEAD)


def test_stale_catalog_is_not_believed(lost: Workspace) -> None:
    stale = rows(lost)
    del stale[GRID[2]]
    with pytest.raises(StateError, match=r"the catalog cannot say where it ended: partition 22-31"):
        state(lost, stale).read_position()


def test_chain_that_began_needs_the_catalog(lost: Workspace) -> None:
    assert state(lost, None).read_position().next_ledger == 2  # nothing says that it began
    document = dict(zip(("network", "era_id", "version_label"), lost.era.chain.split("/"), strict=True))
    (lost.state / "checkpoint.json").write_text(json.dumps(document | {"last_committed_ledger": 61}))
    with pytest.raises(CatalogUnavailableError):
        state(lost, None).read_position()
