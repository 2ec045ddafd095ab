"""How far a chain is committed, by its checkpoint, its events or its published partitions. Pure: nothing is read here.

The rule is written once, because every command that asks must get the same answer: `run` when it resumes, `repair`
when it makes a lost checkpoint anew, `verify` when it looks for gaps.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bronze.audit.event import Event
from bronze.commit.checkpoint import Checkpoint
from bronze.dataset.manifest import LedgerLinks
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition


def resume_point(era: Era, checkpoint: Checkpoint | None, events: Sequence[Event]) -> tuple[int, Partition | None]:
    """The first ledger that is not committed, and the partition committed last when it is known.

    A checkpoint is obeyed, since operators edit it to restart from a ledger; without one the events decide.

    Args:
        events: the chain's events in the order of their links; the oldest may be pruned.
    """
    if checkpoint is not None:
        return max(checkpoint.last_ledger + 1, era.ledger_start), checkpoint.partition
    last = committed_prefix(era, events)
    return era.ledger_start if last is None else last.end + 1, last


def committed_prefix(era: Era, events: Sequence[Event]) -> Partition | None:
    """The last partition up to which `events` cover the era without a gap; None when they do not cover its start.

    The era's start is `era.ledger_start`. When the first event follows one whose file was pruned, what lies before
    the ledgers of the events that are left counts as committed.

    Args:
        events: the chain's events in the order of their links.
    """
    at, last = era.ledger_start, None
    if events and events[0].prev_hash:
        at = max(at, min(event.partition.start for event in events))
    for partition in sorted(event.partition for event in events):
        if partition.start <= at <= partition.end:
            at, last = partition.end + 1, partition
    return last


def published_prefix(era: Era, published: Iterable[tuple[Partition, LedgerLinks]]) -> Partition | None:
    """The last partition up to which `published` covers the era without a gap and with every link intact.

    This is what a run commits that finds these partitions and no events. Taken from `published` one by one, no
    further than needed.

    Args:
        published: published partitions in ledger order, with what links them.
    """
    at, last, last_hash = era.ledger_start, None, ""
    for partition, ledgers in published:
        if partition.end < at:
            continue
        is_linked = last is None or partition.start != at or ledgers.previous_hash == last_hash
        if partition.start > min(at, era.last_ledger) or not is_linked:
            break
        at, last, last_hash = partition.end + 1, partition, ledgers.last_hash
    return last
