"""Keys runs of ledger batch files by era and partition; a file that straddles a boundary goes to both."""

import bisect
from collections.abc import Iterator, Sequence

import apache_beam as beam

from bronze.lake.layout import LakeLayout
from bronze.stellar import FIRST_LEDGER
from transforms.elements import BatchFiles, PartitionKey


class KeyByPartition(beam.DoFn):
    """`BatchFiles` to ``(PartitionKey, BatchFiles)``, cut at partition boundaries.

    Args:
        keys: the partitions of the run, in ledger order, disjoint.
    """

    def __init__(self, keys: Sequence[PartitionKey], layout: LakeLayout) -> None:
        self._keys = sorted(keys, key=lambda key: key.partition.start)
        self._ends = [key.partition.end for key in self._keys]
        self._layout = layout

    def process(self, files: BatchFiles) -> Iterator[tuple[PartitionKey, BatchFiles]]:
        """Yield the part of `files` that each partition is read from."""
        last_ledger = self._layout.file_end(files.end)
        index = bisect.bisect_left(self._ends, max(files.start, FIRST_LEDGER))
        for key in self._keys[index:]:
            if key.partition.start > last_ledger:
                break
            first = max(files.start, self._layout.file_start(max(key.partition.start, FIRST_LEDGER)))
            last = min(files.end, self._layout.file_start(key.partition.end))
            if first <= last:
                yield key, BatchFiles(first, last, files.step)


def batch_files(keys: Sequence[PartitionKey], layout: LakeLayout, *, most: int = 10_000) -> Iterator[BatchFiles]:
    """The lake files that `keys` (in ledger order) are read from, in runs of at most `most`; each file once."""
    step = layout.ledgers_per_file
    read_up_to = -step
    for key in keys:
        first = max(layout.file_start(max(key.partition.start, FIRST_LEDGER)), read_up_to + step)
        last = layout.file_start(key.partition.end)
        for start in range(first, last + 1, most * step):
            yield BatchFiles(start, min(start + (most - 1) * step, last), step)
        read_up_to = max(read_up_to, last)
