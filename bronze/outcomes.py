"""What flows behind the encode step: what became of each partition. Never ledger bytes."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from bronze.partitioning.partition import Partition


class Outcome(enum.StrEnum):
    """What was done for a partition."""

    #: Encoded and published by this run.
    WRITTEN = "written"
    #: Encoded, and the same bytes were there already.
    UNCHANGED = "unchanged"
    #: Encoded, and other bytes that were there have been replaced (``allow_overwrite``).
    REPLACED = "replaced"
    #: Not touched: its manifest was there.
    SKIPPED = "skipped"
    #: Encoded by a dry run, not published.
    DRY_RUN = "measured"


@dataclass(frozen=True, slots=True)
class PartitionSummary:
    """A published partition.

    Attributes:
        chain: ``network/era_id/version_label``.
        start, end: the partition as named, inclusive ledgers.
        first, last: the ledgers it really holds (ledgers 0 and 1 do not exist).
        row_count, byte_size, checksum: of the parquet file.
        previous_hash, first_hash, last_hash: ledger hashes in hex; `previous_hash` is the hash before `first`.
        storage_path: the partition's directory without the store's prefix.
        raw_bytes: bytes of the close metas that were read; 0 when it was skipped.
        files: lake objects that were read; 0 when it was skipped.
        producer, git_sha: who made the file, ``name@version``, and from which commit, as its manifest says.
    """

    chain: str
    start: int
    end: int
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
    raw_bytes: int = 0
    files: int = 0
    producer: str = ""
    git_sha: str = ""

    @property
    def partition(self) -> Partition:
        """The partition it is of."""
        return Partition(self.start, self.end)


@dataclass(frozen=True, slots=True)
class PartitionFailure:
    """A partition that could not be published, or that its chain refused.

    Attributes:
        kind: the error's class name.
        message: names the object, the ledger and both values.
        published: whether the partition itself is published (it was its chain that refused it).
    """

    chain: str
    start: int
    end: int
    kind: str
    message: str
    published: bool = False


@dataclass(frozen=True, slots=True)
class CommittedPartition:
    """A partition that the sequencer committed to its chain.

    Attributes:
        event_hash: hash of its audit event; empty when no audit stream is written.
        is_new: whether this run made the event (false: it was there, its commit was completed).
    """

    chain: str
    start: int
    end: int
    event_hash: str
    is_new: bool


@dataclass(frozen=True, slots=True)
class PendingPartition:
    """A published partition that its chain has not reached: it lies behind a gap or a failure.

    Attributes:
        waits_for: the ledger at which the chain goes on.
    """

    chain: str
    start: int
    end: int
    blocked_at: int
    reason: str
