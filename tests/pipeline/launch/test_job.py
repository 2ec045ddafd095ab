"""From settings to a job: nothing of it is a secret, and no command leaves one in the environment."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from apache_beam.internal import pickler

from pipeline.launch.job import make_secrets
from pipeline.launch.prepare import connect_without_lake, prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes  # noqa: F401
from transforms.graph import CopyPartitions
from transforms.outcome_files import OutcomeFiles

# ruff: noqa: F811 - fixtures are imported by name

#: Nobody listens there: a connection is refused at once.
DSN = "postgresql://me:hunter2@127.0.0.1:1/catalog"
ENDPOINT = "http://127.0.0.1:1/events?token=hunter3"


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """A copy whose catalog and endpoint, neither of them strict, are away."""
    made = copier(sample(first=8, ledgers=8).root, ledger_start=8, ledger_end=15, partition_size=4)
    made.settings["catalog"] = {"postgres_dsn": DSN}
    made.settings["pas"]["endpoint"] = ENDPOINT
    made.settings["perf"]["retry_attempts"] = 1
    return made


def test_job_and_graph_hold_no_secret(copy: Copier, tmp_path: Path) -> None:
    with prepare(load(copy.config, {})).connections as connections:
        job = connections.job
        graph = CopyPartitions(job, [], OutcomeFiles(job.target.location, "wave-0"))
        shown = [repr(job), repr(connections.secrets), repr(pickle.dumps(job)), repr(pickler.dumps(graph))]
    assert (job.chain.has_catalog, job.chain.has_endpoint) == (True, True)
    assert [text for text in shown if "hunter" in text] == []


def test_disabled_audit_stream_has_no_endpoint(copy: Copier) -> None:
    copy.settings["pas"]["enabled"] = False
    settings = load(copy.config, {})
    assert make_secrets(settings).endpoint == ""
    assert make_secrets(settings).dsn == DSN
    with connect_without_lake(settings) as connections:
        assert not connections.job.chain.has_endpoint


def test_job_without_lake_has_no_source(copy: Copier) -> None:
    copy.settings["source"]["local_path"] = "/nowhere"
    with connect_without_lake(load(copy.config, {})) as connections:
        assert connections.job.source is None
        assert connections.job.eras[0].ledger_end == 15


@pytest.mark.parametrize(
    ("command", "status"), [("run", 5), ("plan", 0), ("verify", 0), ("deliver", 5), ("repair", 0), ("clean", 0)]
)
def test_commands_leave_environment_unchanged(command: str, status: int, copy: Copier) -> None:
    assert copy.run().status == 5  # neither the catalog nor the endpoint can be reached
    before = dict(os.environ)
    assert copy.run(command).status == status
    assert dict(os.environ) == before
