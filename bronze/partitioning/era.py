"""Eras: named stretches of a network's history, each with a grid, a directory and a chain of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from bronze.errors import ConfigError
from bronze.partitioning.path_names import plain_segment
from bronze.stellar import MAX_LEDGER


@dataclass(frozen=True, slots=True)
class Era:
    """One era of one network in one version of the data.

    Attributes:
        ledger_start, ledger_end: inclusive; an end of 0 means that the era has none (yet).
        partition_size: ledgers of a whole partition.
        protocol_min, protocol_max: inclusive bounds of every ledger's protocol; None is no bound.
        allow_overwrite: whether partitions that exist are encoded again and replaced when they differ.
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
            plain_segment(getattr(self, name), name)
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
        """The name of the era's chain of audit events: ``network/era_id/version_label``."""
        return f"{self.network}/{self.era_id}/{self.version_label}"

    @property
    def file_prefix(self) -> str:
        """How the names of the chain's event and checkpoint files begin."""
        return f"{self.network}_{self.era_id}_{self.version_label}"

    @property
    def last(self) -> int:
        """Last ledger (inclusive); the highest possible one for an era without an end."""
        return self.ledger_end or MAX_LEDGER


class EraTable:
    """Eras that do not overlap, in ledger order.

    Raises:
        ConfigError: two eras share a ledger or a chain, one without an end stands before another, or
            they are of different networks (a lake is of one).
    """

    def __init__(self, eras: Iterable[Era]) -> None:
        self.eras: Sequence[Era] = tuple(sorted(eras, key=lambda era: era.ledger_start))
        if not self.eras:
            raise ConfigError("no era is configured")
        problems = "; ".join(overlap_problems(self.eras))
        if problems:
            raise ConfigError(problems)

    def __iter__(self) -> Iterator[Era]:
        return iter(self.eras)

    def route(self, ledger: int) -> Era | None:
        """The era that holds `ledger`, or None."""
        return next((era for era in self.eras if era.ledger_start <= ledger <= era.last), None)

    def split(self, start: int, end: int) -> list[tuple[Era, int, int]]:
        """Cut the inclusive range `start`..`end` at era boundaries; ledgers of no era are left out."""
        return [
            (era, max(start, era.ledger_start), min(end, era.last))
            for era in self.eras
            if era.ledger_start <= end and start <= era.last
        ]


def overlap_problems(eras: Iterable[Era]) -> list[str]:
    """What is wrong with these eras beside each other, one sentence for each problem."""
    ordered = sorted(eras, key=lambda era: era.ledger_start)
    problems = []
    for before, after in itertools.pairwise(ordered):
        if before.ledger_end == 0:
            problems.append(
                f"era {before.era_id!r} has no end (ledger_end 0) and stands before era {after.era_id!r}, "
                f"which starts at {after.ledger_start}: give it the ledger_end {after.ledger_start - 1} or less"
            )
        elif before.ledger_end >= after.ledger_start:
            problems.append(
                f"eras {before.era_id!r} ({before.ledger_start}-{before.ledger_end}) and {after.era_id!r} "
                f"({after.ledger_start}-{after.ledger_end or ''}) overlap"
            )
    chains: set[str] = set()
    for era in ordered:
        if era.chain in chains:
            problems.append(f"two eras are called {era.chain}: each needs an era_id or version_label of its own")
        chains.add(era.chain)
    prefixes: dict[str, str] = {}
    for era in ordered:
        other = prefixes.setdefault(era.file_prefix, era.chain)
        if other != era.chain:
            problems.append(
                f"the chains {other} and {era.chain} would share their event files ({era.file_prefix}_*.json):"
                " rename one of the eras"
            )
    networks = sorted({era.network for era in ordered})
    if len(networks) > 1:
        problems.append(f"the eras name {len(networks)} networks ({', '.join(networks)}), a lake is of one")
    return problems
