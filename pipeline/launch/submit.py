"""Hands a copy to Dataflow as one job, and does not wait for it: what it does is found in the chain."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.launch.dataflow_runner import DataflowRunner
from pipeline.launch.existence import begin_existence
from pipeline.launch.prepare import Prepared
from pipeline.launch.runner import job_on
from pipeline.launch.session import ChainSession
from transforms.elements import PartitionKey
from transforms.graph import CopyPartitions
from transforms.outcome_files import OutcomeFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A job that was submitted.

    Attributes:
        job_id: Dataflow's; empty when the job was written to a file instead.
        partitions: how many it copies; 0: nothing was to be done, and there is no job.
        outcomes: URL of the directory where its workers write what became of each partition.
        outstanding: what earlier runs committed and is not recorded or delivered yet, a sentence each.
    """

    job_id: str
    partitions: int
    outcomes: str
    outstanding: list[str]


def submit_copy(prepared: Prepared, runner: DataflowRunner) -> Submitted:
    """Submit what `prepared` planned.

    The locks of the chains end with this process, before the job: its commits claim their places (`EventLog.append`).

    Raises:
        RunnerError: it could not be submitted.
        CatalogError: the catalog is strict, and cannot be used.
        StateError: what is recorded of a chain contradicts itself.
    """
    job = prepared.job
    control = runner.control_location(None)
    keys = [PartitionKey(plan.era.chain, partition) for plan in prepared.plans for partition in plan.partitions]
    session = ChainSession(prepared.connections, prepared.positions, prepared.listings)
    session.open()
    if not job.run.dry_run:
        begin_existence(prepared)
    job_id = ""
    if keys:
        outcomes = OutcomeFiles(control, "wave-0")
        job = job_on(runner, job, control, partitions=len(keys))
        job_id = runner.submit(CopyPartitions(job, keys, outcomes, runner.look_ahead))
    return Submitted(job_id=job_id, partitions=len(keys), outcomes=control.url, outstanding=session.close())
