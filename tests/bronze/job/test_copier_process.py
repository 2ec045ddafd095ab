"""Copier processes: they copy as the process itself does, and a killed or silent one is an error, never a hang."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from bronze.errors import BronzeError, RunStoppedError, WorkerError
from bronze.job.connections import Connections
from bronze.job.copier_process import CopierProcess
from bronze.job.secrets import Secrets
from bronze.job.spec import CopyJob
from bronze.outcomes import PartitionSummary
from bronze.partitioning.partition import Partition
from bronze.waiting import stop_waits_when
from pipeline.launch.prepare import prepare
from pipeline.settings import load
from tests.e2e.conftest import Copier, LakeFiles, copier, own_environment, sample, sample_lakes  # noqa: F401

# ruff: noqa: F811 - fixtures are imported by name

PARTITION = Partition(8, 11)


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    """Eight ledgers."""
    return sample(first=8, ledgers=8)


@pytest.fixture
def job(lake: LakeFiles, copier: Callable[..., Copier]) -> CopyJob:
    """Copies two partitions of the lake."""
    copy = copier(lake.root, ledger_start=8, ledger_end=15, partition_size=4)
    return prepare(load(copy.config, {})).job


@pytest.fixture
def process(job: CopyJob) -> Iterator[CopierProcess]:
    made = CopierProcess(job)
    yield made
    made.close()


def files(job: CopyJob) -> list[int]:
    """The lake files of `PARTITION`."""
    assert job.source is not None
    layout = job.source.layout
    return sorted({layout.file_start(ledger) for ledger in range(PARTITION.start, PARTITION.end + 1)})


def dry_run(process: CopierProcess, job: CopyJob) -> PartitionSummary:
    return process.dry_run(job.eras[0], PARTITION, files(job))


def pid_of(process: CopierProcess) -> int:
    assert process.process_id is not None
    return process.process_id


def test_process_copies_as_caller_would(process: CopierProcess, job: CopyJob) -> None:
    own = Connections(job, Secrets()).copier()
    expected = own.dry_run(job.eras[0], PARTITION, files(job))
    own.close()
    assert dry_run(process, job) == expected
    assert pid_of(process) != os.getpid()


def test_catalog_and_endpoint_need_no_secrets(job: CopyJob) -> None:
    chain = replace(job.chain, has_catalog=True, has_endpoint=True)
    process = CopierProcess(replace(job, chain=chain))
    assert dry_run(process, job).row_count == 4
    process.close()


def test_errors_keep_type_and_message(lake: LakeFiles, process: CopierProcess, job: CopyJob) -> None:
    lake.put(10, b"no zstd")
    own = Connections(job, Secrets()).copier()
    with pytest.raises(BronzeError) as expected:
        own.dry_run(job.eras[0], PARTITION, files(job))
    own.close()
    with pytest.raises(type(expected.value)) as found:
        dry_run(process, job)
    assert str(found.value) == str(expected.value)
    lake.repair()
    assert dry_run(process, job).row_count == 4


def test_killed_process_is_started_again(process: CopierProcess, job: CopyJob) -> None:
    dry_run(process, job)
    os.kill(pid_of(process), signal.SIGKILL)
    with pytest.raises(WorkerError, match="killed by SIGKILL"):
        dry_run(process, job)
    assert dry_run(process, job).row_count == 4


def test_kill_in_the_middle_is_an_error(process: CopierProcess, job: CopyJob) -> None:
    dry_run(process, job)
    os.kill(pid_of(process), signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        copied = pool.submit(dry_run, process, job)
        os.kill(pid_of(process), signal.SIGKILL)
        with pytest.raises(WorkerError, match="killed by SIGKILL"):
            copied.result(30)


def test_stop_request_ends_silent_process(
    process: CopierProcess, job: CopyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bronze.job.copier_process._STOP_GRACE_S", 0.1)
    dry_run(process, job)
    stopped = pid_of(process)
    os.kill(stopped, signal.SIGSTOP)
    with stop_waits_when(lambda: True), pytest.raises(RunStoppedError, match="8-11 was not finished"):
        dry_run(process, job)
    assert not Path(f"/proc/{stopped}").exists()


def test_close_ends_process(process: CopierProcess, job: CopyJob) -> None:
    dry_run(process, job)
    closed = pid_of(process)
    process.close()
    assert process.process_id is None
    assert not Path(f"/proc/{closed}").exists()
