"""Encodes and publishes partitions, in parallel; what fails comes out under a tag of its own."""

import functools
import itertools
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from bronze.errors import BronzeError
from bronze.ingest.copier import PartitionCopier
from bronze.job.connections import Connections
from bronze.job.secrets import Secrets
from bronze.job.spec import CopyJob
from bronze.outcomes import PartitionFailure, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from transforms.elements import BatchFiles, PartitionKey

FAILED = "failed"
_LOG = logging.getLogger(__name__)

Attempt = Callable[[], PartitionSummary]


class EncodePartition(beam.DoFn):
    """``(PartitionKey, [BatchFiles])`` to ``(chain, PartitionSummary)``; failures go to `FAILED`.

    One partition's failure never stops another: whatever goes wrong is caught, named and reported.

    Publishing on an object store is a dozen requests one after the other, each of which waits. So there a partition is
    published by a thread of its own while the next one is encoded, and comes out behind that one, or with the bundle's
    end: no bundle is done before all of its partitions are.
    """

    def __init__(self, job: CopyJob) -> None:
        self._job = job
        self._publisher: PartitionCopier | None = None
        self._publish_pool: ThreadPoolExecutor | None = None
        self._in_flight: Callable[[], Any] | None = None

    def setup(self) -> None:
        """Open lake and destination, and get the decode buffer, once for each worker."""
        self._publisher = Connections(self._job, Secrets.for_worker(self._job.run.run_id)).copier()
        if self._publisher.dataset.is_remote and not self._job.run.dry_run:
            self._publish_pool = ThreadPoolExecutor(1, thread_name_prefix="publish")

    def start_bundle(self) -> None:
        """Forget what a bundle that failed has left: its partitions come again."""
        self._in_flight = None

    def process(self, element: tuple[PartitionKey, Iterable[BatchFiles]]) -> Iterator[Any]:
        """Publish one partition, or encode it and give out the one before it."""
        key, spans = element
        publisher = self._publisher
        assert publisher is not None
        era, partition = self._job.era(key.chain), key.partition
        files = [start for span in sorted(spans) for start in span.starts()]

        def attempt() -> PartitionSummary:
            copy = publisher.dry_run if self._job.run.dry_run else publisher.copy
            return copy(era, partition, files)

        attempts: Iterator[Attempt] = itertools.repeat(attempt)
        if self._publish_pool is None:
            yield self._outcome(key, attempts)
            return
        # Further attempts are made when it is its turn to come out: the encoder is free then.
        attempts = itertools.chain([self._begin(self._publish_pool, era, partition, files)], attempts)
        before, self._in_flight = self._in_flight, functools.partial(self._outcome, key, attempts)
        if before is not None:
            yield before()

    def finish_bundle(self) -> Iterator[Any]:
        """Give out the last partition."""
        last, self._in_flight = self._in_flight, None
        if last is not None:
            yield _as_bundle_end_output(last())

    def teardown(self) -> None:
        """End the threads."""
        if self._publish_pool is not None:
            self._publish_pool.shutdown()
        if self._publisher is not None:
            self._publisher.encoder.close()

    def _begin(self, pool: ThreadPoolExecutor, era: Era, partition: Partition, files: list[int]) -> Attempt:
        """Encode a partition and have it published; what is returned waits for that, and raises what went wrong."""
        assert self._publisher is not None
        try:
            finish = self._publisher.start(era, partition, files)
        except Exception as error:
            _release_frames(error)
            failed: Future[PartitionSummary] = Future()
            failed.set_exception(error)
            return failed.result
        try:
            return pool.submit(finish).result
        except RuntimeError:  # no thread is to be had: it is published when it is its turn
            return finish

    def _outcome(self, key: PartitionKey, attempts: Iterator[Attempt]) -> Any:
        """What became of a partition when the attempts are over."""

        def attempt() -> PartitionSummary:
            return next(attempts)()

        try:
            summary = self._job.run.retry.call(f"partition {key}", attempt)
        except Exception as error:
            if not isinstance(error, (BronzeError, OSError)):
                _LOG.exception("partition %s failed with an unexpected error", key)
            return beam.pvalue.TaggedOutput(FAILED, PartitionFailure.of(key.chain, key.partition, error))
        return key.chain, summary


def _release_frames(error: BaseException | None) -> None:
    """Free what the frames that `error` came through hold: buffers, which the next partition needs anew."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _as_bundle_end_output(outcome: Any) -> Any:
    """`outcome` as a bundle's end gives it out."""
    if isinstance(outcome, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(outcome.tag, _as_bundle_end_output(outcome.value))
    window = GlobalWindow()
    return WindowedValue(outcome, window.max_timestamp(), (window,))
