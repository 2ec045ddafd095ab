"""Check the place of a partition in its chain before it is committed: it overlaps nothing, its links hold, and enough
of the chain is attested where that is required.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bronze.commit.attestation import ChainAttestation
from bronze.commit.position import ChainPosition
from bronze.commit.published_check import summary_links
from bronze.dataset.neighbours import Neighbours
from bronze.errors import StateError, VerificationError
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset


class PlaceCheck:
    """Checks partitions of `era` one after the other; the dataset is listed once.

    Args:
        attestation: of the chain; None when nobody's is asked for.
    """

    def __init__(self, era: Era, dataset: Dataset, attestation: ChainAttestation | None = None) -> None:
        self._era = era
        self._dataset = dataset
        self._attestation = attestation
        self._neighbours = Neighbours(dataset, era)
        #: End and ledger hash of the partition committed last.
        self._last_hash: tuple[int, str] | None = None

    def remember(self, summary: PartitionSummary) -> None:
        """`summary` was committed last: what follows it links to it."""
        self._last_hash = (summary.partition.end, summary.last_hash)
        if self._attestation is not None:
            self._attestation.add(summary)

    def attested_through(self) -> int | None:
        """The chain's last attested ledger after what was remembered last; None when none is, or none is asked for."""
        if self._attestation is None or self._last_hash is None:
            return None
        return self._attestation.through(self._last_hash[0]).through

    def check(self, summary: PartitionSummary, position: ChainPosition) -> None:
        """Check that the chain has come to the partition, that it overlaps no other one, and that its links hold.

        The neighbour before is always looked at; the one behind only when a gap is being filled, since any other is
        committed after this one. A run that overwrites comes to what follows next, so it may differ until then.

        Raises:
            VerificationError: a link does not hold.
            AuthenticityError: too much of the chain is not attested.
            StateError: ledgers before it are not committed, it overlaps another partition, or a neighbour cannot be
                read to link them.
        """
        if summary.partition.start > position.next_ledger:
            raise StateError(
                f"partition {summary.chain} {summary.partition} cannot be committed: the next ledger to commit is"
                f" {position.next_ledger}"
            )
        if position.last is not None:
            check_no_overlap(summary, position.last)
        self._neighbours.check_no_overlap(summary.partition)
        if self._last_hash is not None and self._last_hash[0] == summary.partition.start - 1:
            _check_link(summary, self._last_hash[1])
        else:
            self._check_link_to_last(summary, position)
            self._neighbours.check_before(summary.partition, summary_links(summary))
        if summary.partition.end + 1 < position.next_ledger and not self._era.allow_overwrite:
            self._neighbours.check_behind(summary.partition, summary_links(summary))
        if self._attestation is not None and summary.partition.end >= position.next_ledger:
            self._attestation.check(summary)

    def _check_link_to_last(self, summary: PartitionSummary, position: ChainPosition) -> None:
        """Compare the hash before the partition with the last one of the partition that was committed last."""
        if position.last is None or position.last.end != summary.partition.start - 1:
            return
        manifest = self._dataset.find_manifest(self._era, position.last)
        if manifest is not None:  # else committed by the older copier, whose partitions may lie elsewhere
            _check_link(summary, self._dataset.links(self._era, manifest).last_hash)


def check_no_overlap(summary: PartitionSummary, committed: Partition) -> None:
    """Check that the partition shares no ledger with `committed`, unless it is the same. Raises `StateError`."""
    if committed != summary.partition and committed.overlaps(summary.partition):
        raise StateError(
            f"partition {summary.chain} {summary.partition} cannot be committed: it overlaps the committed partition"
            f" {committed}. Another run has committed that one meanwhile, with another size or end: remove the"
            f" directory {summary.storage_path} and run again"
        )


def _check_link(summary: PartitionSummary, last_hash: str) -> None:
    if last_hash != summary.previous_hash:
        raise VerificationError(
            f"ledger {summary.first} of partition {summary.chain} {summary.partition} follows a ledger with the hash"
            f" {summary.previous_hash}, but ledger {summary.partition.start - 1}, the last one committed, has"
            f" {last_hash}"
        )
