"""Shared by the tests of the lower floor.

Fixtures:
    shared      the directory ../shared with samples of the older copier; skips where there is none
    chain       62 sample ledgers, 2 to 63, of every kind; a list of `SampleLedger`
    lake_of     makes (once a session) the lake of these ledgers with a K, a P and an extension
    place       a `Place`: a job from that lake (K = 1) to a directory of the test's own, nothing published
    published   a `Place` whose six whole partitions 2-11 .. 52-61 are published and committed

Builders (plain functions): `era`, `summary`, `lay`, `hex_hash`, `copy`.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.event_log import EventLog
from bronze.authenticity.policy import AuthenticityPolicy
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.position import ChainPosition
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.job.connections import Connections
from bronze.job.secrets import Secrets
from bronze.job.spec import ChainSpec, CopyJob, DatasetSpec, LakeSpec, RunSpec
from bronze.lake.lake import Lake
from bronze.ledger.close_meta import VerifyLevel
from bronze.outcomes import CommittedPartition, Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.retry import RetryPolicy
from bronze.storage import location as locations
from bronze.storage.local import LocalStore
from bronze.verify.era_audit import EraAudit
from bronze.verify.verifier import verify_chain
from pipeline.sample import SampleLedger, SampleOptions, write_sample_lake

pytest.register_assert_rewrite("tests.bronze.storage.store_suite")

SHARED = Path(__file__).parents[2].parent / "shared"
PRODUCER = Producer("bronze-copier", "v1.2.3", "abc123")
#: Ledgers 2 to 63: one whole file when K is 64.
OPTIONS = SampleOptions(first=2, ledgers=62, transactions=3)
ERA = Era(era_id="e1", version_label="v1", network="standalone", ledger_start=2, ledger_end=0, partition_size=10)
#: The era's whole partitions in the sample lake.
GRID = [Partition(start, start + 9) for start in range(2, 62, 10)]


def era(**changes: Any) -> Era:
    """The tests' era with some fields changed."""
    return dataclasses.replace(ERA, **changes)


def hex_hash(what: object) -> str:
    """A hash in hex that follows from `what`."""
    return hashlib.sha256(str(what).encode()).hexdigest()


def summary(start: int, end: int, content: str = "a", *, of: Era = ERA, **changes: Any) -> PartitionSummary:
    """The summary of a partition that is nowhere published; other `content` gives another checksum."""
    made = PartitionSummary(
        chain=of.chain,
        partition=Partition(start, end),
        outcome=Outcome.WRITTEN,
        first=max(start, 2),
        last=end,
        row_count=end - max(start, 2) + 1,
        byte_size=1000,
        checksum=f"sha256:{hex_hash((start, end, content))}",
        previous_hash=hex_hash(start - 1),
        first_hash=hex_hash(start),
        last_hash=hex_hash(end),
        storage_path=f"{of.chain}/{PRIMARY_TABLE}/range={start}-{end}",
        producer=PRODUCER,
    )
    return dataclasses.replace(made, **changes)


def lay(dataset: Dataset, of: Era, made: PartitionSummary) -> None:
    """Make the partition of `made` exist as it says; its parquet file holds zeros."""
    partition = made.partition
    links = LedgerLinks(
        first=made.first,
        last=made.last,
        previous_hash=made.previous_hash,
        first_hash=made.first_hash,
        last_hash=made.last_hash,
    )
    found = dataset.find_manifest(of, partition, check_file=False)
    if found is not None and (found.checksum, found.ledgers or links) == (made.checksum, links):
        return
    manifest = Manifest(
        partition=partition,
        network=of.network,
        era_id=of.era_id,
        version_label=of.version_label,
        table=dataset.table,
        checksum=made.checksum,
        row_count=made.row_count,
        byte_size=made.byte_size,
        producer=made.producer,
        created_at="2026-01-01T00:00:00Z",
        ledgers=links,
        authenticity=made.authenticity,
    )
    dataset.store.replace(dataset.parquet_key(of, partition), bytes(made.byte_size))
    dataset.store.replace(dataset.manifest_key(of, partition), manifest.to_bytes())


class LayingSequencer(Sequencer):
    """Publishes what it commits, unless it is published: for summaries that `summary` made up."""

    def commit(self, summary: PartitionSummary, position: ChainPosition | None = None) -> CommittedPartition:
        lay(self._dataset, self._era, summary)
        return super().commit(summary, position)


def changed(job: CopyJob, *, eras: tuple[Era, ...] | None = None, **parts: dict[str, Any]) -> CopyJob:
    """The job with some fields of its parts changed: ``changed(job, chain={"events": None})``."""
    made = {name: dataclasses.replace(getattr(job, name), **fields) for name, fields in parts.items()}
    return dataclasses.replace(job, eras=eras or job.eras, **made)


