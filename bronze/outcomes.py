"""What each stage reports of a partition: published, failed, committed or pending. Never ledger bytes.

These values leave the workers as JSON (`transforms.elements`), so their fields are plain values, enumerations and other
frozen dataclasses.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bronze.authenticity.findings import PartitionAuthenticity
from bronze.errors import RunStoppedError, is_transient, stops_run
from bronze.partitioning.partition import Partition
from bronze.producer import Producer


class Outcome(enum.StrEnum):
    """What was done for a partition."""

    #: Encoded and published by this run.
    WRITTEN = "written"
    #: Encoded; the same bytes were published already.
    UNCHANGED = "unchanged"
    #: Encoded; other bytes that were published have been replaced (``allow_overwrite``).
    REPLACED = "replaced"
    #: Not read: its manifest exists.
    SKIPPED = "skipped"
    #: Encoded by a dry run, not published.
    DRY_RUN = "measured"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSummary:
    """A published partition, or one that a dry run encoded.

    Attributes:
        chain: ``network/era_id/version_label``.
        partition: the partition as named.
        first, last: the ledgers it holds, inclusive (ledgers 0 and 1 do not exist).
        row_count, byte_size, checksum: of the parquet file; the checksum is ``sha256:`` and hex.
        previous_hash, first_hash, last_hash: ledger hashes in hex; `previous_hash` is the hash before `first`.
        storage_path: the partition's directory without the store's prefix.
        producer: who made the file, as its manifest says.
        authenticity: what was proven of its ledgers, as its manifest says; None when the manifest says nothing.
        raw_bytes: bytes of close metas that were read; 0 when it was skipped.
        files: lake files that were read; 0 when it was skipped.
    """

    chain: str
    partition: Partition
    outcome: Outcome
    first: int
    last: int
    row_count: int
    byte_size: int
    checksum: str
    previous_hash: str
    first_hash: str
    last_hash: str
    storage_path: str
    producer: Producer
    authenticity: PartitionAuthenticity | None = None
    raw_bytes: int = 0
    files: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionFailure:
    """A partition that could not be published, or that its chain refused.

    Attributes:
        chain: ``network/era_id/version_label``.
        error_type: class name of the error, for people to read.
        message: names the object, the ledger and both values.
        published: whether the partition is published (its chain refused it).
        interrupted: whether the run was asked to stop before the partition was done: no fault of the partition.
        stops_run: whether nothing may be copied after this failure: a strict catalog or endpoint failed, a disk is
            full, or a store was out of reach for too long.
        may_pass: whether the same may succeed later in the run.
    """

    chain: str
    partition: Partition
    error_type: str
    message: str
    published: bool = False
    interrupted: bool = False
    stops_run: bool = False
    may_pass: bool = False

    @classmethod
    def of(cls, chain: str, partition: Partition, error: BaseException, *, published: bool = False) -> PartitionFailure:
        """The failure of `partition` that `error` caused."""
        return cls(
            chain=chain,
            partition=partition,
            error_type=type(error).__name__,
            message=str(error),
            published=published,
            interrupted=isinstance(error, RunStoppedError),
            stops_run=stops_run(error),
            may_pass=is_transient(error) and not stops_run(error),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommittedPartition:
    """A partition that the sequencer committed to its chain.

    Attributes:
        chain: ``network/era_id/version_label``.
        event_hash: hash of its audit event; empty when no audit stream is written.
        is_new: whether this run made the event (False: it existed, its commit was completed).
        attested_through: the chain's last attested ledger then; None when none is, or none is asked for.
    """

    chain: str
    partition: Partition
    event_hash: str
    is_new: bool
    attested_through: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingPartition:
    """A published partition that its chain has not reached: it lies after a gap or a failure.

    Attributes:
        chain: ``network/era_id/version_label``.
        blocked_at: the next ledger that the chain needs.
        reason: why the chain does not get past it; empty when that partition is simply missing.
    """

    chain: str
    partition: Partition
    blocked_at: int
    reason: str


#: Everything that a stage reports.
Report = PartitionSummary | PartitionFailure | CommittedPartition | PendingPartition
