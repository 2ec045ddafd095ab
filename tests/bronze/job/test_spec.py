"""The job: small, picklable, without connections and secrets."""

from __future__ import annotations

import dataclasses
import pickle
from pathlib import Path
from typing import Any

import pytest

from bronze.job.spec import CopyJob
from tests.bronze.conftest import Workspace, era


def values_in(value: Any) -> list[Any]:
    """Every value that is in a dataclass or tuple, at any depth."""
    if dataclasses.is_dataclass(value):
        return [inner for field in dataclasses.fields(value) for inner in values_in(getattr(value, field.name))]
    return [inner for item in value for inner in values_in(item)] if isinstance(value, tuple) else [value]


def test_job_survives_pickling(workspace: Workspace) -> None:
    pickled = pickle.dumps(workspace.job)
    assert pickle.loads(pickled) == workspace.job
    assert len(pickled) < 4096


def test_job_is_plain_data(workspace: Workspace) -> None:
    assert {type(value) for value in values_in(workspace.job)} <= {str, int, float, bool, type(None)} | {
        type(workspace.job.source.verify),  # type: ignore[union-attr]
        type(workspace.job.source.authenticity.events),  # type: ignore[union-attr]
    }


def test_job_without_lake_survives_pickling(workspace: Workspace) -> None:
    job = dataclasses.replace(workspace.job, source=None)
    assert pickle.loads(pickle.dumps(job)) == job


def test_era_is_found_by_chain(workspace: Workspace) -> None:
    second = era(era_id="e2")
    job: CopyJob = workspace.but(eras=(workspace.era, second)).job
    assert job.era(second.chain) is second


def test_unknown_chain_is_key_error(workspace: Workspace) -> None:
    with pytest.raises(KeyError, match="net/none/v1"):
        workspace.job.era("net/none/v1")


def test_specs_take_no_positional_arguments(workspace: Workspace) -> None:
    for part in (workspace.job, workspace.job.source, workspace.job.target, workspace.job.chain, workspace.job.run):
        assert part is not None
        with pytest.raises(TypeError, match="positional"):
            type(part)(Path("/"))
