"""The verifier is usable by somebody who has nothing but the dataset: no Beam, lake, catalog or configuration."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.bronze.conftest import GRID, Workspace

NOTEBOOK = """
import json, sys
from bronze.verify import verify_chain
from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import CheckpointFile
from bronze.dataset.dataset import Dataset
from bronze.partitioning.era import Era
from bronze.storage.local import LocalStore

data, events, state = map(LocalStore, sys.argv[1:])
era = Era(
    era_id="e1", version_label="v1", network="standalone", ledger_start=2, ledger_end=0, partition_size=10
)
found = verify_chain(
    era,
    Dataset(data, "bronze", "ledgers_lcm_raw"),
    log=EventLog(events, era),
    checkpoint=CheckpointFile(state, era, "", single=True),
)
print(json.dumps([found.problems, found.events, found.rows, sorted(sys.modules)]))
"""

#: What only the writer of a dataset needs; a name stands for everything below it too.
WRITERS = {
    "apache_beam", "psycopg2", "requests", "obstore", "boto3", "pydantic", "yaml",
    "bronze.lake", "bronze.ingest", "bronze.job", "bronze.catalog", "pipeline", "transforms",
}  # fmt: skip


def notebook(workspace: Workspace) -> tuple[list[str], int, int, list[str]]:
    """Problems, events, rows and loaded modules of a process of its own."""
    folders = [str(workspace.data), str(workspace.events), str(workspace.state)]
    command = [sys.executable, "-c", NOTEBOOK, *folders]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3])
    problems, events, rows, modules = json.loads(ran.stdout)
    return problems, events, rows, modules


def test_notebook_verifies_without_writer_modules(published: Workspace) -> None:
    problems, events, rows, modules = notebook(published)
    assert (problems, events, rows) == ([], 6, 60)
    assert [name for name in modules if any(name == one or name.startswith(f"{one}.") for one in WRITERS)] == []


def test_notebook_finds_damaged_file(published: Workspace) -> None:
    path = published.parquet(GRID[1])
    path.write_bytes(bytes(path.stat().st_size))
    (problem,) = notebook(published)[0]
    assert str(path) in problem
