"""Writes what became of each partition where the program that launched the run reads it.

A file for each bundle, written when the bundle ends. A bundle that is tried again reports again: an
outcome counts once, whatever number of files has it.
"""

import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam

from bronze.outcomes import CommittedPartition, PartitionFailure, PartitionSummary, PendingPartition, Report
from transforms.elements import decode_json, encode_json

_KINDS: dict[str, type[Report]] = {
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
        self._lines.append(f"{type(element).__name__} {encode_json(element).decode()}")

    def finish_bundle(self) -> None:
        """Write the bundle's outcomes, all at once."""
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{secrets.token_hex(8)}.jsonl"
        part = path.with_suffix(".part")
        part.write_text("\n".join(self._lines), encoding="utf-8")
        part.replace(path)


def read_report(folder: Path) -> Iterator[Report]:
    """All outcomes below `folder`, in no particular order."""
    seen = set()
    for path in folder.glob("*.jsonl"):
        for line in path.read_text(encoding="utf-8").splitlines():
            kind, _, encoded = line.partition(" ")
            found = decode_json(_KINDS[kind], encoded.encode())
            identity = (kind, found.chain, found.partition)
            if identity not in seen:
                seen.add(identity)
                yield found
