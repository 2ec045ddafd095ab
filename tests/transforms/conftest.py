"""Shared by the tests of the graph's stages.

Helpers (plain functions):
    run         runs a graph on the local runner, one worker, in this process
    make_job    a `CopyJob` below a directory; its lake is only read by stages that encode
    summaries   partitions of ten ledgers that link to one another, as the encode stage reports them

Fixture:
    published   makes summaries whose manifests and parquet files lie at the job's destination
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from apache_beam.runners.portability.fn_api_runner import fn_runner
from apache_beam.testing import test_pipeline

from bronze.authenticity.policy import AuthenticityPolicy
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.job.connections import Connections
from bronze.job.secrets import Secrets
from bronze.job.spec import ChainSpec, CopyJob, DatasetSpec, LakeSpec, RunSpec
from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import VerifyLevel
from bronze.outcomes import Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from tests.bronze.conftest import changed

ERA = Era(era_id="e1", version_label="v1", network="net", ledger_start=100, ledger_end=999, partition_size=10)
OTHER = Era(era_id="e2", version_label="v1", network="net", ledger_start=1000, ledger_end=1999, partition_size=10)
PRODUCER = Producer("test", "v0", "unknown")


def run(graph: Callable[[Any], Any]) -> None:
    """Build and run a graph; raises what it raises, `assert_that` included."""
    with test_pipeline.TestPipeline(runner=fn_runner.FnApiRunner()) as pipeline:
        graph(pipeline)


def make_job(root: Path, *, layout: LakeLayout | None = None, **changes: Any) -> CopyJob:
    """A job whose locations all lie below `root`; `changes` as `tests.bronze.conftest.changed` takes them."""
    job = CopyJob(
        eras=(ERA, OTHER),
        source=LakeSpec(
            location=StorageLocation(str(root / "lake")),
            layout=layout or LakeLayout(),
            passphrase=None,
            verify=VerifyLevel.FULL,
            authenticity=AuthenticityPolicy(network="net", passphrase=None),
            max_file_bytes=1 << 24,
        ),
        target=DatasetSpec(
            location=StorageLocation(str(root / "data")), prefix="", table="ledgers_lcm_raw", compression="zstd"
        ),
        chain=ChainSpec(
            events=StorageLocation(str(root / "pas")),
            checkpoint=StorageLocation(str(root / "state")),
            copier_id="test",
            single_era=False,
        ),
        run=RunSpec(run_id="test", producer=PRODUCER, retry=RetryPolicy(2, 1)),
    )
    return changed(job, **changes)


def connect(job: CopyJob) -> Connections:
    """Connections of a job without secrets."""
    return Connections(job, Secrets())


def ledger_hash(ledger: int) -> str:
    """A hash for a ledger."""
    return sha256(str(ledger).encode()).hexdigest()


def summary(era: Era, start: int, *, previous: str | None = None) -> PartitionSummary:
    """The partition of ten ledgers that begins at `start`."""
    return PartitionSummary(
        chain=era.chain,
        partition=Partition(start, start + 9),
        outcome=Outcome.WRITTEN,
        first=start,
        last=start + 9,
        row_count=10,
        byte_size=4,
        checksum=f"sha256:{sha256(f'{era.chain} {start}'.encode()).hexdigest()}",
        previous_hash=previous or ledger_hash(start - 1),
        first_hash=ledger_hash(start),
        last_hash=ledger_hash(start + 9),
        storage_path=f"{era.chain}/ledgers_lcm_raw/range={start}-{start + 9}",
        producer=PRODUCER,
    )


def publish(job: CopyJob, made: PartitionSummary) -> PartitionSummary:
    """Lay the partition of `made` where the job publishes; its parquet file is none."""
    era, partition, dataset = job.era(made.chain), made.partition, connect(job).dataset()
    manifest = Manifest(
        partition=partition,
        network=era.network,
        era_id=era.era_id,
        version_label=era.version_label,
        table=dataset.table,
        checksum=made.checksum,
        row_count=made.row_count,
        byte_size=made.byte_size,
        producer=PRODUCER,
        created_at="2025-01-15T10:30:00Z",
        ledgers=LedgerLinks(
            first=made.first,
            last=made.last,
            previous_hash=made.previous_hash,
            first_hash=made.first_hash,
            last_hash=made.last_hash,
        ),
    )
    dataset.store.create(dataset.parquet_key(era, partition), b"rows")
    dataset.store.create(dataset.manifest_key(era, partition), manifest.to_bytes())
    return made


@pytest.fixture
def job(tmp_path: Path) -> CopyJob:
    """A job of two eras."""
    return make_job(tmp_path)


@pytest.fixture
def published(job: CopyJob) -> Callable[..., list[PartitionSummary]]:
    """``published(ERA, 100, 110, 120)``: partitions of the fixture `job` that are published."""

    def make(era: Era, *starts: int, **keys: Any) -> list[PartitionSummary]:
        return [publish(job, summary(era, start, **keys)) for start in starts]

    return make
