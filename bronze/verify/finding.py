"""What an audit finds, as data: one finding for each thing that is wrong, could not be checked, or is worth knowing."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any, Self

from bronze.partitioning.partition import Partition


class Level(enum.StrEnum):
    """How deep an audit goes; each level includes the ones before it.

    >>> Level.ROWS.includes(Level.FILES), Level.FILES.includes(Level.ROWS)
    (True, False)
    """

    MANIFESTS = "manifests"
    """Every partition has a manifest that fits it, its neighbours and the size of its parquet file."""
    FILES = "files"
    """The SHA-256 of every parquet file."""
    ROWS = "rows"
    """Every row: its order, its bytes, their hashes, and every column against the bytes."""
    SOURCE = "source"
    """The bytes of every row are those of the lake."""

    def includes(self, other: Level) -> bool:
        """Whether an audit at this level checks what one at `other` checks."""
        levels = list(Level)
        return levels.index(self) >= levels.index(other)


class Severity(enum.StrEnum):
    """What a finding means for the result."""

    WRONG = "wrong"
    """Something does not hold."""
    UNCHECKED = "unchecked"
    """Something could not be checked: it cannot be reached or read."""
    NOTE = "note"
    """Nothing is wrong, such as what a run in progress leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that an audit found.

    Attributes:
        severity: what it means for the result.
        level: the level that found it, or ``chain``.
        chain: ``network/era_id/version_label``.
        object: URL of the file that it was found in.
        found: what was found, in words.
        expected: what should have been found; empty where `found` says it.
        partition: ``start-end``; empty where it concerns no single one.
        ledger: the ledger; None where it concerns no single one.
        remedy: what to do about it; empty where nothing general can be said.
    """

    severity: Severity
    level: str
    chain: str
    object: str
    found: str
    expected: str = ""
    partition: str = ""
    ledger: int | None = None
    remedy: str = ""

    def as_json(self) -> dict[str, str | int | None]:
        """The finding as ``verify --json`` has it."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_json(cls, entry: dict[str, Any]) -> Self:
        """The finding that `as_json` made `entry` of."""
        return cls(**{**entry, "severity": Severity(entry["severity"])})

    def __str__(self) -> str:
        where = f"{self.object}: ledger {self.ledger}" if self.ledger is not None else self.object
        expected = f", expected {self.expected}" if self.expected else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.severity}: {where}: {self.found}{expected}{remedy}"


def counted(findings: list[Finding], severity: Severity) -> int:
    """How many of `findings` have this severity."""
    return sum(finding.severity is severity for finding in findings)


def remake(partition: Partition) -> str:
    """The remedy for a damaged partition whose lake is still there."""
    return f"bronze-copier run --partition {partition} --again"
