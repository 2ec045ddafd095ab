"""Runs the graph on Apache Flink: a session cluster, or one within the job server (docs/flink.md)."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.portable_runner import PortableRunner

from bronze.errors import BronzeError, RunnerError
from bronze.job.secrets import DSN_VARIABLE, ENDPOINT_VARIABLE
from bronze.storage.location import StorageLocation
from pipeline.launch.flink_cluster import FlinkCluster
from pipeline.launch.flink_job_server import job_server, log_tail
from pipeline.launch.flink_job_watch import JobWatch
from pipeline.launch.flink_options import EMBEDDED, FlinkOptions
from pipeline.launch.job_runner import JobRunner
from pipeline.launch.scratch import scratch_directory
from pipeline.launch.shared_places import control_location_of

_SECRET_VARIABLES = (DSN_VARIABLE, ENDPOINT_VARIABLE)


@dataclass
class FlinkRunner(JobRunner):
    """Runs graphs on Flink; each of them is a job. The cluster was checked before (`check_cluster`)."""

    options: FlinkOptions

    def __post_init__(self) -> None:
        self._cluster = None if self.options.is_embedded else FlinkCluster(self.options.master)
        self._jobs = 0

    @property
    def is_distributed(self) -> bool:
        """See `Runner`."""
        return not self.options.is_embedded

    def control_location(self, scratch: Path) -> StorageLocation:
        """See `Runner`."""
        return control_location_of(self.connections.job) if self.is_distributed else StorageLocation(str(scratch))

    def run(self, graph: beam.PTransform) -> None:
        """See `Runner`.

        Raises:
            RunnerError: the job failed, was cancelled, or could not be submitted.
        """
        self._jobs += 1
        # It warns of each option that only the job server knows.
        logging.getLogger("apache_beam.options.pipeline_options").setLevel(logging.ERROR)
        name = f"bronze-copier-{self.connections.job.run.run_id}-{self._jobs}"
        directory = scratch_directory() / f"job-{self._jobs}"
        with self._endpoint(directory) as endpoint:
            pipeline = beam.Pipeline(runner=PortableRunner(), options=PipelineOptions(self._arguments(name, endpoint)))
            pipeline | graph
            watch = JobWatch(self._cluster, name, self.alive)
            try:
                state = watch.wait(pipeline.run)
            except BaseException as error:
                watch.cancel()
                if isinstance(error, BronzeError) or not isinstance(error, Exception):
                    raise
                # Beam raises what it got: errors of gRPC, and texts of the job.
                text = error.details() if isinstance(error, grpc.Call) else " ".join(str(error).split())
                raise RunnerError(f"the job {name} on Flink did not end well: {text}; run again to resume") from error
            if state != "DONE":
                raise RunnerError(
                    f"the job {name} on Flink ended as {state}: run again to resume; {log_tail(directory)}"
                )

    @contextmanager
    def _endpoint(self, directory: Path) -> Iterator[str]:
        options = self.options
        if options.endpoint is not None:
            yield options.endpoint
            return
        assert options.jar is not None
        environment = {name: value for name, value in os.environ.items() if name not in _SECRET_VARIABLES}
        if options.is_embedded:  # its workers are its children, and inherit this
            secrets = self.connections.secrets
            environment |= {DSN_VARIABLE: secrets.dsn, ENDPOINT_VARIABLE: secrets.endpoint}
        master = EMBEDDED if options.is_embedded else options.master
        with job_server(options.jar, master, directory, environment) as endpoint:
            yield endpoint

    def _arguments(self, name: str, endpoint: str) -> list[str]:
        options = self.options
        arguments = [
            f"--job_name={name}",
            f"--job_endpoint={endpoint}",
            f"--parallelism={options.parallelism}",
            f"--environment_type={options.environment_type}",
            f"--environment_config={options.environment_config}",
            "--experiments=disable_logging_submission_environment",
            *options.passed_on,
        ]
        # Without checkpoints (FlinkCluster.check): a job with them does not end by itself, and one without begins anew
        # after a failure, which changes nothing of what is there.
        if options.is_streaming:  # a bundle for each partition: it flows on when it is encoded
            arguments += ["--streaming", "--max_bundle_size=1", "--max_bundle_time_mills=100"]
        return arguments
