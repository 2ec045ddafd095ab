"""What an audit finds, as data: one finding for each thing that is wrong, could not be checked, or is worth knowing."""

from __future__ import annotations

import enum
from dataclasses import dataclass, fields
from typing import Any, Self

from bronze.errors import DataError, NotAnObjectError, ObjectNotFoundError, ObjectTooLargeError, StoreError
from bronze.partitioning.partition import Partition

_NO_FILE_OF_OURS = (ObjectNotFoundError, NotAnObjectError, ObjectTooLargeError)


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
    MISSING = "missing"
    """Ledgers that are wanted have no partition, or a partition no row in the catalog; what is there may hold."""
    UNCHECKED = "unchecked"
    """Something could not be checked: it cannot be reached or read."""
    NOTE = "note"
    """Nothing is wrong, such as what a run in progress leaves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that an audit found.

    Attributes:
        severity: what it means for the result.
        level: the level that found it, or ``chain``, ``checkpoint`` or ``catalog``.
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

    @property
    def start(self) -> int:
        """The ledger that it concerns, or the first one of its partition; 0 where it concerns none."""
        return int(self.partition.partition("-")[0] or 0) if self.ledger is None else self.ledger

    def __str__(self) -> str:
        where = self.object
        if self.ledger is not None:
            where += f": ledger {self.ledger}"
        elif self.partition and self.partition not in self.object:
            where += f": partition {self.partition}"
        expected = f", expected {self.expected}" if self.expected else ""
        remedy = f" ({self.remedy})" if self.remedy else ""
        return f"{self.severity}: {where}: {self.found}{expected}{remedy}"


class FindingCollector:
    """Collects what one part of an audit finds of one chain.

    Args:
        findings: what is found is appended here.
        where: the object that findings are of, unless they say otherwise.
        remedy: what to do about what is wrong, unless a finding says otherwise.
    """

    def __init__(self, findings: list[Finding], chain: str, level: str, where: str, *, remedy: str = "") -> None:
        self._findings = findings
        self._chain = chain
        self._level = level
        self._where = where
        self._remedy = remedy

    def add(
        self,
        found: str,
        *,
        where: str = "",
        severity: Severity = Severity.WRONG,
        partition: Partition | None = None,
        ledger: int | None = None,
        expected: str = "",
        remedy: str = "",
    ) -> None:
        """Add a finding; the arguments are the fields of `Finding`."""
        self._findings.append(
            Finding(
                severity=severity,
                level=self._level,
                chain=self._chain,
                object=where or self._where,
                partition="" if partition is None else str(partition),
                ledger=ledger,
                found=found,
                expected=expected,
                remedy=remedy or (self._remedy if severity is Severity.WRONG else ""),
            )
        )

    def note(self, found: str, *, where: str = "", partition: Partition | None = None) -> None:
        """Add what is not wrong but worth knowing."""
        self.add(found, where=where, severity=Severity.NOTE, partition=partition)

    def add_failure(self, error: Exception, where: str) -> None:
        """Add that a file cannot be read: missing or damaged is wrong, unreadable is unchecked."""
        severity = Severity.UNCHECKED if is_unreadable(error) else Severity.WRONG
        found = str(error) if isinstance(error, DataError) else f"cannot be read: {error}"
        self.add(found, where=where, severity=severity)


def is_unreadable(error: Exception) -> bool:
    """Whether `error` says that something cannot be read, not that it is wrong."""
    # An OSError without a number is of the parquet reader: the bytes could be read, and are damaged.
    is_damaged = isinstance(error, _NO_FILE_OF_OURS) or (isinstance(error, OSError) and error.errno is None)
    return isinstance(error, (OSError, StoreError)) and not is_damaged


def counted(findings: list[Finding], severity: Severity) -> int:
    """How many of `findings` have this severity."""
    return sum(finding.severity is severity for finding in findings)


def fill(gap: Partition) -> str:
    """The remedy for ledgers before the chain's position that no partition covers."""
    return f"set last_committed_ledger of the checkpoint to {max(gap.start - 1, 0)}, then: bronze-copier run"


def remake(partition: Partition) -> str:
    """The remedy for a damaged partition whose lake is still there."""
    return f"bronze-copier run --partition {partition} --again"
