"""Which ledgers of an era have no partition, though its chain has gone past them."""

from __future__ import annotations

from bronze.dataset.dataset import Dataset
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, uncovered_ranges


def gaps(dataset: Dataset, era: Era, next_ledger: int) -> list[Partition]:
    """Stretches (inclusive) of the era before `next_ledger` that no published partition covers; one listing.

    They come from a checkpoint that was set forward by hand, and stay until it is set back.
    """
    store, published = dataset.store, []
    for partition in dataset.list_partitions(era):
        if partition.start < next_ledger and store.size(dataset.manifest_key(era, partition)) is not None:
            published.append(partition)
    return uncovered_ranges(published, era.ledger_start, next_ledger - 1)
