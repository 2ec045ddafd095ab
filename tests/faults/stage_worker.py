"""The stages of a copy, as a worker of a distributed job has them whose launcher has ended: no lock keeps others away.

``python -m tests.faults.stage_worker run --config FILE``. Neither the locks of whole runs nor the catalog's are taken;
what the stages themselves do is left. Exit status 1 when a partition was not published or not committed.
"""

from __future__ import annotations

import sys
import tempfile

from bronze.outcomes import PartitionFailure, PendingPartition
from bronze.storage.location import StorageLocation
from pipeline.launch.prepare import prepare
from pipeline.launch.runner import choose_runner, job_on
from pipeline.settings import load
from transforms.elements import PartitionKey
from transforms.graph import CopyPartitions
from transforms.outcome_files import OutcomeFiles


def main(config: str) -> int:
    """Publish and commit what the settings in the file `config` plan, in one execution of the graph."""
    settings = load(config)
    prepared = prepare(settings)
    keys = [PartitionKey(plan.era.chain, partition) for plan in prepared.plans for partition in plan.partitions]
    with prepared.connections as connections, tempfile.TemporaryDirectory() as folder:
        control = StorageLocation(folder)
        runner = choose_runner(settings, connections)
        job = job_on(runner, prepared.job, control, partitions=len(keys))
        assert not job.run.is_exclusive
        outcomes = OutcomeFiles(control, "wave-0")
        runner.run(CopyPartitions(job, keys, outcomes))
        undone = [one for one in outcomes.read() if isinstance(one, (PartitionFailure, PendingPartition))]
    for one in undone:
        print(one)
    return 1 if undone else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[sys.argv.index("--config") + 1]))
