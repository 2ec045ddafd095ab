"""Writes what became of each partition where the program that launched the run reads it.

A file for each bundle, written when the bundle ends. A bundle that is tried again reports again: an
outcome counts once, whatever number of files has it.
"""

import dataclasses
import json
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam

from bronze.outcomes import CommittedPartition, Outcome, PartitionFailure, PartitionSummary, PendingPartition

_KINDS: dict[str, type] = {
    kind.__name__: kind for kind in (PartitionSummary, PartitionFailure, CommittedPartition, PendingPartition)
}


class WriteReport(beam.DoFn):
    """Writes its elements (dataclasses of `bronze.outcomes`), a bundle a file, below `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lines: list[str] = []

    def start_bundle(self) -> None:
        """Begin anew."""
        self._lines = []

    def process(self, element: Any) -> None:
        """Take one outcome."""
        self._lines.append(json.dumps([type(element).__name__, dataclasses.asdict(element)]))

    def finish_bundle(self) -> None:
        """Write the bundle's outcomes, all at once."""
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{secrets.token_hex(8)}.jsonl"
        part = path.with_suffix(".part")
        part.write_text("\n".join(self._lines), encoding="utf-8")
        part.replace(path)


def read_report(folder: Path) -> Iterator[PartitionSummary | PartitionFailure | CommittedPartition | PendingPartition]:
    """All outcomes below `folder`, in no particular order."""
    seen = set()
    for path in folder.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, values = json.loads(line)
            if "outcome" in values:
                values["outcome"] = Outcome(values["outcome"])
            found = _KINDS[kind](**values)
            identity = (kind, found.chain, found.start, found.end)
            if identity not in seen:
                seen.add(identity)
                yield found
