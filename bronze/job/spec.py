"""The serializable specification of a run, shipped to every worker. Holds no connection and no secret."""

from __future__ import annotations

from dataclasses import dataclass

from bronze.authenticity.policy import AuthenticityPolicy
from bronze.authenticity.quorum import AttestationPolicy
from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeSpec:
    """The lake that is read, as it was opened when the run was planned.

    Attributes:
        passphrase: the network's, as the lake states it; None when it states none.
        verify: how much of each ledger is recomputed.
        authenticity: which proofs that the ledgers are the network's own are checked.
        max_file_bytes: the largest size that one lake file may decode to.
        read_ahead: lake files that each worker requests at once; 0: chosen.
    """

    location: StorageLocation
    layout: LakeLayout
    passphrase: str | None
    verify: VerifyLevel
    authenticity: AuthenticityPolicy
    max_file_bytes: int
    read_ahead: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetSpec:
    """The dataset that partitions are published to.

    Attributes:
        prefix: key prefix of all partitions below the root of `location`.
        table: the table's name.
        compression: of the parquet files: ``zstd``, ``snappy`` or ``none``.
    """

    location: StorageLocation
    prefix: str
    table: str
    compression: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveSpec:
    """The history archives that partitions are compared with.

    Attributes:
        urls: at least one.
        needed: how many of them have to agree, at least 1.
        passphrase: of the network; None when it is not known.
    """

    urls: tuple[str, ...]
    needed: int
    passphrase: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainSpec:
    """What is kept of each era's chain, and who is told of its commits.

    Attributes:
        events: where the event files are; None when no audit stream is written.
        checkpoint: where the checkpoints are; None when they are switched off.
        copier_id: what checkpoints call this copier.
        single_era: whether one era is configured in all, which decides the checkpoint's name.
        has_catalog, has_endpoint: whether the run has a catalog, and an endpoint for its events. Their addresses are
            secrets, so a process that finds none must fail instead of leaving them out.
        dsn_secret, endpoint_secret: versions of secrets in Secret Manager that hold these addresses; empty where
            workers get them otherwise.
        catalog_namespace: what the catalog calls this deployment.
        catalog_strict, delivery_strict: whether a failure of the catalog, or of the delivery, stops the run.
        attestation: who has to stand behind the ledgers; None when nobody's attestation is asked for.
        archives: the history archives that are asked; None without any.
    """

    events: StorageLocation | None
    checkpoint: StorageLocation | None
    copier_id: str
    single_era: bool
    has_catalog: bool = False
    has_endpoint: bool = False
    dsn_secret: str = ""
    endpoint_secret: str = ""
    catalog_namespace: str = ""
    catalog_strict: bool = False
    delivery_strict: bool = False
    attestation: AttestationPolicy | None = None
    archives: ArchiveSpec | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPartition:
    """A partition that is to be made again: in its chain but not in the dataset, or named by the operator.

    Attributes:
        checksum: as the chain states it; empty when it states none.
    """

    chain: str
    partition: Partition
    checksum: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSpec:
    """How the run works.

    Attributes:
        run_id: names the run among those of one process; any text.
        producer: who makes the partitions, for manifests and events.
        retry: for transient failures.
        outage_limit_s: seconds that a store that cannot be reached is waited for; 0: not at all.
        threads: threads that work on one partition, at least 1.
        stop: where the request to stop appears (`StopSignal`); None when the run cannot be stopped.
        dry_run: read, verify and encode; write nothing.
        in_processes: whether each worker copies in a process of its own (`bronze.job.copier_process`).
        missing: partitions that are in a chain but not in the dataset.
        again: partitions that are to be made anew with the content that is stated of them, published or not.
        is_exclusive: whether locks keep every other run away from the chains until this one ends.
        build: what workers on other machines must be (`bronze.job.build`); empty where they are part of the launcher.
    """

    run_id: str
    producer: Producer
    retry: RetryPolicy
    outage_limit_s: float = 0.0
    threads: int = 1
    stop: StorageLocation | None = None
    dry_run: bool = False
    in_processes: bool = False
    missing: tuple[MissingPartition, ...] = ()
    again: tuple[MissingPartition, ...] = ()
    is_exclusive: bool = False
    build: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyJob:
    """One run: what it reads, writes and keeps, and how it works.

    Attributes:
        eras: the eras that are copied.
        source: None for commands that work on what was published and need no lake.
    """

    eras: tuple[Era, ...]
    source: LakeSpec | None
    target: DatasetSpec
    chain: ChainSpec
    run: RunSpec

    def era(self, chain: str) -> Era:
        """The era whose chain is `chain` (``network/era_id/version_label``).

        Raises:
            KeyError: the job has no such era.
        """
        for era in self.eras:
            if era.chain == chain:
                return era
        raise KeyError(chain)
