"""A stage that stands in for `transforms.encode.EncodePartition`: it publishes manifests, and reads no ledgers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindows

from bronze.job.spec import CopyJob
from bronze.outcomes import PartitionSummary
from bronze.partitioning.partition import Partition
from transforms.elements import PartitionKey


class PublishInRandomOrder(beam.DoFn):
    """Stands in for `transforms.encode.EncodePartition`."""

    #: Of this process, since stages are pickled: publishes a partition.
    publish: Callable[[Partition], PartitionSummary]
    seed = 0

    def __init__(self, _job: CopyJob) -> None:
        self._keys: list[PartitionKey] = []

    def process(self, element: tuple[PartitionKey, Any]) -> None:
        key, files = element
        assert sum(len(run.starts()) for run in files) >= key.partition.ledger_count
        self._keys.append(key)

    def finish_bundle(self) -> Iterator[Any]:
        random.Random(self.seed).shuffle(self._keys)
        for key in self._keys:
            made = type(self).publish(key.partition)
            yield GlobalWindows.windowed_value((made.chain, made))
        self._keys = []
