"""The published partitions beside a range: found by one listing or by their names, linked by their manifests."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import StateError, VerificationError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, grid_cell_end, grid_cell_start
from bronze.partitioning.partition_index import PartitionIndex


class Neighbours:
    """What is published of `era`, as the first question found it: one listing, and one manifest for each answer.

    Partitions that are published afterwards are not seen.
    """

    def __init__(self, dataset: Dataset, era: Era) -> None:
        self._dataset = dataset
        self._era = era

    @functools.cached_property
    def _listed(self) -> PartitionIndex:
        return PartitionIndex(self._dataset.list_partitions(self._era))

    def check_no_overlap(self, partition: Partition) -> None:
        """Check that no other published partition shares a ledger with `partition`. Raises `StateError`."""
        for other in self._listed.overlapping(partition):
            if other != partition and self._dataset.find_links(self._era, other) is not None:
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
        for other in self._listed.ending_at(partition.start - 1):
            links = self._dataset.find_links(self._era, other)
            if links is not None and links.last_hash != ledgers.previous_hash:
                raise VerificationError(
                    f"ledger {ledgers.first} of partition {self._era.chain} {partition} follows a ledger with the hash"
                    f" {ledgers.previous_hash}, but ledger {links.last} of the published partition {other} has"
                    f" {links.last_hash}: one of them is of another history. {self._remedy(other, partition)}"
                )

    def check_behind(self, partition: Partition, ledgers: LedgerLinks) -> None:
        """Check that `partition` links to the published partition that begins right behind it. Raises as above."""
        for other in self._listed.starting_at(partition.end + 1):
            links = self._dataset.find_links(self._era, other)
            if links is not None and links.previous_hash != ledgers.last_hash:
                raise VerificationError(
                    f"ledger {ledgers.last} of partition {self._era.chain} {partition} has the hash"
                    f" {ledgers.last_hash}, but ledger {links.first} of the published partition {other} follows"
                    f" {links.previous_hash}: one of them is of another history. {self._remedy(other, partition)}"
                )

    def _remedy(self, *partitions: Partition) -> str:
        names = " or ".join(
            self._dataset.object_url(self._dataset.directory(self._era, one)) for one in sorted(partitions)
        )
        return f"Copy from the right lake; if the published one is wrong, remove its directory ({names}) and run again"


def check_published_neighbours(
    dataset: Dataset, eras: Iterable[Era], era: Era, partition: Partition, ledgers: LedgerLinks
) -> None:
    """Check, before `partition` is published, that it links to the published partitions right beside it.

    They are asked for by their names, as the grids of `eras` cut them, so it costs two reads whatever is published.
    Of two neighbours that are published at the same time neither may see the other; then the commit, which goes in
    ledger order, decides.

    Args:
        eras: the eras of the run: a neighbour may be the last partition of one, or the first one.
        ledgers: what links the partition that is about to be published.

    Raises:
        VerificationError: it does not link to a neighbour. A neighbour that cannot be read is left to the commit.
    """
    for other_era in eras:
        if other_era.network != era.network:
            continue
        before = _cell_that_ends_at(other_era, partition.start - 1)
        links = _read_links(dataset, other_era, before)
        if before and links and links.last_hash != ledgers.previous_hash:
            raise VerificationError(
                f"ledger {ledgers.first} of partition {era.chain} {partition} follows a ledger with the hash"
                f" {ledgers.previous_hash}, but ledger {links.last} of the published partition"
                f" {other_era.chain} {before} has {links.last_hash}: {_not_published(dataset, other_era, before)}"
            )
        behind = _cell_that_begins_at(other_era, partition.end + 1)
        links = _read_links(dataset, other_era, behind)
        if behind and links and links.previous_hash != ledgers.last_hash:
            raise VerificationError(
                f"ledger {ledgers.last} of partition {era.chain} {partition} has the hash {ledgers.last_hash}, but"
                f" ledger {links.first} of the published partition {other_era.chain} {behind} follows"
                f" {links.previous_hash}: {_not_published(dataset, other_era, behind)}"
            )


def _cell_that_ends_at(era: Era, ledger: int) -> Partition | None:
    """The partition of the era's grid, perhaps a part of it, that ends at `ledger`; None outside the era."""
    if not era.ledger_start <= ledger <= era.last_ledger:
        return None
    return Partition(grid_cell_start(era, ledger), ledger)


def _cell_that_begins_at(era: Era, ledger: int) -> Partition | None:
    """The partition of the era's grid, perhaps a part of it, that begins at `ledger`; None outside the era."""
    if not era.ledger_start <= ledger <= era.last_ledger:
        return None
    return Partition(ledger, min(grid_cell_end(era, ledger), era.last_ledger))


def _read_links(dataset: Dataset, era: Era, partition: Partition | None) -> LedgerLinks | None:
    """What links a published partition; None when there is none, or it is damaged: verify and the commit say so."""
    if partition is None:
        return None
    try:
        return dataset.find_links(era, partition)
    except StateError:
        return None


def _not_published(dataset: Dataset, era: Era, other: Partition) -> str:
    return (
        "one of them is of another history, and this one was not published. Copy from the right lake; if the published"
        f" one is wrong, remove its directory ({dataset.object_url(dataset.directory(era, other))}) and run again"
    )
