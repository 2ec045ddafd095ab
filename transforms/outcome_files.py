"""Outcome files: how the outcomes of a wave come back to the launching process, wherever the workers run.

Each bundle writes a file when it ends, under a random name, so no two attempts meet. A bundle that the runner retries
writes its outcomes again: an outcome counts once, in however many files it is.
"""

import secrets
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import apache_beam as beam

from bronze.outcomes import CommittedPartition, PartitionFailure, PartitionSummary, PendingPartition, Report
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

    def read(self) -> Iterator[Report]:
        """Every outcome once, in no particular order. For one partition there may be outcomes of several kinds.

        Of several outcomes of a kind that differ, as a retried bundle reports them (written, then skipped), any
        one is taken.
        """
        store, seen = open_store(self.location), set()
        for key in self._keys():
            for line in store.read(key, _MAX_BYTES).decode().splitlines():
                kind, _, encoded = line.partition(" ")
                found = decode_json(_KINDS[kind], encoded.encode())
                identity = (kind, found.chain, found.partition)
                if identity not in seen:
                    seen.add(identity)
                    yield found

    def remove(self) -> None:
        """Remove the files."""
        for key in self._keys():
            open_store(self.location).delete(key)

    def _keys(self) -> list[str]:
        children = open_store(self.location).list_children(self.prefix)
        return [f"{self.prefix}/{entry.name}" for entry in children if not entry.is_prefix]


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
