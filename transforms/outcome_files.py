"""Outcome files: how the outcomes of a wave come back to the launching process, wherever the workers run.

Each bundle writes a file when it ends, under a random name, so no two attempts meet. A bundle that the runner retries
writes its outcomes again: an outcome counts once, in however many files it is.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam

from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PartitionSummary, PendingPartition, Report
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from transforms.elements import decode_json, encode_json

_KINDS: dict[str, type[Report]] = {
    kind.__name__: kind for kind in (PartitionSummary, PartitionFailure, CommittedPartition, PendingPartition)
}
#: A bundle reports a wave's partitions at most, a few hundred bytes each.
_MAX_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class OutcomeFiles:
    """The outcome files of one wave. Picklable.

    Attributes:
        location: a place that the launching process and all workers can reach.
        prefix: key prefix of the files there, one for each wave.
    """

    location: StorageLocation
    prefix: str

    def write(self, outcomes: Iterable[Report]) -> None:
        """Write the outcomes of one bundle, all at once; nothing when there are none."""
        lines = [f"{type(outcome).__name__} {encode_json(outcome).decode()}" for outcome in outcomes]
        if lines:
            key = f"{self.prefix}/{secrets.token_hex(8)}.jsonl"
            open_store(self.location).create(key, "\n".join(lines).encode())

    def read(self) -> list[Report]:
        """What became of each partition, see `SeenOutcomes.read`."""
        return SeenOutcomes(self).read()

    def list_files(self) -> list[str]:
        """The keys of the files that are there."""
        children = open_store(self.location).list_children(self.prefix)
        return [f"{self.prefix}/{entry.name}" for entry in children if not entry.is_prefix]

    def read_one(self, key: str) -> Iterator[Report]:
        """The outcomes of one file."""
        for line in open_store(self.location).read(key, _MAX_BYTES).decode().splitlines():
            kind, _, encoded = line.partition(" ")
            yield decode_json(_KINDS[kind], encoded.encode())

    def remove(self) -> None:
        """Remove the files."""
        for key in self.list_files():
            open_store(self.location).delete(key)


class SeenOutcomes:
    """Follows outcome files while they are written; reads each once.

    Attributes:
        has_failed: whether a partition failed, or was refused by its chain.
    """

    def __init__(self, files: OutcomeFiles) -> None:
        self._files = files
        self._read: set[str] = set()
        self._outcomes: list[Report] = []
        #: How many of the outcomes were returned by `new`.
        self._returned = 0
        self._partitions: set[tuple[str, Partition]] = set()
        self.has_failed = False

    @property
    def known(self) -> int:
        """How many partitions were published or had failed when the files were looked at last."""
        return len(self._partitions)

    def new(self) -> list[Report]:
        """The outcomes of the files that were written since the last call."""
        for key in self._files.list_files():
            if key not in self._read:
                self._outcomes += list(self._files.read_one(key))
                self._read.add(key)
        found = self._outcomes[self._returned :]
        self._returned = len(self._outcomes)
        self._partitions |= {(one.chain, one.partition) for one in found}
        self.has_failed = self.has_failed or any(isinstance(one, PartitionFailure) for one in found)
        return found

    def count(self) -> int:
        """How many partitions are published or failed by now."""
        self.new()
        return self.known

    def read(self) -> list[Report]:
        """What became of each partition by now, in no particular order: of each at most one outcome of each kind.

        A bundle that a runner repeats reports again. Of outcomes that differ the better one counts: written before
        skipped, published before failed, committed before pending or refused, a new event before one that was there.
        """
        self.new()
        found: dict[tuple[str, str, Partition], Report] = {}
        for outcome in self._outcomes:
            identity = (_kind(outcome), outcome.chain, outcome.partition)
            found[identity] = max(found.get(identity, outcome), outcome, key=_worth)
        best: dict[tuple[str, str, Partition], Report] = {}
        for kind, chain, partition in found:
            if not any((better, chain, partition) in found for better in _REPLACED_BY[kind]):
                best[kind, chain, partition] = found[kind, chain, partition]
        return list(best.values())


def _kind(outcome: Report) -> str:
    return "Refusal" if isinstance(outcome, PartitionFailure) and outcome.published else type(outcome).__name__


def _worth(outcome: Report) -> bool:
    """Whether an outcome is the better one of its kind."""
    if isinstance(outcome, PartitionSummary):
        return outcome.outcome is not Outcome.SKIPPED
    return isinstance(outcome, CommittedPartition) and outcome.is_new


#: Kinds of outcomes that count instead of another one of the same partition.
_REPLACED_BY: dict[str, tuple[str, ...]] = {
    PartitionSummary.__name__: (),
    PartitionFailure.__name__: (PartitionSummary.__name__,),
    CommittedPartition.__name__: (),
    PendingPartition.__name__: (CommittedPartition.__name__, "Refusal"),
    "Refusal": (CommittedPartition.__name__,),
}


class WriteOutcomes(beam.DoFn):
    """Writes its elements (dataclasses of `bronze.outcomes`) to outcome files, a file for each bundle."""

    def __init__(self, files: OutcomeFiles) -> None:
        self._files = files
        self._outcomes: list[Report] = []

    def start_bundle(self) -> None:
        """Forget what a failed bundle left."""
        self._outcomes = []

    def process(self, element: Report) -> None:
        """Take one outcome."""
        self._outcomes.append(element)

    def finish_bundle(self) -> None:
        """Write the outcomes of the bundle."""
        self._files.write(self._outcomes)
