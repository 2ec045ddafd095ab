"""Eras: named ranges of a network's history, each with its own grid, directory and chain."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

from bronze.errors import ConfigError
from bronze.partitioning.path_names import checked_segment
from bronze.stellar import MAX_LEDGER


@dataclass(frozen=True, slots=True, kw_only=True)
class Era:
    """One era of one network in one version of the data.

    Attributes:
        ledger_start, ledger_end: first and last ledger, inclusive; an end of 0 means that the era is open-ended.
        partition_size: ledgers of a complete partition.
        protocol_min, protocol_max: inclusive bounds of every ledger's protocol version; None means unbounded.
        allow_overwrite: whether existing partitions are encoded again and replaced when their content differs.

    Raises:
        ConfigError: a field has a value that it must not have.
    """

    era_id: str
    version_label: str
    network: str
    ledger_start: int
    ledger_end: int
    partition_size: int
    protocol_min: int | None = None
    protocol_max: int | None = None
    allow_overwrite: bool = False

    def __post_init__(self) -> None:
        for name in ("era_id", "version_label", "network"):
            checked_segment(getattr(self, name), name)
        if not 0 <= self.ledger_start <= MAX_LEDGER:
            raise ConfigError(f"ledger_start {self.ledger_start} is not in 0..{MAX_LEDGER}")
        if self.ledger_end and not self.ledger_start <= self.ledger_end <= MAX_LEDGER:
            raise ConfigError(
                f"ledger_end {self.ledger_end} is not in {self.ledger_start}..{MAX_LEDGER} (from ledger_start on)"
            )
        if self.partition_size <= 0:
            raise ConfigError(f"partition_size {self.partition_size} is not positive")

    @property
    def chain(self) -> str:
        """Name of the era's chain of audit events: ``network/era_id/version_label``."""
        return f"{self.network}/{self.era_id}/{self.version_label}"

    @property
    def file_prefix(self) -> str:
        """Prefix of the names of the chain's event and checkpoint files."""
        return f"{self.network}_{self.era_id}_{self.version_label}"

    @property
    def last_ledger(self) -> int:
        """Last ledger (inclusive); the highest possible one for an open-ended era."""
        return self.ledger_end or MAX_LEDGER


def ordered_eras(eras: Iterable[Era]) -> tuple[Era, ...]:
    """Sort `eras` by ledger, and check that they can be copied beside each other.

    Raises:
        ConfigError: there is no era, or `era_conflicts` finds a conflict.
    """
    ordered = tuple(sorted(eras, key=lambda era: era.ledger_start))
    if not ordered:
        raise ConfigError("no era is configured")
    if found := era_conflicts(ordered):
        raise ConfigError("; ".join(found))
    return ordered


def era_conflicts(eras: Iterable[Era]) -> list[str]:
    """Describe each conflict between `eras`: a sentence for each.

    Two eras conflict when they share a ledger, a chain, the names of event files, or when an open-ended one comes
    before another one. All must belong to one network, because a lake does.
    """
    ordered = sorted(eras, key=lambda era: era.ledger_start)
    return [*_range_conflicts(ordered), *_name_conflicts(ordered), *_network_conflicts(ordered)]


def _range_conflicts(ordered: Iterable[Era]) -> list[str]:
    found = []
    for before, after in itertools.pairwise(ordered):
        if before.ledger_end == 0:
            found.append(
                f"era {before.era_id!r} has no end (ledger_end 0) and comes before era {after.era_id!r}, which starts"
                f" at {after.ledger_start}: set its ledger_end to {after.ledger_start - 1} or less"
            )
        elif before.ledger_end >= after.ledger_start:
            found.append(
                f"eras {before.era_id!r} ({before.ledger_start}-{before.ledger_end}) and {after.era_id!r}"
                f" ({after.ledger_start}-{after.ledger_end or ''}) overlap"
            )
    return found


def _name_conflicts(ordered: Iterable[Era]) -> list[str]:
    found = []
    chains: set[str] = set()
    prefixes: dict[str, str] = {}
    for era in ordered:
        if era.chain in chains:
            found.append(f"two eras are named {era.chain}: give each its own era_id or version_label")
        chains.add(era.chain)
    for era in ordered:
        other = prefixes.setdefault(era.file_prefix, era.chain)
        if other != era.chain:
            found.append(
                f"the chains {other} and {era.chain} would share their event files ({era.file_prefix}_*.json):"
                " rename one of the eras"
            )
    return found


def _network_conflicts(ordered: Iterable[Era]) -> list[str]:
    networks = sorted({era.network for era in ordered})
    if len(networks) <= 1:
        return []
    return [f"the eras name {len(networks)} networks ({', '.join(networks)}), but a lake belongs to one network"]
