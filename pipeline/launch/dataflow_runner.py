"""Runs the graph on Google Cloud Dataflow; each of its executions is a job (docs/dataflow.md)."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner as BeamRunner
from apache_beam.runners.runner import PipelineState

from bronze.errors import RunnerError
from bronze.redact import redact
from bronze.storage.location import StorageLocation
from bronze.waiting import pause
from pipeline.launch.dataflow_options import DataflowOptions
from pipeline.launch.job_runner import JobRunner
from pipeline.launch.shared_places import control_location_of

_LOG = logging.getLogger(__name__)
#: Seconds between two looks at the state of a job.
LOOK_S = 15.0
#: Seconds after which a job is given up that nothing is heard of.
LOST_S = 600.0


@dataclass
class DataflowRunner(JobRunner):
    """Runs graphs on Dataflow."""

    options: DataflowOptions

    is_distributed = True

    def control_location(self, scratch: Path | None) -> StorageLocation:
        """See `Runner`."""
        return control_location_of(self.connections.job)

    def run(self, graph: beam.PTransform) -> None:
        """See `Runner`. A job whose launcher has ended goes on.

        Raises:
            RunnerError: the job failed, was cancelled, or could not be submitted.
        """
        result, job_id = self._submit(graph)
        if job_id is None:
            raise RunnerError("this job was written to a file and not submitted: use `run --submit` for that")
        state, heard_at = PipelineState.PENDING, time.monotonic()
        while not PipelineState.is_terminal(state):
            if not pause(LOOK_S):
                # The workers were asked to stop, too: their job ends soon. What tells them must stay until then; this
                # process is ended before, when that takes long.
                time.sleep(min(LOOK_S, 1.0))
            try:
                state, heard_at = str(result.state), time.monotonic()
                self.alive()
            except Exception as error:  # of HTTP clients, of Google's
                if time.monotonic() - heard_at > LOST_S:
                    raise RunnerError(
                        f"Dataflow has not said for {LOST_S:.0f} s how the job {job_id} is ({type(error).__name__}):"
                        " cancel it if it still runs, since nobody waits for it any more, and run again to resume"
                    ) from error
                _LOG.warning("Dataflow does not say how the job %s is: %s", job_id, type(error).__name__)
        if state != PipelineState.DONE:
            raise RunnerError(f"the job {job_id} on Dataflow ended as {state}: see its log; run again to resume")

    def submit(self, graph: beam.PTransform) -> str:
        """Submit a job that consists of `graph`, and do not wait for it.

        Returns:
            Its id; empty when it was not submitted, but written to a file (``--template_location``) or not at all
            (``--dry_run``).

        Raises:
            RunnerError: Dataflow or its staging bucket do not answer, or refuse it.
        """
        return self._submit(graph)[1] or ""

    def _submit(self, graph: beam.PTransform) -> tuple[Any, str | None]:
        arguments = [*self.options.arguments, *(["--streaming"] if self.options.is_streaming else [])]
        try:
            pipeline = beam.Pipeline(runner=BeamRunner(), options=PipelineOptions(arguments))
            pipeline | graph
            result = pipeline.run()
            job_id = result.job_id() if getattr(result, "has_job", False) else None
        except Exception as error:  # Beam raises what it got: of HTTP clients, of Google's, of its own
            text = redact(" ".join(str(error).split())[:2000])
            raise RunnerError(f"the job could not be submitted to Dataflow ({type(error).__name__}): {text}") from error
        if job_id:
            _LOG.info("job %s on Dataflow", job_id)
        return result, job_id
