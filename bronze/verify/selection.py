"""Which partitions an audit looks into: a range of ledgers, and a part that is the same in every run."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from bronze.partitioning.partition import Partition

_PART = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")
_PERCENT = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,6})?)%")
_SPACE = 1 << 64


@dataclass(frozen=True, slots=True)
class Subset:
    """A part of all partitions, told by each partition's own name: more partitions change nothing for the others.

    Attributes:
        first, end: of the numbers from 0 to 2^64, those from `first` up to `end` (exclusive).
        text: how it was written.

    >>> parts = [Subset.parse(f"{number}/7") for number in range(1, 8)]
    >>> [sum(part.holds(Partition(start, start + 9)) for part in parts) for start in (2, 12, 22)]
    [1, 1, 1]
    """

    first: int
    end: int
    text: str

    @classmethod
    def parse(cls, text: str) -> Subset:
        """``K/N``, the K-th of N parts, which together are everything; or ``P%``, always the same partitions.

        Raises:
            ValueError: it is neither.
        """
        if (match := _PART.fullmatch(text)) and int(match[1]) <= int(match[2]):
            part, parts = int(match[1]), int(match[2])
            return cls((part - 1) * _SPACE // parts, part * _SPACE // parts, text)
        if (match := _PERCENT.fullmatch(text)) and 0 < float(match[1]) <= 100:
            return cls(0, int(float(match[1]) / 100 * _SPACE), text)
        raise ValueError(f"{text!r} is neither K/N, such as 1/7, nor a percentage, such as 5%")

    def holds(self, partition: Partition) -> bool:
        """Whether the partition is in this part."""
        number = int.from_bytes(hashlib.sha256(str(partition).encode()).digest()[:8])
        return self.first <= number < self.end


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The partitions whose files and rows an audit looks into; manifests are compared of all in the range.

    Attributes:
        first, last: inclusive ledgers; a partition that shares one of them is looked into. None: no bound.
        subset: only these of them; None for all.
    """

    first: int | None = None
    last: int | None = None
    subset: Subset | None = None

    def in_range(self, partition: Partition) -> bool:
        """Whether it shares a ledger with the range."""
        return (self.first is None or partition.end >= self.first) and (
            self.last is None or partition.start <= self.last
        )

    def holds(self, partition: Partition) -> bool:
        """Whether the partition's files and rows are looked into."""
        return self.in_range(partition) and (self.subset is None or self.subset.holds(partition))
