"""The graph of an audit gives the reports that one process gives, and stops when it is asked to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bronze.job.audit_spec import AuditSpec
from bronze.job.secrets import Secrets
from bronze.job.stop_signal import StopSignal
from bronze.storage.location import StorageLocation
from bronze.verify.finding import Level
from pipeline.launch.local_runner import LocalRunner
from pipeline.sample import write_sample_lake
from tests.bronze.conftest import GRID, OPTIONS, Workspace, copy, workspace_at
from transforms.verify import ReportFiles, VerifyPartitions


@pytest.fixture
def place(tmp_path: Path) -> Workspace:
    made = workspace_at(tmp_path, write_sample_lake(tmp_path / "lake", OPTIONS).root)
    copy(made)
    return made


def spec_of(at: Workspace) -> AuditSpec:
    target = at.job.target
    return AuditSpec(location=target.location, prefix=target.prefix, table=target.table, era=at.era, level=Level.ROWS)


def test_workers_report_what_one_process_reports(place: Workspace, tmp_path: Path) -> None:
    place.parquet(GRID[2]).write_bytes(b"PAR1" * 100)
    spec, files = spec_of(place), ReportFiles(StorageLocation(str(tmp_path / "control")), "reports")
    LocalRunner(Secrets(), "audit", workers=2).run(VerifyPartitions(spec, GRID, files))
    alone = spec.open()
    expected = [alone.check(partition) for partition in GRID]
    assert sorted(map(files.read, files.names()), key=lambda report: report.partition) == expected
    assert [bool(report.findings) for report in expected] == [one == GRID[2] for one in GRID]


def test_stop_leaves_partitions_unchecked(place: Workspace, tmp_path: Path) -> None:
    control = StorageLocation(str(tmp_path / "control"))
    StopSignal(control).request()
    files = ReportFiles(control, "reports")
    LocalRunner(Secrets(), "audit", workers=2).run(VerifyPartitions(spec_of(place), GRID, files))
    assert files.names() == []
