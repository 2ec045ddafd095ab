"""What a run needs of a Beam runner, and the choice of one."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from bronze.job.build import this_build
from bronze.job.connections import Connections
from bronze.job.spec import CopyJob
from bronze.storage.location import StorageLocation
from pipeline.launch.beam_options import parse_distributed_options
from pipeline.launch.dataflow_options import DataflowOptions
from pipeline.launch.flink_options import FlinkOptions
from pipeline.launch.local_runner import LocalRunner
from pipeline.settings.model import Settings

if TYPE_CHECKING:
    import apache_beam as beam

_LOG = logging.getLogger(__name__)


class Runner(Protocol):
    """Runs the graph of one wave after the other, and knows what its workers are like."""

    @property
    def is_distributed(self) -> bool:
        """Whether workers run on other machines: they share no directory with the launching process."""
        ...

    @property
    def has_own_workers(self) -> bool:
        """Whether the runner starts worker processes itself: they prove their version, and look for secrets in their
        environment; work of a job that nobody waits for any more may go on.
        """
        ...

    @property
    def look_ahead(self) -> int | None:
        """In a streaming job the partitions that are handed out and not done yet, at most; None: it runs in batch."""
        ...

    @property
    def copies_in_processes(self) -> bool:
        """Whether each worker is to copy in a process of its own."""
        ...

    def default_wave(self, *, is_remote: bool) -> int:
        """How many partitions a wave has at least, where the settings do not say.

        Args:
            is_remote: whether partitions are published to another machine.
        """
        ...

    def threads_per_partition(self, partitions: int) -> int:
        """How many threads may work on each partition when there are `partitions` in all."""
        ...

    def control_location(self, scratch: Path) -> StorageLocation:
        """Where launcher and workers exchange the request to stop and the outcomes.

        Args:
            scratch: the temporary directory of the run in the launching process.
        """
        ...

    def run(self, graph: beam.PTransform) -> None:
        """Run a pipeline that consists of `graph`, until it has ended.

        Raises:
            Exception: what no stage of the graph caught.
        """
        ...


def job_on(runner: Runner, job: CopyJob, control: StorageLocation, *, partitions: int) -> CopyJob:
    """`job` as the workers of `runner` are told of it.

    Args:
        control: where launcher and workers exchange the request to stop and the outcomes.
        partitions: of the job.
    """
    run = replace(
        job.run,
        stop=control,
        threads=runner.threads_per_partition(partitions),
        in_processes=runner.copies_in_processes,
        build=this_build() if runner.has_own_workers else "",
        # Work of a job whose launcher has ended may go on, and hold no lock.
        is_exclusive=job.run.is_exclusive and not runner.has_own_workers,
    )
    return replace(job, run=run)


def choose_runner(
    settings: Settings,
    connections: Connections,
    beam_arguments: Sequence[str] = (),
    alive: Callable[[], None] = lambda: None,
) -> Runner:
    """The runner that the Beam options name (the local one when they name none).

    Args:
        beam_arguments: as after ``--`` on the command line; they win over the settings.
        alive: called whenever a distributed runner has said that it works.

    Raises:
        ConfigError: there is no such runner here, or it cannot run with these options.
    """
    options = parse_distributed_options(settings, beam_arguments)
    if isinstance(options, FlinkOptions):
        from pipeline.launch.flink_runner import FlinkRunner  # its parts of Beam take a while to load

        return FlinkRunner(connections, options, alive)
    if isinstance(options, DataflowOptions):
        from pipeline.launch.dataflow_runner import DataflowRunner  # its parts of Beam take a while to load

        return DataflowRunner(connections, options, alive)
    workers = settings.workers
    _LOG.info("%d workers on %d cores", workers, os.cpu_count() or 1)
    return LocalRunner(connections.secrets, connections.job.run.run_id, workers=workers, beam_arguments=beam_arguments)
