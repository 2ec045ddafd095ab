"""Encodes and publishes partitions, in parallel; what fails comes out under a tag of its own."""

import logging
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from bronze.errors import BronzeError
from bronze.grid import Partition
from bronze.job import CopyJob
from bronze.publish import Publisher
from bronze.summary import PartitionFailure, PartitionSummary
from transforms.elements import BatchFiles, PartitionKey

FAILED = "failed"
_LOG = logging.getLogger(__name__)


class EncodePartition(beam.DoFn):
    """``(PartitionKey, [BatchFiles])`` to ``(chain, PartitionSummary)``; failures go to `FAILED`.

    One partition's failure never stops another: whatever goes wrong is caught, named and reported.
    """

    def __init__(self, job: CopyJob) -> None:
        self._job = job
        self._publisher: Publisher | None = None

    def setup(self) -> None:
        """Open lake and destination, and get the decode buffer, once for each worker."""
        self._publisher = self._job.publisher()

    def teardown(self) -> None:
        """End the publisher's threads."""
        if self._publisher is not None:
            self._publisher.encoder.close()

    def process(self, element: tuple[PartitionKey, Iterable[BatchFiles]]) -> Iterator[Any]:
        """Publish one partition."""
        key, spans = element
        era, partition = self._job.era(key.chain), Partition(key.start, key.end)
        publisher = self._publisher
        assert publisher is not None
        files = [start for span in sorted(spans) for start in span.starts()]

        def publish() -> PartitionSummary:
            if self._job.dry_run:
                return publisher.measure(era, partition, files)
            return publisher.publish(era, partition, files)

        try:
            summary = self._job.retry.call(f"partition {key.chain} {partition}", publish)
        except Exception as error:
            if not isinstance(error, (BronzeError, OSError)):
                _LOG.exception("partition %s %s met an error that is not expected", key.chain, partition)
            failure = PartitionFailure(key.chain, key.start, key.end, type(error).__name__, str(error))
            yield beam.pvalue.TaggedOutput(FAILED, failure)
        else:
            yield key.chain, summary
