"""Launching a run: from settings to a job, waves of the graph on a runner, and what the launcher does around them.

Begin at `prepare.prepare`, which finds out what there is to do, and `run.run_copy`, which does it on a `runner.Runner`.
What a single partition or commit needs does not belong here: workers know the job only (`bronze.job`).

Nothing is exported here: `run` and `local_runner` load Beam, which takes seconds, so each module is imported where it
is needed.
"""

__all__: list[str] = []
