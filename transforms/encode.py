"""Encodes and publishes partitions, in parallel; failures have an output of their own."""

import functools
import itertools
import logging
import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from bronze.errors import BronzeError, ConfigError, RunStoppedError, stops_run
from bronze.ingest.copier import PartitionCopier
from bronze.job.connections import Connections
from bronze.job.copier_process import CopierProcess
from bronze.job.outage import OutageWait
from bronze.job.spec import CopyJob
from bronze.job.stop_signal import StopSignal
from bronze.log_fields import error_fields, log_fields, partition_fields, worker_name
from bronze.measurements import (
    PARTITION_DONE,
    PARTITION_FAILED,
    PARTITION_STARTED,
    PARTITION_STOPPED,
    Measurement,
    collected_in,
    report,
)
from bronze.outcomes import PartitionFailure, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from transforms.beam_metrics import pass_to_beam
from transforms.elements import BatchFiles, PartitionKey
from transforms.worker_logs import set_up_worker_logs

FAILED = "failed"
_LOG = logging.getLogger(__name__)

Attempt = Callable[[], PartitionSummary]


class EncodePartition(beam.DoFn):
    """``(PartitionKey, [BatchFiles])`` to ``(chain, PartitionSummary)``; failures go to `FAILED`.

    The failure of one partition never stops another: every error is caught and reported.

    Publishing on an object store is a dozen requests one after the other, each of which waits for its answer. So there
    a partition is published by a thread of its own while the next one is encoded. It is output after that one, or at
    the end of the bundle: no bundle ends before all of its partitions are published.
    """

    def __init__(self, job: CopyJob) -> None:
        self._job = job
        self._copier: PartitionCopier | CopierProcess | None = None
        self._unusable: ConfigError | None = None
        self._publish_pool: ThreadPoolExecutor | None = None
        self._in_flight: Callable[[], Any] | None = None
        self._measured: list[Measurement] = []
        self._outages: OutageWait | None = None
        self._stop = StopSignal(job.run.stop) if job.run.stop else None

    def setup(self) -> None:
        """Open lake and dataset and allocate the decode buffer, once for each worker; a process does so by itself."""
        set_up_worker_logs(self._job.run.run_id)
        self._outages = OutageWait(self._job)
        try:
            connections = Connections.of_worker(self._job)
        except ConfigError as error:
            if not self._job.run.build:
                raise
            # A worker on another machine: an exception here would have its runner start it again and again.
            self._unusable = error
            return
        if self._job.run.in_processes:
            self._copier = CopierProcess(self._job)
            return
        self._copier = connections.copier()
        if self._copier.dataset.is_remote and not self._job.run.dry_run:
            self._publish_pool = ThreadPoolExecutor(1, thread_name_prefix="publish")

    def start_bundle(self) -> None:
        """Forget what a failed bundle left: the runner retries its partitions."""
        self._in_flight = None

    def process(self, element: tuple[PartitionKey, Iterable[BatchFiles]]) -> Iterator[Any]:
        """Publish one partition; on an object store encode it, and output the one before it."""
        with collected_in(self._measured):
            outcome = self._process(*element)
        pass_to_beam(self._measured)
        if outcome is not None:
            yield outcome

    def _process(self, key: PartitionKey, spans: Iterable[BatchFiles]) -> Any:
        """The output of this partition, or of the one before it; None when there is none yet."""
        if self._unusable is not None:
            self._report_failure(key, self._unusable, 1, 0.0)
            return beam.pvalue.TaggedOutput(FAILED, PartitionFailure.of(key.chain, key.partition, self._unusable))
        copier = self._copier
        assert copier is not None
        named = partition_fields(self._job.run.run_id, key.chain, key.partition.start, key.partition.end)
        named["worker"] = worker_name()
        started = time.monotonic()
        era, partition = self._job.era(key.chain), key.partition
        files = [start for span in sorted(spans) for start in span.starts()]

        def attempt() -> PartitionSummary:
            if isinstance(copier, CopierProcess) and self._stop is not None and self._stop.is_requested():
                raise RunStoppedError("it was not begun: the run was asked to stop")
            copy = copier.dry_run if self._job.run.dry_run else copier.copy
            return copy(era, partition, files)

        attempts: Iterator[Attempt] = itertools.repeat(attempt)
        with log_fields(**named):
            report(PARTITION_STARTED)
            _LOG.debug("partition %s: begun", key)
        if self._publish_pool is None or isinstance(copier, CopierProcess):
            return self._outcome(key, attempts, named, started)
        # Further attempts are made when the partition is to be output: the encoder is free then.
        with log_fields(**named):
            attempts = itertools.chain([self._begin(copier, self._publish_pool, era, partition, files)], attempts)
        before = self._in_flight
        self._in_flight = functools.partial(self._outcome, key, attempts, named, started)
        return before() if before is not None else None

    def finish_bundle(self) -> Iterator[Any]:
        """Output the last partition."""
        last, self._in_flight = self._in_flight, None
        if last is not None:
            with collected_in(self._measured):
                outcome = last()
            pass_to_beam(self._measured)
            yield _as_bundle_end_output(outcome)

    def teardown(self) -> None:
        """End the threads of publishing and reading ahead, or the process."""
        if self._publish_pool is not None:
            self._publish_pool.shutdown()
        if self._copier is not None:
            self._copier.close()

    def _begin(
        self, copier: PartitionCopier, pool: ThreadPoolExecutor, era: Era, partition: Partition, files: list[int]
    ) -> Attempt:
        """Encode a partition and publish it in the pool; the result waits for that, and raises the error of either."""
        try:
            finish = copier.start(era, partition, files)
        except Exception as error:
            _release_frames(error)
            failed: Future[PartitionSummary] = Future()
            failed.set_exception(error)
            return failed.result
        try:
            return pool.submit(copy_context().run, finish).result
        except RuntimeError:  # no thread can be started: it is published when it is to be output
            return finish

    def _outcome(self, key: PartitionKey, attempts: Iterator[Attempt], named: dict[str, object], started: float) -> Any:
        """The output for a partition, after as many attempts as the retry policy allows.

        Args:
            named: the fields that its log records carry.
            started: when its first attempt began, on the monotonic clock.
        """
        made, outages = 0, self._outages
        assert outages is not None

        def attempt() -> PartitionSummary:
            nonlocal made
            made += 1
            return outages.call(f"partition {key}", lambda: next(attempts)())  # noqa: PLW0108 - each call takes the next

        with log_fields(**named):
            try:
                summary = self._job.run.retry.call(f"partition {key}", attempt, operation="partition", stops=True)
            except Exception as error:
                self._report_failure(key, error, made, time.monotonic() - started)
                if stops_run(error) and self._stop is not None:
                    self._stop.request_from_worker()
                return beam.pvalue.TaggedOutput(FAILED, PartitionFailure.of(key.chain, key.partition, error))
            self._report_done(key, summary, made, time.monotonic() - started)
        return key.chain, summary

    def _report_done(self, key: PartitionKey, summary: PartitionSummary, attempts: int, seconds: float) -> None:
        report(
            PARTITION_DONE,
            seconds,
            outcome=str(summary.outcome),
            rows=summary.row_count,
            raw_bytes=summary.raw_bytes,
            parquet_bytes=summary.byte_size,
            table=self._job.target.table,
        )
        _LOG.debug(
            "partition %s: %s, %d ledgers",
            key,
            summary.outcome,
            summary.row_count,
            extra={"duration_ms": round(seconds * 1000), "attempt": attempts, "outcome": str(summary.outcome)},
        )

    @staticmethod
    def _report_failure(key: PartitionKey, error: Exception, attempts: int, seconds: float) -> None:
        extra = error_fields(error, duration_ms=round(seconds * 1000), attempt=attempts)
        if isinstance(error, RunStoppedError):
            report(PARTITION_STOPPED, seconds)
            _LOG.debug("partition %s: %s", key, error, extra=extra)
            return
        report(PARTITION_FAILED, seconds, is_published=False, **error_fields(error))
        if isinstance(error, (BronzeError, OSError)):
            _LOG.error("partition %s failed: %s: %s", key, type(error).__name__, error, extra=extra)
        else:
            _LOG.error("partition %s failed with an unexpected error: %s", key, error, exc_info=error, extra=extra)


def _release_frames(error: BaseException | None) -> None:
    """Release the local variables of the frames in the traceback of `error`: buffers, which would double the memory."""
    while error is not None:
        traceback.clear_frames(error.__traceback__)
        error = error.__cause__ or error.__context__


def _as_bundle_end_output(outcome: Any) -> Any:
    """Wrap `outcome` for output by `finish_bundle`, which must name window and timestamp."""
    if isinstance(outcome, beam.pvalue.TaggedOutput):
        return beam.pvalue.TaggedOutput(outcome.tag, _as_bundle_end_output(outcome.value))
    window = GlobalWindow()
    return WindowedValue(outcome, window.max_timestamp(), (window,))
