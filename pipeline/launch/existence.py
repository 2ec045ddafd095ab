"""What a run does about partitions that are not as their chain says, before its first wave and after its last."""

from __future__ import annotations

import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from bronze.audit.event import is_of_older_copier
from bronze.audit.event_log import EventLog
from bronze.commit.anchoring import Anchoring
from bronze.commit.existence import Existence, check_existence, find_overlaps, settle_replacements
from bronze.commit.position import ChainPosition
from bronze.dataset.listing import list_dataset
from bronze.job.connections import Connections
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from pipeline.launch.archives import ask_archives
from pipeline.launch.prepare import Prepared

_LOG = logging.getLogger(__name__)


def begin_existence(prepared: Prepared) -> None:
    """Do before anything is published what needs no lake; needs the chains' locks.

    Parquet files without a manifest whose ledgers lie in other partitions are removed. Where the oldest event files
    were removed, the checkpoint states from now on which are left.
    """
    for found in prepared.existence:
        checkpoint = prepared.connections.checkpoint(found.listing.era)
        if found.pruned_end is not None and checkpoint is not None:
            checkpoint.save_chain(found.pruned_end, expected=[found.pruned_end.head])
        dataset, era = found.listing.dataset, found.listing.era
        for partition in found.superfluous:
            if dataset.remove_orphan(era, partition):
                key = dataset.parquet_key(era, partition)
                _LOG.info(
                    "removed %s, which has no manifest and is covered by other partitions", dataset.object_url(key)
                )


def find_missing(connections: Connections, era: Era) -> tuple[Existence, list[Partition]]:
    """How what is published agrees with the chain of `era`, without a lake; and the gaps before its checkpoint.

    Raises:
        StateError: nothing of the chain is published, or its checkpoint or an event file is damaged.
    """
    checkpoint = connections.checkpoint(era)
    stated = checkpoint.load() if checkpoint else None
    listing = list_dataset(connections.dataset(), era)
    found = check_existence(listing, connections.event_log(era), stated, last_ledger=era.last_ledger)
    gaps = listing.uncovered_ranges(stated.last_ledger + 1) if stated else []
    known = {*found.missing, *found.problems}
    return found, [gap for gap in gaps if not any(map(gap.overlaps, known))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """A round of a run that has ended; most runs have one.

    Attributes:
        prepared: what it had to do.
        positions: of the chains at its end, in the order of the plans.
        gaps, problems, lacks_ledgers: see `finish_existence`.
        anchored: by chain, how far history archives confirm it; empty without any, and for a dry run.
    """

    prepared: Prepared
    positions: Sequence[ChainPosition]
    gaps: dict[str, list[Partition]]
    problems: dict[tuple[str, Partition], str]
    lacks_ledgers: bool
    anchored: dict[str, Anchoring]


def end_round(prepared: Prepared, *, is_stopped: bool = False) -> Round:
    """Look where the chains are and what is there, when a round has ended; ask archives what they confirm of it.

    Args:
        is_stopped: whether the run was asked to stop: then archives are not asked any more.
    """
    positions, anchored = prepared.positions, dict[str, Anchoring]()
    if not prepared.job.run.dry_run:
        positions = [prepared.connections.sequencer(plan.era).position() for plan in prepared.plans]
        if positions != list(prepared.positions):
            # This run or another one has committed: an older listing would lack partitions that the chain has passed.
            prepared.listings.forget()
        anchored = ask_archives(prepared.connections, prepared.listings, positions, is_stopped=is_stopped)
    gaps, problems, lacks_ledgers = finish_existence(prepared, positions)
    return Round(
        prepared=prepared,
        positions=positions,
        gaps=gaps,
        problems=problems,
        lacks_ledgers=lacks_ledgers,
        anchored=anchored,
    )


def finish_existence(
    prepared: Prepared, positions: Sequence[ChainPosition]
) -> tuple[dict[str, list[Partition]], dict[tuple[str, Partition], str], bool]:
    """Look what is there when a run ends, and remove the marks of replacements that are complete.

    Args:
        positions: of the chains when the run ended.

    Returns:
        By chain, the ranges of ledgers that the chain has passed and that have no partition; by chain and partition
        what is not as the chain says, a sentence each; and whether any of the ranges lacks its ledgers: those of the
        older copier's part of a chain may lie elsewhere.
    """
    lacks_ledgers = False
    gaps: dict[str, list[Partition]] = {}
    problems: dict[tuple[str, Partition], str] = {}
    for found, position in zip(prepared.existence, positions, strict=True):
        era, log = found.listing.era, prepared.connections.event_log(found.listing.era)
        listing = prepared.listings.of(era)
        is_dry_run = prepared.job.run.dry_run  # it has read and encoded what is missing, or failed with it
        uncorrected = found.uncorrected if is_dry_run else settle_replacements(listing, log)
        published = set(listing.published)  # by another copier meanwhile, perhaps; what overlaps is found once more
        left = {one: text for one, text in found.problems.items() if one not in published}
        for sentences in (uncorrected, left, find_overlaps(listing, log)):
            problems |= {(era.chain, one): text for one, text in sentences.items()}
        missing = sorted(set(found.missing) - set(listing.published))
        for one in () if is_dry_run else missing:
            directory = listing.dataset.object_url(listing.dataset.directory(era, one))
            problems[era.chain, one] = (
                f"{directory} does not hold the partition that the chain says is published, and it was not made again:"
                " restore it from a backup, or let a run make it from a lake that has its ledgers"
            )
        gaps[era.chain] = [
            gap for gap in listing.uncovered_ranges(position.next_ledger) if not any(map(gap.overlaps, missing))
        ]
        if gaps[era.chain] and not lacks_ledgers:
            ends = {gap.end for gap in gaps[era.chain]}
            lacks_ledgers = bool(ends - _older_ends(log, ends))
    return gaps, problems, lacks_ledgers


def _older_ends(log: EventLog | None, ends: Collection[int]) -> set[int]:
    """Those of `ends` that are the last ledgers of partitions whose events the older copier made."""
    found = [one for one in log.list_partitions() if one.end in ends] if log else []
    latest = {partition.end: log.latest(partition)[0] for partition in found} if log else {}
    return {end for end, event in latest.items() if event is not None and is_of_older_copier(event)}
