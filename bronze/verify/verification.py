"""What a verification found."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from bronze.partitioning.partition import Partition


class Verdict(enum.StrEnum):
    """What a verification says in a word."""

    HOLDS = "HOLDS"
    """Everything that was checked holds, and nothing that is wanted is missing."""
    INCOMPLETE = "INCOMPLETE"
    """Everything that is there holds; ledgers that are wanted are missing."""
    DOES_NOT_HOLD = "DOES NOT HOLD"
    """Something is wrong."""
    NOTHING = "NOTHING TO VERIFY"
    """Nothing of the chain is there."""


@dataclass(slots=True)
class Verification:
    """What was found; `problems` is empty when everything holds.

    Attributes:
        chain: ``network/era_id/version_label``.
        events, partitions: number of event files and of published partitions.
        rows, bytes: sums over the partitions, by their manifests.
        first, last: inclusive ledgers that the partitions reach from and to; None without a partition.
        head: hash of the last event; empty without events.
        gaps: inclusive ranges of ledgers without a partition, from the era's start up to where the chain is
            committed, and up to the last partition where that reaches further.
        unpublished: the ledgers behind that, up to the era's end, which are not published yet; None when the era has no
            end, or everything is there.
        problems: one sentence each.
        notes: what is not wrong but worth knowing, a sentence each: what a run in progress or a killed one leaves.
        not_checked: what was not checked, a sentence each.
    """

    chain: str
    events: int = 0
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    head: str = ""
    gaps: list[Partition] = field(default_factory=list)
    unpublished: Partition | None = None
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    not_checked: list[str] = field(default_factory=list)

    @property
    def verdict(self) -> Verdict:
        """The result in a word."""
        if self.problems:
            return Verdict.DOES_NOT_HOLD
        if not self.partitions and not self.events:
            return Verdict.NOTHING
        return Verdict.INCOMPLETE if self.gaps or self.unpublished else Verdict.HOLDS
