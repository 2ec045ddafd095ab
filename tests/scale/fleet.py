"""Planning, shuffle and sequencer of all of pubnet with a fleet that fails: ``python -m tests.scale.fleet``.

No ledger is read and nothing is waited for: partitions are published as manifests, to stores in memory that count
requests and work as object stores do (no locks). What is real: the plan, the graph with its shuffle on Beam's local
runner, the stateful stage, the commit protocol, event files, claims and checkpoint. docs/scale.md has the figures.

``graph``    the graph of a run, partitions published in random order, nothing fails
``faults``   runs one after the other until everything is committed: partitions arrive in random order, some fail in
             each run, requests fail, workers are killed within bundles, and zombies go on, at once and much later
``dealt``    the partitions of each worker in order, one worker after the other, as a batch runner's shuffle has them

Exit status 1 when the chain is not the one of an undisturbed run.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any
from unittest import mock

from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import CheckpointFile
from bronze.job import connections
from bronze.job.secrets import Secrets
from bronze.job.spec import CopyJob
from bronze.lake.layout import LakeLayout
from bronze.outcomes import CommittedPartition, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import plan_era
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.memory import MemoryStore
from bronze.storage.store import Store
from pipeline.launch.local_runner import LocalRunner
from tests.bronze.conftest import lay, summary
from tests.scale import stand_in
from tests.scale.simulated_runner import Faults, SimulatedRunner
from tests.scale.unreliable_store import UnreliableStore, unreliable_stores
from tests.support.counting_store import CountedStores, counted_stores
from tests.transforms.conftest import make_job
from transforms import graph
from transforms.elements import BatchFiles, PartitionKey, encode_json
from transforms.key_by_partition import batch_files
from transforms.outcome_files import OutcomeFiles
from transforms.sequence import SequencePartitions

SIZE = 10_000
LAYOUT = LakeLayout(1, 64_000, "zst")
#: What goes wrong, as shares: partitions in each run, requests, bundles.
FAILED_PARTITIONS, FAILED_REQUESTS = 0.002, 0.002
FAULTS = Faults(killed=0.05, zombies=0.05, late_zombies=0.05)
#: Delivered twice.
DUPLICATES = 0.01


@dataclass(slots=True)
class Measured:
    """What one part of the simulation did."""

    partitions: int
    seconds: float = 0.0
    cpu_seconds: float = 0.0
    peak_mb: float = 0.0
    runs: int = 1
    requests: dict[str, int] = field(default_factory=dict)
    counted: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)


def pubnet(partitions: int) -> Era:
    """An era of so many partitions."""
    return Era(
        era_id="all", version_label="v1", network="pubnet", ledger_start=0, ledger_end=partitions * SIZE - 1,
        partition_size=SIZE,
    )  # fmt: skip


class Fleet:
    """A job whose dataset, events and state are in `stores`."""

    def __init__(self, era: Era, root: Path, stores: CountedStores) -> None:
        self.era = era
        self.stores = stores
        self._lake = MemoryStore("lake")
        self.job: CopyJob = make_job(
            root,
            layout=LAYOUT,
            eras=(era,),
            target={"location": StorageLocation("s3://dataset"), "prefix": "bronze"},
            chain={
                "events": StorageLocation("s3://events"),
                "checkpoint": StorageLocation("s3://state"),
                "single_era": True,
            },
            run={"retry": RetryPolicy(3, 1)},
        )

    def open(self, location: StorageLocation) -> Store:
        """The store at a location of the job."""
        of_bucket = {
            "s3://dataset": self.stores.dataset,
            "s3://events": self.stores.events,
            "s3://state": self.stores.state,
        }
        return of_bucket.get(location.url) or self._lake

    @contextmanager
    def opened(self) -> Iterator[None]:
        """Let the stages find the stores, until the block ends."""
        with mock.patch.object(connections, "open_store", self.open):
            yield

    def connected(self) -> connections.Connections:
        """Connections of its job."""
        return connections.Connections(self.job, Secrets())

    def planned(self) -> list[Partition]:
        """The partitions that the next run copies."""
        position = self.connected().sequencer(self.era).position()
        dataset = self.connected().dataset()
        return list(plan_era(self.era, position.next_ledger, None, dataset, partial=False).partitions)

    def publish(self, partition: Partition) -> PartitionSummary:
        """Publish a partition, as a stand-in for the encode stage."""
        made = summary(partition.start, partition.end, of=self.era, byte_size=1)
        lay(self.connected().dataset(), self.era, made)
        return made

    def problems(self, partitions: list[Partition]) -> list[str]:
        """What is wrong with the chain, a sentence each; it should hold `partitions`, each once, in this order."""
        events = EventLog(self.stores.events, self.era).load()
        checkpoint = CheckpointFile(self.stores.state, self.era, "test", single=True).load()
        found = []
        if [event.partition for event in events] != partitions:
            found.append(f"the chain has {len(events)} events, not the {len(partitions)} of the plan in their order")
        if checkpoint is None or checkpoint.chain is None:
            return [*found, "there is no checkpoint"]
        if checkpoint.last_ledger != partitions[-1].end:
            found.append(f"the checkpoint is at ledger {checkpoint.last_ledger}, not {partitions[-1].end}")
        if not events or (checkpoint.chain.head, checkpoint.chain.events) != (events[-1].event_hash, len(events)):
            found.append(f"the checkpoint states {checkpoint.chain.events} events up to {checkpoint.chain.head}")
        return found


def run_graph(partitions: int, seed: int, root: Path) -> Measured:
    """The graph of a run; what its shuffle carries is counted."""
    fleet = Fleet(pubnet(partitions), root, counted_stores())
    measured = Measured(partitions)
    with fleet.opened():
        planned = fleet.planned()
        keys = [PartitionKey(fleet.era.chain, partition) for partition in planned]
        carried = _carried(keys)
        stand_in.PublishInRandomOrder.publish, stand_in.PublishInRandomOrder.seed = fleet.publish, seed
        outcomes = OutcomeFiles(StorageLocation(str(root / "outcomes")), "wave")
        runner = LocalRunner(Secrets(), "simulated", workers=1)
        fleet.stores.taken()
        with mock.patch.object(graph, "EncodePartition", stand_in.PublishInRandomOrder):
            runner.run(graph.CopyPartitions(fleet.job, keys, outcomes))
        made = Counter(type(one).__name__ for one in outcomes.read())
        _count_requests(measured, fleet)
    measured.counted = {**carried, "outcomes": dict(made)}
    measured.problems = fleet.problems(planned)
    if made != {PartitionSummary.__name__: len(keys), CommittedPartition.__name__: len(keys)}:
        measured.problems.append(f"the outcomes are {dict(made)}")
    return measured


def run_with_faults(
    partitions: int, seed: int, root: Path, *, failed: float = FAILED_PARTITIONS, most_in_bundle: int = 50
) -> Measured:
    """Runs until everything is committed.

    Args:
        failed: the share of partitions that cannot be published in a run.
    """
    rng = random.Random(seed)
    fleet = Fleet(pubnet(partitions), root, unreliable_stores(rng, 0.0))
    measured = Measured(partitions, runs=0)
    whole, counted, published = list[Partition](), Counter[str](), set[Partition]()
    with fleet.opened():
        while planned := fleet.planned():
            measured.runs += 1
            whole = whole or planned
            if measured.runs > 100:
                measured.problems.append(f"after 100 runs {len(planned)} partitions are not committed")
                break
            published |= {one for one in planned if one not in published and rng.random() >= failed}
            arrivals = [fleet.publish(one) for one in planned if one in published]
            arrivals += rng.sample(arrivals, int(len(arrivals) * DUPLICATES))
            rng.shuffle(arrivals)
            runner = SimulatedRunner(lambda: SequencePartitions(fleet.job), rng, FAULTS, most=most_in_bundle)
            fleet.stores.taken()
            _let_requests_fail(fleet.stores, FAILED_REQUESTS)
            runner.run(arrivals)
            _let_requests_fail(fleet.stores, 0.0)
            _count(measured, fleet, runner, counted)
    counted["failed requests"] = sum(store.failed for store in _unreliable(fleet.stores))
    measured.counted = dict(counted)
    measured.problems += fleet.problems(whole)
    return measured


def run_dealt(partitions: int, workers: int, root: Path) -> Measured:
    """Worker by worker, nothing fails."""
    fleet = Fleet(pubnet(partitions), root, counted_stores())
    measured = Measured(partitions)
    with fleet.opened():
        planned = fleet.planned()
        arrivals = [fleet.publish(one) for worker in range(workers) for one in planned[worker::workers]]
        runner = SimulatedRunner(lambda: SequencePartitions(fleet.job), random.Random(0), Faults())
        fleet.stores.taken()
        runner.run(arrivals)
        counted = Counter[str]()
        _count(measured, fleet, runner, counted)
    measured.counted = dict(counted)
    measured.problems = fleet.problems(planned)
    return measured


def _carried(keys: list[PartitionKey]) -> dict[str, int]:
    """What the shuffle carries: elements and bytes as coded."""
    files = list(batch_files(keys, LAYOUT))
    coded = [len(encode_json(one)) for one in files]
    return {
        "shuffled elements": len(files),
        "shuffled bytes": sum(coded) + sum(len(encode_json(key)) for key in keys),
        "lake files": sum(len(one.starts()) for one in files if isinstance(one, BatchFiles)),
    }


def _let_requests_fail(stores: CountedStores, chance: float) -> None:
    for store in _unreliable(stores):
        store.chance = chance


def _unreliable(stores: CountedStores) -> list[UnreliableStore]:
    return [store for store in (stores.dataset, stores.events, stores.state) if isinstance(store, UnreliableStore)]


def _count(measured: Measured, fleet: Fleet, runner: SimulatedRunner, counted: Counter[str]) -> None:
    _count_requests(measured, fleet)
    found = asdict(replace(runner.counted, state=Counter()))
    found.pop("state")
    counted.update(runner.counted.state)
    most = max(counted.pop("most_waiting", 0), found.pop("most_waiting"))
    counted.update(found)
    counted["most_waiting"] = most


def _count_requests(measured: Measured, fleet: Fleet) -> None:
    for name, taken in fleet.stores.taken().items():
        measured.requests[name] = measured.requests.get(name, 0) + sum(taken.values())


def measured(part: Callable[[Path], Measured]) -> Measured:
    """Run a part of the simulation; the peak is of the whole process so far."""
    with tempfile.TemporaryDirectory() as root:
        wall, cpu = time.perf_counter(), time.process_time()
        made = part(Path(root))
        made.seconds, made.cpu_seconds = time.perf_counter() - wall, time.process_time() - cpu
    made.peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return made


def main() -> int:
    """Run the parts that were asked for, print what they did."""
    parser = argparse.ArgumentParser(prog="python -m tests.scale.fleet", description=__doc__.split("\n\n")[0])
    parser.add_argument("--partitions", type=int, default=6500)
    parser.add_argument("--workers", type=int, default=40, help="among whom the part `dealt` deals partitions out")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--parts", default="graph,faults,dealt")
    options = parser.parse_args()
    parts: dict[str, Callable[[Path], Measured]] = {
        "graph": lambda root: run_graph(options.partitions, options.seed, root),
        "faults": lambda root: run_with_faults(options.partitions, options.seed, root),
        "dealt": lambda root: run_dealt(options.partitions, options.workers, root),
    }
    logging.getLogger("bronze").setLevel(logging.CRITICAL)  # every request that fails would be said
    problems = 0
    for name in options.parts.split(","):
        made = measured(parts[name])
        problems += len(made.problems)
        print(name, json.dumps(asdict(made), indent=2), flush=True)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
