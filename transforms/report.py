"""Writes what became of each partition where the program that launched the run reads it.

A file for each outcome, named by what it is of: writing it twice changes nothing.
"""

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apache_beam as beam

from bronze.summary import Commit, Outcome, PartitionFailure, PartitionSummary, Pending

_KINDS: dict[str, type] = {kind.__name__: kind for kind in (PartitionSummary, PartitionFailure, Commit, Pending)}


class WriteReport(beam.DoFn):
    """Writes each element (a dataclass of `bronze.summary`) to a file of its own below `folder`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def process(self, element: Any) -> None:
        """Write one outcome, all at once."""
        folder = Path(self._folder)
        folder.mkdir(parents=True, exist_ok=True)
        kind = type(element).__name__
        name = f"{kind}_{element.chain.replace('/', '_')}_{element.start}-{element.end}.json"
        part = folder / f"{name}.{os.getpid()}.part"
        part.write_text(json.dumps(dataclasses.asdict(element)), encoding="utf-8")
        part.replace(folder / name)


def read_report(folder: Path) -> Iterator[PartitionSummary | PartitionFailure | Commit | Pending]:
    """All outcomes below `folder`, in no particular order."""
    for path in folder.glob("*.json"):
        values = json.loads(path.read_text(encoding="utf-8"))
        if "outcome" in values:
            values["outcome"] = Outcome(values["outcome"])
        yield _KINDS[path.name.partition("_")[0]](**values)
