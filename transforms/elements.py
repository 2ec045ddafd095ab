"""What flows through the graph, and its coders: references and summaries, never ledger bytes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import Any, TypeVar

import apache_beam as beam

from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PartitionSummary, PendingPartition


@dataclass(frozen=True, slots=True, order=True)
class BatchFiles:
    """A run of neighbouring ledger batch files of a lake.

    Attributes:
        start: first ledger of the first file's name.
        end: first ledger of the last file's name (inclusive).
        step: ledgers per file.
    """

    start: int
    end: int
    step: int

    def starts(self) -> range:
        """First ledgers of the files' names."""
        return range(self.start, self.end + 1, self.step)


@dataclass(frozen=True, slots=True, order=True)
class PartitionKey:
    """The key ledgers are grouped by: an era's chain and a partition of it (inclusive ledgers)."""

    chain: str
    start: int
    end: int


class FrozenCoder(beam.coders.Coder):
    """Codes one kind of frozen dataclass of plain values as JSON: deterministic, so fit for keys."""

    kind: type

    def encode(self, value: Any) -> bytes:
        """The fields in their order."""
        values = (getattr(value, field.name) for field in dataclasses.fields(self.kind))
        return json.dumps(list(values), separators=(",", ":")).encode()

    def decode(self, encoded: bytes) -> Any:
        """The value again."""
        return self.kind(*json.loads(encoded))

    def is_deterministic(self) -> bool:
        """Same value, same bytes."""
        return True

    def to_type_hint(self) -> type:
        """The dataclass."""
        return self.kind


Kind = TypeVar("Kind")


def _register(kind: type) -> type[FrozenCoder]:
    coder = type(f"{kind.__name__}Coder", (FrozenCoder,), {"kind": kind, "__module__": __name__})
    beam.coders.registry.register_coder(kind, coder)
    return coder


BatchFilesCoder = _register(BatchFiles)
PartitionKeyCoder = _register(PartitionKey)
PartitionFailureCoder = _register(PartitionFailure)
CommittedPartitionCoder = _register(CommittedPartition)
PendingPartitionCoder = _register(PendingPartition)


class PartitionSummaryCoder(FrozenCoder):
    """Codes summaries; their outcome is an enumeration."""

    kind = PartitionSummary

    def decode(self, encoded: bytes) -> PartitionSummary:
        """The summary again."""
        summary: PartitionSummary = super().decode(encoded)
        return dataclasses.replace(summary, outcome=Outcome(summary.outcome))


beam.coders.registry.register_coder(PartitionSummary, PartitionSummaryCoder)
