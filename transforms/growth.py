"""The partitions that a streaming job hands out behind those that were planned, as its lake completes them."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass

from bronze.partitioning.era import Era
from bronze.partitioning.partition import grid_partitions
from transforms.elements import PartitionKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Growth:
    """What a job copies of a lake that grows, after the partitions that it was launched with.

    Attributes:
        eras: each with the first ledger behind its planned partitions, which may lie behind its end.
        limit: partitions of one job, at most, the planned ones included: then the next job begins, so that neither
            what it remembers nor what it does again after a failure grows without end.
        poll_s: seconds between two looks at the lake's newest object.
    """

    eras: tuple[tuple[Era, int], ...]
    limit: int
    poll_s: float

    def keys(self) -> Iterator[PartitionKey]:
        """The partitions of all eras, in the order in which the lake completes them; without an end, where an era has
        none.
        """
        grids = [_keys(era, start) for era, start in self.eras]
        return heapq.merge(*grids, key=lambda key: (key.partition.end, key.chain))


def _keys(era: Era, start: int) -> Iterator[PartitionKey]:
    for partition in grid_partitions(era, start, era.last_ledger):
        yield PartitionKey(era.chain, partition)