@dataclass(frozen=True)
class Workspace:
    """A job and the directories it works in."""

    job: CopyJob

    @property
    def connections(self) -> Connections:
        return Connections(self.job, Secrets())

    @property
    def era(self) -> Era:
        return self.job.eras[0]

    @property
    def lake(self) -> Lake:
        return self.connections.lake()

    @property
    def dataset(self) -> Dataset:
        return self.connections.dataset()

    @property
    def data(self) -> Path:
        return Path(self.job.target.location.path)

    @property
    def events(self) -> Path:
        assert self.job.chain.events
        return Path(self.job.chain.events.path)

    @property
    def state(self) -> Path:
        assert self.job.chain.checkpoint
        return Path(self.job.chain.checkpoint.path)

    @property
    def log(self) -> EventLog:
        return EventLog(LocalStore(self.events), self.era)

    @property
    def checkpoint(self) -> CheckpointFile:
        chain = self.job.chain
        return CheckpointFile(LocalStore(self.state), self.era, chain.copier_id, single=chain.single_era)

    def but(self, **changes: Any) -> Workspace:
        """The same workspace, the job changed as `changed` says."""
        return Workspace(changed(self.job, **changes))

    def of(self, **changes: Any) -> Workspace:
        """The same workspace, some fields of the era changed."""
        return self.but(eras=(dataclasses.replace(self.era, **changes),))

    def sequencer(self, **changes: Any) -> Sequencer:
        at, of = self.of(**changes), self.of(**changes).era
        return LayingSequencer(
            of,
            at.dataset,
            PRODUCER,
            events=at.connections.event_log(of),
            checkpoint=at.connections.checkpoint(of),
            downstream=at.connections.downstream(),
        )

    def publish(self, partition: Partition) -> PartitionSummary:
        files = self.lake.file_starts(partition.start, partition.end)
        return self.connections.copier().copy(self.era, partition, files)

    def parquet(self, partition: Partition) -> Path:
        return self.data / self.dataset.parquet_key(self.era, partition)

    def manifest(self, partition: Partition) -> Path:
        return self.data / self.dataset.manifest_key(self.era, partition)

    def audit(self) -> EraAudit:
        return verify_chain(
            self.era,
            self.dataset,
            log=self.connections.event_log(self.era),
            checkpoint=self.connections.checkpoint(self.era),
        )


def copy(workspace: Workspace, partitions: Iterable[Partition] = GRID) -> list[CommittedPartition]:
    """Publish and commit the partitions one after the other."""
    sequencer = workspace.sequencer()
    return [sequencer.commit(workspace.publish(partition)) for partition in partitions]


def files(root: Path) -> dict[str, bytes]:
    """Every file below `root`, hidden and temporary ones too."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def workspace_at(root: Path, lake: Path, options: SampleOptions = OPTIONS, **changes: Any) -> Workspace:
    """A job from the lake at `lake` to directories below `root`."""
    job = CopyJob(
        eras=(ERA,),
        source=LakeSpec(
            location=locations.StorageLocation(str(lake)),
            layout=options.layout,
            passphrase=options.passphrase,
            verify=VerifyLevel.FULL,
            authenticity=AuthenticityPolicy(network="standalone", passphrase=options.passphrase),
            max_file_bytes=1 << 26,
        ),
        target=DatasetSpec(
            location=locations.StorageLocation(str(root / "data")),
            prefix="bronze/",
            table=PRIMARY_TABLE,
            compression="zstd",
        ),
        chain=ChainSpec(
            events=locations.StorageLocation(str(root / "events")),
            checkpoint=locations.StorageLocation(str(root / "state")),
            copier_id="test-copier",
            single_era=True,
        ),
        run=RunSpec(run_id="test", producer=PRODUCER, retry=RetryPolicy(1, 1)),
    )
    return Workspace(changed(job, **changes))


@pytest.fixture(scope="session")
def shared() -> Path:
    if not SHARED.is_dir():
        pytest.skip(f"no shared material at {SHARED}")
    return SHARED


@pytest.fixture(scope="session")
def chain() -> list[SampleLedger]:
    return list(OPTIONS.chain())


@pytest.fixture(scope="session")
def lake_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    root = tmp_path_factory.mktemp("lakes")

    @functools.cache
    def make(k: int = 1, p: int = 64, extension: str = "zst") -> Path:
        options = dataclasses.replace(OPTIONS, ledgers_per_file=k, files_per_directory=p, extension=extension)
        return write_sample_lake(root / f"{k}-{p}-{extension}", options).root

    return make


@pytest.fixture
def workspace(tmp_path: Path, lake_of: Callable[..., Path]) -> Workspace:
    return workspace_at(tmp_path, lake_of())


@pytest.fixture(scope="session")
def _published_once(tmp_path_factory: pytest.TempPathFactory, lake_of: Callable[..., Path]) -> Path:
    root = tmp_path_factory.mktemp("published")
    copy(workspace_at(root, lake_of()))
    return root


@pytest.fixture
def published(tmp_path: Path, lake_of: Callable[..., Path], _published_once: Path) -> Workspace:
    shutil.copytree(_published_once, tmp_path, dirs_exist_ok=True)
    return workspace_at(tmp_path, lake_of())
