"""The encode stage: publishes partitions, names what fails under a tag of its own, tries again what may pass."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.transforms.window import GlobalWindow

from bronze.errors import FrameError, StoreError, is_transient
from bronze.ingest.copier import PartitionCopier
from bronze.job.build import this_build
from bronze.job.spec import CopyJob
from bronze.outcomes import Outcome, PartitionFailure, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from pipeline.sample import SampleOptions, write_sample_lake
from tests.bronze.conftest import changed
from tests.support.gcs_server import gcs_bucket, gcs_server
from tests.transforms.conftest import connect, make_job
from transforms.elements import BatchFiles, PartitionKey
from transforms.encode import FAILED, EncodePartition

__all__ = ["gcs_bucket", "gcs_server"]

ERA = Era(era_id="e1", version_label="v1", network="standalone", ledger_start=8, ledger_end=23, partition_size=8)
ERA_OF_FOUR = Era(
    era_id="e1", version_label="v1", network="standalone", ledger_start=8, ledger_end=23, partition_size=4
)


@pytest.fixture
def job(tmp_path: Path) -> CopyJob:
    options = SampleOptions(first=8, ledgers=16, ledgers_per_file=4, transactions=1)
    write_sample_lake(tmp_path / "lake", options)
    return make_job(tmp_path, eras=(ERA,), layout=options.layout)


def publish(job: CopyJob, start: int, end: int, *spans: BatchFiles) -> list[Any]:
    stage = EncodePartition(job)
    stage.setup()
    return list(stage.process((PartitionKey(ERA.chain, Partition(start, end)), spans)))


def test_partition_is_published_from_unordered_files(job: CopyJob) -> None:
    ((chain, found),) = publish(job, 8, 15, BatchFiles(12, 12, 4), BatchFiles(8, 8, 4))
    assert (chain, found.outcome, found.row_count, found.files) == (ERA.chain, Outcome.WRITTEN, 8, 2)
    assert connect(job).dataset().find_manifest(ERA, Partition(8, 15)) is not None


def test_retried_bundle_changes_nothing(job: CopyJob) -> None:
    ((_, first),) = publish(job, 8, 15, BatchFiles(8, 12, 4))
    ((_, again),) = publish(job, 8, 15, BatchFiles(8, 12, 4))
    assert (again.outcome, again.checksum) == (Outcome.SKIPPED, first.checksum)


@pytest.mark.parametrize(
    ("spans", "says"),
    [
        pytest.param([BatchFiles(8, 8, 4)], "was given 1 lake files, expected the 2 from 8", id="one is missing"),
        pytest.param([BatchFiles(8, 16, 4)], "was given 3 lake files, expected the 2", id="one too many"),
        pytest.param([BatchFiles(8, 12, 4), BatchFiles(12, 12, 4)], "was given 3 lake files", id="one twice"),
    ],
)
def test_partition_with_wrong_files_fails(spans: list[BatchFiles], says: str, job: CopyJob) -> None:
    (failed,) = publish(job, 8, 15, *spans)
    assert failed.tag == FAILED
    assert says in failed.value.message
    assert connect(job).dataset().find_manifest(ERA, Partition(8, 15)) is None


@pytest.mark.parametrize(
    ("error", "kind", "calls"),
    [
        pytest.param(FrameError("truncated"), "FrameError", 1, id="bad data: trying again cannot help"),
        pytest.param(StoreError("try again"), "StoreError", 3, id="a store"),
        pytest.param(OSError(5, "Input/output error"), "OSError", 3, id="a disk"),
        pytest.param(ZeroDivisionError("a bug"), "ZeroDivisionError", 1, id="a mistake of ours"),
        pytest.param(MemoryError("4 GB"), "MemoryError", 1, id="no memory"),
    ],
)
def test_failure_is_reported_and_stops_no_other(
    error: Exception, kind: str, calls: int, tmp_path: Path, job: CopyJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[Partition] = []
    real: Callable[..., PartitionSummary] = PartitionCopier.copy

    def publisher(self: PartitionCopier, era: Era, partition: Partition, files: Any) -> PartitionSummary:
        if partition.start == 8:
            tried.append(partition)
            raise error
        return real(self, era, partition, files)

    monkeypatch.setattr(PartitionCopier, "copy", publisher)
    retrying = make_job(tmp_path, eras=(ERA,), layout=job.source.layout, run={"retry": RetryPolicy(3, 1)})
    stage = EncodePartition(retrying)
    stage.setup()

    (failed,) = stage.process((PartitionKey(ERA.chain, Partition(8, 15)), [BatchFiles(8, 12, 4)]))
    ((_, good),) = stage.process((PartitionKey(ERA.chain, Partition(16, 23)), [BatchFiles(16, 20, 4)]))

    assert isinstance(failed, beam.pvalue.TaggedOutput)
    assert failed.value == PartitionFailure(
        chain=ERA.chain,
        partition=Partition(8, 15),
        error_type=kind,
        message=str(error),
        may_pass=is_transient(error),
    )
    assert len(tried) == calls
    assert good.outcome is Outcome.WRITTEN


def test_dry_run_writes_nothing(tmp_path: Path, job: CopyJob) -> None:
    dry = make_job(tmp_path, eras=(ERA,), layout=job.source.layout, run={"dry_run": True})
    ((_, measured),) = publish(dry, 8, 15, BatchFiles(8, 12, 4))
    assert measured.outcome is Outcome.DRY_RUN
    assert not (tmp_path / "data").exists()
    ((_, written),) = publish(job, 8, 15, BatchFiles(8, 12, 4))
    assert (measured.checksum, measured.byte_size) == (written.checksum, written.byte_size)


class RemoteStage:
    """A job to a bucket, and the partitions it publishes one behind the other."""

    def __init__(self, job: CopyJob) -> None:
        self.job = job
        self.stage = EncodePartition(job)
        self.stage.setup()
        self.stage.start_bundle()

    def process(self, start: int) -> list[Any]:
        return list(
            self.stage.process((PartitionKey(ERA.chain, Partition(start, start + 3)), [BatchFiles(start, start, 4)]))
        )

    def finish(self) -> list[Any]:
        return list(self.stage.finish_bundle())

    def published(self, start: int) -> bool:
        return connect(self.job).dataset().find_manifest(ERA_OF_FOUR, Partition(start, start + 3)) is not None


@pytest.fixture
def remote(tmp_path: Path, job: CopyJob, gcs_bucket: str) -> Iterator[RemoteStage]:
    location = StorageLocation(f"gs://{gcs_bucket}/bronze")
    made = RemoteStage(
        make_job(
            tmp_path,
            eras=(ERA_OF_FOUR,),
            layout=job.source.layout,
            target={"location": location},
            run={"retry": RetryPolicy(3, 1)},
        )
    )
    yield made
    made.stage.teardown()


def test_remote_publish_overlaps_next_encode(remote: RemoteStage) -> None:
    assert remote.process(8) == []
    ((_, first),) = remote.process(12)
    assert (first.partition.start, first.outcome) == (8, Outcome.WRITTEN)
    assert remote.published(8)
    (last,) = remote.finish()
    assert (last.value[1].partition.start, last.value[1].outcome) == (12, Outcome.WRITTEN)
    assert last.timestamp == GlobalWindow().max_timestamp()
    assert remote.published(12)
    assert remote.finish() == []


def test_remote_partition_is_published_during_next_encode(remote: RemoteStage, monkeypatch: pytest.MonkeyPatch) -> None:
    real, begun = PartitionCopier.start, threading.Event()

    def begin(self: PartitionCopier, era: Era, partition: Partition, files: Any) -> Callable[[], PartitionSummary]:
        finish = real(self, era, partition, files)
        if partition.start == 12:
            begun.set()
            return finish

        def waiting() -> PartitionSummary:
            assert begun.wait(20), "it was waited for before the next one was encoded"
            return finish()

        return waiting

    monkeypatch.setattr(PartitionCopier, "start", begin)
    assert remote.process(8) == []
    ((_, first),) = remote.process(12)
    assert first.outcome is Outcome.WRITTEN


def test_remote_partition_without_thread_is_published_later(remote: RemoteStage) -> None:
    assert remote.stage._publish_pool is not None
    remote.stage._publish_pool.shutdown()
    assert remote.process(8) == []
    assert not remote.published(8)
    (last,) = remote.finish()
    assert last.value[1].outcome is Outcome.WRITTEN


def test_remote_failure_keeps_no_buffers(remote: RemoteStage, monkeypatch: pytest.MonkeyPatch) -> None:
    class Buffer:
        pass

    kept: list[weakref.ref[Buffer]] = []

    def begin(*_: Any) -> Callable[[], PartitionSummary]:
        buffer = Buffer()
        kept.append(weakref.ref(buffer))
        try:
            raise FrameError("truncated")
        except FrameError as error:
            raise FrameError(f"{error}, in the object") from error

    monkeypatch.setattr(PartitionCopier, "start", begin)
    assert remote.process(8) == []
    assert kept[0]() is None
    (failed,) = remote.finish()
    assert failed.value.value.message == "truncated, in the object"


def test_failed_remote_publish_is_retried_in_turn(remote: RemoteStage, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = PartitionCopier.start, dict.fromkeys((8, 12, 16), 0)

    def begin(self: PartitionCopier, era: Era, partition: Partition, files: Any) -> Callable[[], PartitionSummary]:
        calls[partition.start] += 1
        if partition.start == 8:
            raise FrameError("truncated")
        finish = real(self, era, partition, files)

        def failing() -> PartitionSummary:
            if calls[partition.start] < 3:
                raise StoreError("try again")
            return finish()

        return failing if partition.start == 12 else finish

    monkeypatch.setattr(PartitionCopier, "start", begin)
    assert remote.process(8) == []
    (failed,) = remote.process(12)
    ((_, retried),) = remote.process(16)
    (last,) = remote.finish()

    assert failed.value == PartitionFailure.of(ERA.chain, Partition(8, 11), FrameError("truncated"))
    assert (retried.partition.start, retried.outcome, last.value[1].partition.start) == (12, Outcome.WRITTEN, 16)
    assert calls == {8: 1, 12: 3, 16: 1}
    assert [remote.published(start) for start in (8, 12, 16)] == [False, True, True]


def test_failed_last_remote_partition_is_tagged(remote: RemoteStage) -> None:
    damaged = Path(remote.job.source.location.path) / remote.job.source.layout.key(8)
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert remote.process(8) == []
    (failed,) = remote.finish()
    assert (failed.tag, failed.value.value.error_type) == (FAILED, "FrameError")
    assert failed.value.windows == (GlobalWindow(),)


def test_failed_bundle_leaves_nothing_to_next(remote: RemoteStage) -> None:
    assert remote.process(8) == []
    remote.stage.start_bundle()
    assert remote.process(8) == []  # as the runner tries the bundle again
    ((_, again),) = remote.process(12)
    (last,) = remote.finish()
    assert (again.partition.start, last.value[1].partition.start) == (8, 12)
    assert again.outcome in (Outcome.SKIPPED, Outcome.UNCHANGED)
    assert remote.published(8)


def test_worker_of_another_build_writes_nothing(job: CopyJob, tmp_path: Path) -> None:
    """On another machine: the partition fails and names both builds; an exception would start the worker again."""
    launched = changed(job, run={"build": "bronze-copier v9.9.9"})
    (failed,) = publish(launched, 8, 15, BatchFiles(8, 12, 4))
    assert (failed.tag, failed.value.error_type) == (FAILED, "ConfigError")
    assert all(build in failed.value.message for build in ("bronze-copier v9.9.9", this_build()))
    assert not (tmp_path / "data").exists()
