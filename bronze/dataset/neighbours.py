"""The published partitions beside a range: found by one listing, linked by their manifests."""

from __future__ import annotations

import functools

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import StateError, VerificationError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition


class Neighbours:
    """What is published of `era`, as the first question found it: one listing, and one manifest for each answer.

    Partitions that are published afterwards are not seen.
    """

    def __init__(self, dataset: Dataset, era: Era) -> None:
        self._dataset = dataset
        self._era = era

    @functools.cached_property
    def _listed(self) -> list[Partition]:
        return self._dataset.list_partitions(self._era)

    def check_no_overlap(self, partition: Partition) -> None:
        """Check that no other published partition shares a ledger with `partition`. Raises `StateError`."""
        for other in self._listed:
            if other != partition and other.overlaps(partition) and self._links(other) is not None:
                raise StateError(
                    f"partition {self._era.chain} {partition} overlaps the published partition {other}: another run"
                    " has published it with another size or end. Remove the one that is not committed, then run again"
                )

    def check_before(self, partition: Partition, ledgers: LedgerLinks) -> None:
        """Check that the published partition that ends right before `partition` links to it.

        Raises:
            VerificationError: it does not.
            StateError: it cannot be read to link them.
        """
        for other in self._listed:
            links = self._links(other) if other.end == partition.start - 1 else None
            if links is not None and links.last_hash != ledgers.previous_hash:
                raise VerificationError(
                    f"ledger {ledgers.first} of partition {self._era.chain} {partition} follows a ledger with the hash"
                    f" {ledgers.previous_hash}, but ledger {links.last} of the published partition {other} has"
                    f" {links.last_hash}: one of them is of another history. {self._remedy(other, partition)}"
                )

    def check_behind(self, partition: Partition, ledgers: LedgerLinks) -> None:
        """Check that `partition` links to the published partition that begins right behind it. Raises as above."""
        for other in self._listed:
            links = self._links(other) if other.start == partition.end + 1 else None
            if links is not None and links.previous_hash != ledgers.last_hash:
                raise VerificationError(
                    f"ledger {ledgers.last} of partition {self._era.chain} {partition} has the hash"
                    f" {ledgers.last_hash}, but ledger {links.first} of the published partition {other} follows"
                    f" {links.previous_hash}: one of them is of another history. {self._remedy(other, partition)}"
                )

    def _links(self, partition: Partition) -> LedgerLinks | None:
        """What links a listed partition; None when it has no manifest."""
        manifest = self._dataset.find_manifest(self._era, partition, check_file=False)
        return None if manifest is None else self._dataset.links(self._era, manifest)

    def _remedy(self, *partitions: Partition) -> str:
        names = " or ".join(
            self._dataset.object_url(self._dataset.directory(self._era, one)) for one in sorted(partitions)
        )
        return f"Copy from the right lake; if the published one is wrong, remove its directory ({names}) and run again"
