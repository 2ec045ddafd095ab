"""The local Beam runner, built explicitly.

Beam's ``DirectRunner`` is a switch that first tries to download another runner; here it means the FnApiRunner itself
(measured with Beam 2.77). Workers are threads when the compiled reader is installed, because it releases the GIL;
processes otherwise.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import apache_beam as beam
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions
from apache_beam.runners.portability.fn_api_runner import fn_runner

from bronze.job.connections import Connections
from bronze.storage.location import StorageLocation
from bronze.xdr import is_compiled

#: What ``--runner`` may be, in lower case.
LOCAL_NAMES = frozenset({"directrunner", "fnapirunner", "bundlebaseddirectrunner"})
#: Partitions of a wave for each worker, at least: the runner deals partitions out once and for all.
PER_WORKER = 4
#: The same where partitions are published to another machine: nothing is encoded while the last ones of a wave are
#: published, which takes a tenth of a partition's time and more.
PER_WORKER_REMOTE = 12
_LOG = logging.getLogger(__name__)
#: What the interpreted reader costs: a ledger of 372 KB walks in 9.6 ms instead of 0.15 ms (docs/performance.md).
_INTERPRETED_FACTOR = 60
#: Where Beam passes on what worker processes log.
_WORKER_LOGGER = "apache_beam.runners.portability.local_job_service"


class LocalRunner:
    """Runs graphs on this machine, with workers that are threads or processes.

    Args:
        connections: of the launching process; workers get its secrets.
        workers: how many, at least 1.
        threads: whether several workers are threads of this process, not processes of their own; None: whether the
            compiled reader is installed.
        beam_arguments: further Beam options, which win over the others.
    """

    is_distributed = False

    def __init__(
        self,
        connections: Connections,
        *,
        workers: int,
        threads: bool | None = None,
        beam_arguments: Sequence[str] = (),
    ) -> None:
        self._secrets = connections.secrets
        self._run_id = connections.job.run.run_id
        self._workers = workers
        self._compiled = is_compiled()
        threads = self._compiled if threads is None else threads
        mode = "in_memory" if workers == 1 else "multi_threading" if threads else "multi_processing"
        self.options = PipelineOptions(
            [f"--direct_num_workers={workers}", f"--direct_running_mode={mode}", *beam_arguments]
        )
        if not self._compiled:
            _LOG.warning(
                "the XDR reader is interpreted (no compiled module was built, or BRONZE_READER says so): walking a"
                " ledger takes about %d times as long",
                _INTERPRETED_FACTOR,
            )

    def default_wave(self, *, is_remote: bool) -> int:
        """See `Runner`."""
        return (PER_WORKER_REMOTE if is_remote else PER_WORKER) * self._workers

    def threads_per_partition(self, partitions: int) -> int:
        """Cores without a partition of their own help with the others', where the reader releases the GIL."""
        return -(-self._workers // partitions) if self._compiled and 0 < partitions < self._workers else 1

    def control_location(self, scratch: Path) -> StorageLocation:
        """The temporary directory, which all workers share."""
        return StorageLocation(str(scratch))

    def run(self, graph: beam.PTransform) -> None:
        """See `Runner`."""
        pipeline = beam.Pipeline(runner=fn_runner.FnApiRunner(), options=self.options)
        pipeline | graph
        with ExitStack() as stack:
            stack.enter_context(self._secrets.held_for(self._run_id))
            if self.options.view_as(DirectOptions).direct_running_mode == "multi_processing":
                stack.enter_context(self._secrets.exported())
            stack.enter_context(_quiet_beam())
            stack.enter_context(_exit_on_worker_death())
            pipeline.run().wait_until_finish()


@contextmanager
def _quiet_beam() -> Iterator[None]:
    """Leave out how Beam sets itself up, which it reports at length; what goes wrong is a warning or an error."""
    everything, workers = logging.getLogger("apache_beam"), logging.getLogger(_WORKER_LOGGER)
    before = everything.level
    everything.setLevel(max(logging.WARNING, logging.getLogger().level))
    workers.addFilter(_concerns_this_run)
    try:
        yield
    finally:
        workers.removeFilter(_concerns_this_run)
        everything.setLevel(before)


def _concerns_this_run(record: logging.LogRecord) -> bool:
    """False for the warning with which every local worker process begins: nothing here uses that directory."""
    return "No semi_persistent_directory found" not in record.getMessage()


@contextmanager
def _exit_on_worker_death() -> Iterator[None]:
    """End the whole process when a worker process is killed (by the out-of-memory killer, for example).

    The runner would wait for it for ever. The thread that supervises the worker ends with an exception: this is where
    the death shows.
    """
    before = threading.excepthook

    def hook(args: threading.ExceptHookArgs) -> None:
        before(args)
        if args.thread is not None and args.thread.name == "run_worker":
            print(f"a worker process ended ({args.exc_value}): run again, it resumes", file=sys.stderr, flush=True)
            os._exit(1)

    threading.excepthook = hook
    try:
        yield
    finally:
        threading.excepthook = before
