"""Which ledgers of an era have no partition, though its chain has gone past them."""

from __future__ import annotations

from bronze.destination import Destination
from bronze.eras import Era
from bronze.grid import Partition


def gaps(destination: Destination, era: Era, next_ledger: int) -> list[Partition]:
    """Stretches (inclusive) of the era before `next_ledger` that no published partition covers; one listing.

    They come from a checkpoint that was set forward by hand, and stay until it is set back.
    """
    found = []
    at = era.ledger_start
    for partition in destination.ranges(era):
        if partition.start >= next_ledger:
            break
        if destination.store.size(destination.manifest_key(era, partition)) is None:
            continue
        if partition.start > at:
            found.append(Partition(at, partition.start - 1))
        at = max(at, partition.end + 1)
    if at < next_ledger:
        found.append(Partition(at, next_ledger - 1))
    return found
