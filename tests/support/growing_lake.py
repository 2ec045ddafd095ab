"""A lake that grows while a test looks on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.e2e.conftest import LakeFiles


@dataclass
class GrowingLake:
    """A lake that gets the objects of a complete one when the test says so."""

    full: LakeFiles
    root: Path

    def add(self, *ledgers: int) -> None:
        """Export the objects of `ledgers`, one after the other, as Galexie does: each appears at once."""
        for ledger in ledgers:
            self.export(ledger, self.full.path(ledger).read_bytes())

    def export(self, ledger: int, packed: bytes) -> None:
        target = self.root / self.full.layout.key(ledger)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(".temporary")
        temporary.write_bytes(packed)
        temporary.rename(target)
