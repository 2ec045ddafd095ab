"""What an audit of one era found, as data."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from bronze.partitioning.partition import Partition
from bronze.verify.finding import Finding, Level, Severity, counted
from bronze.verify.partition_check import PartitionReport
from bronze.verify.selection import Selection


class Verdict(enum.StrEnum):
    """What an audit says in a word."""

    HOLDS = "HOLDS"
    """Everything that was checked holds, and nothing that is wanted is missing."""
    INCOMPLETE = "INCOMPLETE"
    """Everything that is there holds; ledgers, or rows of the catalog, that are wanted are missing."""
    UNCHECKED = "COULD NOT BE CHECKED"
    """Something could not be checked; what could be checked holds."""
    INTERRUPTED = "INTERRUPTED"
    """The audit was asked to stop; what it had checked by then holds."""
    DOES_NOT_HOLD = "DOES NOT HOLD"
    """Something is wrong."""
    NOTHING = "NOTHING TO VERIFY"
    """Nothing of the chain is there."""


@dataclass(slots=True, kw_only=True)
class Proof:
    """How far something from outside proves an era.

    Attributes:
        checked: partitions that it was asked about.
        proven: those that it proves.
        through: the last ledger that is proven so; None when none is.
    """

    checked: int
    proven: int = 0
    through: int | None = None

    def add(self, through: int) -> None:
        """Count a partition that is proven through that ledger."""
        self.proven += 1
        self.through = max(self.through or 0, through)


@dataclass(slots=True, kw_only=True)
class EraAudit:
    """What an audit of one era found.

    Attributes:
        chain: ``network/era_id/version_label``.
        url: the table's directory.
        level: how deep the audit went.
        reports: of the partitions, in ledger order; the heavier levels reached those in `deep`.
        deep: partitions that were looked into at that level.
        gaps: inclusive ranges without a partition between the first and the last, or up to where the era is committed
            or ends.
        findings: in no order; a gap is one of them too.
        checked, not_checked: what was checked and what was not, a sentence each.
        events: event files that were checked; None when the chain was not asked for.
        event_hashes: of the last event of each partition, as its file says; empty when they were not looked at.
        head: hash of the last event; empty when there is none.
        is_complete: False when the audit was interrupted.
        scp: what SCP messages of a quorum prove; None when they were not asked for.
        archives: what enough history archives confirm; None when none were asked.
    """

    chain: str
    url: str
    level: Level
    reports: list[PartitionReport] = field(default_factory=list)
    deep: int = 0
    gaps: list[Partition] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    checked: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)
    events: int | None = None
    event_hashes: dict[Partition, str] = field(default_factory=dict)
    head: str = ""
    is_complete: bool = True
    scp: Proof | None = None
    archives: Proof | None = None

    @property
    def partitions(self) -> int:
        """How many are published."""
        return len(self.reports)

    def selected(self, selection: Selection) -> list[PartitionReport]:
        """The reports of the partitions that `selection` holds, as far as their manifests can be used."""
        return [report for report in self.reports if report.rows and selection.holds(report.partition)]

    @property
    def rows(self) -> int:
        """By the manifests."""
        return sum(report.rows for report in self.reports)

    @property
    def bytes(self) -> int:
        """Size of the parquet files, by the manifests."""
        return sum(report.byte_size for report in self.reports)

    @property
    def first(self) -> int | None:
        """The first ledger that is published; None when none is."""
        return min((report.partition.start for report in self.reports), default=None)

    @property
    def last(self) -> int | None:
        """The last ledger that is published; None when none is."""
        return max((report.partition.end for report in self.reports), default=None)

    @property
    def problems(self) -> list[str]:
        """What is wrong or could not be checked, a sentence each; ledgers that are missing are in `gaps`."""
        return [str(one) for one in self.findings if one.severity in (Severity.WRONG, Severity.UNCHECKED)]

    @property
    def notes(self) -> list[str]:
        """What is not wrong but worth knowing, a sentence each: what a run in progress or a killed one leaves."""
        return [str(one) for one in self.findings if one.severity is Severity.NOTE]

    @property
    def is_empty(self) -> bool:
        """Whether there was nothing to verify."""
        found = {finding.severity for finding in self.findings} & {Severity.WRONG, Severity.UNCHECKED}
        return self.is_complete and not (self.reports or self.events or found)

    @property
    def verdict(self) -> Verdict:
        """The result in a word; what is worst decides."""
        if self.is_empty:
            return Verdict.NOTHING
        if counted(self.findings, Severity.WRONG):
            return Verdict.DOES_NOT_HOLD
        if self.is_complete and counted(self.findings, Severity.MISSING):
            return Verdict.INCOMPLETE
        if not self.is_complete:
            return Verdict.INTERRUPTED
        return Verdict.UNCHECKED if counted(self.findings, Severity.UNCHECKED) else Verdict.HOLDS
