"""Which partitions share a ledger with a range, end at a ledger, or begin at one; answered without a scan of all."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import accumulate

from bronze.partitioning.partition import Partition


class PartitionIndex:
    """Answers questions about `partitions`, which may overlap each other.

    While they do not, an answer costs a binary search and what is found, whatever their number.

    >>> index = PartitionIndex([Partition(12, 21), Partition(2, 11), Partition(2, 6)])
    >>> [str(one) for one in index.overlapping(Partition(7, 12))]
    ['2-11', '12-21']
    """

    def __init__(self, partitions: Iterable[Partition]) -> None:
        self._partitions = sorted(set(partitions))
        self._starts = [one.start for one in self._partitions]
        #: The largest end among the partitions up to each: where it lies before a range, no earlier one reaches it.
        self._furthest = list(accumulate((one.end for one in self._partitions), max))
        self._by_end: dict[int, list[Partition]] = defaultdict(list)
        for one in self._partitions:
            self._by_end[one.end].append(one)

    def __iter__(self) -> Iterator[Partition]:
        """All of them, in ledger order."""
        return iter(self._partitions)

    def overlapping(self, wanted: Partition) -> list[Partition]:
        """Those that share a ledger with `wanted`, itself among them if it is there; in ledger order."""
        found = []
        at = bisect_right(self._starts, wanted.end) - 1
        while at >= 0 and self._furthest[at] >= wanted.start:
            if self._partitions[at].end >= wanted.start:
                found.append(self._partitions[at])
            at -= 1
        return found[::-1]

    def ending_at(self, ledger: int) -> list[Partition]:
        """Those whose last ledger is `ledger`, in ledger order."""
        return self._by_end.get(ledger, [])

    def starting_at(self, ledger: int) -> list[Partition]:
        """Those whose first ledger is `ledger`, in ledger order."""
        return self._partitions[bisect_left(self._starts, ledger) : bisect_right(self._starts, ledger)]
