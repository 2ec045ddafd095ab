"""Connections: what a job names is opened, what it lacks is told apart, and the catalog's are closed."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import ConfigError
from bronze.job.connections import Connections
from bronze.job.secrets import Secrets
from bronze.job.stop_signal import StopSignal
from bronze.storage.location import StorageLocation
from tests.bronze.conftest import GRID, Workspace

SECRETS = Secrets(dsn="postgresql://me:hunter2@db.invalid/catalog", endpoint="https://me:hunter3@pas.invalid/events")


def without_lake(workspace: Workspace) -> Connections:
    return Connections(dataclasses.replace(workspace.job, source=None), Secrets())


def test_published_partitions_are_found_without_lake(published: Workspace) -> None:
    connections = without_lake(published)
    assert connections.dataset().list_partitions(published.era) == GRID
    assert connections.sequencer(published.era).position().last == GRID[-1]
    assert connections.lineage_context().source_location == ""


@pytest.mark.parametrize("ask", [Connections.lake, Connections.copier, Connections.source])
def test_lake_of_job_without_one_is_refused(ask: Any, workspace: Workspace) -> None:
    with pytest.raises(ValueError, match="the job has no lake"):
        ask(without_lake(workspace))


@pytest.mark.parametrize(
    ("needs", "secrets", "missing"),
    [
        ("has_catalog", Secrets(endpoint=SECRETS.endpoint), "the connection string of the catalog"),
        ("has_endpoint", Secrets(dsn=SECRETS.dsn), "the URL of the delivery endpoint"),
    ],
)
def test_missing_secret_is_config_error(needs: str, secrets: Secrets, missing: str, workspace: Workspace) -> None:
    """Left out silently, a strict catalog would stop nothing."""
    job = workspace.but(chain={needs: True}).job
    with pytest.raises(ConfigError, match=f"was not given {missing}"):
        Connections(job, secrets)


def test_secrets_that_job_does_not_name_are_unused(workspace: Workspace) -> None:
    connections = Connections(workspace.job, SECRETS)
    assert connections.catalog() is None
    assert not connections.delivers


def test_each_thread_has_its_catalog(workspace: Workspace) -> None:
    with Connections(workspace.but(chain={"has_catalog": True}).job, SECRETS) as connections:
        mine = connections.catalog()
        others: list[object] = []
        thread = threading.Thread(target=lambda: others.append(connections.catalog()))
        thread.start()
        thread.join()
        assert mine is not None
        assert connections.catalog() is mine
        assert others[0] is not mine


def test_closed_connections_open_new_catalog(workspace: Workspace) -> None:
    connections = Connections(workspace.but(chain={"has_catalog": True}).job, SECRETS)
    before = connections.catalog()
    connections.close()
    connections.close()
    assert connections.catalog() is not before
    connections.close()


@pytest.mark.parametrize(
    ("chain", "delivers"),
    [({"has_endpoint": True}, True), ({"has_endpoint": False}, False), ({"has_endpoint": True, "events": None}, False)],
)
def test_delivery_needs_events_and_endpoint(chain: dict[str, Any], delivers: bool, workspace: Workspace) -> None:
    connections = Connections(workspace.but(chain=chain).job, SECRETS)
    assert connections.delivers is delivers
    if not delivers:
        with pytest.raises(ValueError, match="delivers no events"):
            connections.delivery(workspace.era)


def test_switched_off_parts_are_none(workspace: Workspace) -> None:
    connections = workspace.but(chain={"events": None, "checkpoint": None}).connections
    assert connections.event_log(workspace.era) is None
    assert connections.delivery_cursor(workspace.era) is None
    assert connections.checkpoint(workspace.era) is None
    assert [store.url for store in connections.stores()] == [str(workspace.data)]


def test_stores_are_listed_once(workspace: Workspace) -> None:
    both = workspace.but(chain={"checkpoint": workspace.job.chain.events})
    assert [store.url for store in both.connections.stores()] == [str(workspace.data), str(workspace.events)]


@pytest.mark.parametrize("prefix", ["", "bronze", "a/b/"])
def test_lineage_names_dataset_and_lake(prefix: str, workspace: Workspace) -> None:
    context = workspace.but(target={"prefix": prefix}).connections.lineage_context()
    root = f"file://{workspace.data}/"
    assert context.storage_root == (f"{root}{prefix.strip('/')}/" if prefix else root)
    assert context.source_location == workspace.lake.store.url


def test_copier_stops_when_requested(workspace: Workspace, tmp_path: Path) -> None:
    from bronze.errors import RunStoppedError

    location = StorageLocation(str(tmp_path / "control"))
    stopping = workspace.but(run={"stop": location})
    assert stopping.publish(GRID[0]).row_count == 10
    StopSignal(location).request()
    with pytest.raises(RunStoppedError):
        stopping.publish(GRID[1])


def test_connections_are_not_pickled(workspace: Workspace) -> None:
    import pickle

    with pytest.raises(TypeError):
        pickle.dumps(workspace.connections)
