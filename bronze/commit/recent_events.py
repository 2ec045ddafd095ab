"""The events that came after a recorded end of their chain, read without those before them; and whether others went."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog, in_link_order, names_digest
from bronze.commit.chain_end import ChainEnd, end_of_events
from bronze.commit.checkpoint import Checkpoint
from bronze.errors import StateError


def names_since(log: EventLog, names: Collection[str], end: ChainEnd, ledger: int) -> set[str] | None:
    """Those of `names` that came since the recorded `end`; None when others came or have gone, or that is not known.

    Args:
        names: of all event files.
        ledger: the last one of the chain at that end; what came is of later ones.
    """
    since = {name for name in names if any(one.start > ledger for one in log.partitions_of([name]))}
    return since if end.files and names_digest(set(names) - since) == end.files else None


def check_names(log: EventLog, names: Collection[str], checkpoint: Checkpoint | None) -> ChainEnd | None:
    """Check that none of the chain's event files is missing but the oldest; by their names, unless these are in doubt.

    Args:
        names: of all event files.

    Returns:
        The chain's end as `checkpoint` is to state it from now on, when the oldest files were removed; else None.

    Raises:
        StateError: files between others are missing, or one is damaged.
    """
    end = checkpoint.chain if checkpoint else None
    if checkpoint is None or end is None or not end.files or names_digest(names) == end.files:
        return None
    if names_since(log, names, end, checkpoint.last_ledger) is not None:
        return None
    events = log.load()
    if events and events[-1].event_hash != end.head:
        return None  # others came too; whoever commits next states the end
    return replace(end, files=names_digest(names))


def events_since(log: EventLog, end: ChainEnd, ledger: int) -> tuple[list[Event], ChainEnd | None] | None:
    """The events of a chain behind its recorded `end`, in the order of their links, and its end with them.

    One listing, and of the files only those that came since: without the names of those of later ledgers the names have
    the recorded digest. None when it takes all events to tell: when nothing came, when some that came are of earlier
    ledgers (a gap was filled, a partition corrected), are damaged or do not follow the recorded head.

    Args:
        ledger: the last one of the chain at that end.
    """
    names = set(log.names())
    since = names_since(log, names, end, ledger)
    if not since:
        return None
    try:
        events = in_link_order([log.read_event(name) for name in sorted(since)], log.where)
    except StateError:  # a listing that missed one, or for good: whoever reads all events says so
        return None
    return (events, end_of_events(events, names, end)) if events[0].prev_hash == end.head else None
