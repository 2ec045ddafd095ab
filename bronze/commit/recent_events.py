"""The events that came after a recorded end of their chain, read without those before them."""

from __future__ import annotations

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog, in_link_order, names_digest
from bronze.commit.chain_end import ChainEnd, end_of_events
from bronze.errors import StateError


def events_since(log: EventLog, end: ChainEnd, ledger: int) -> tuple[list[Event], ChainEnd | None] | None:
    """The events of a chain behind its recorded `end`, in the order of their links, and its end with them.

    One listing, and of the files only those that came since: without the names of those of later ledgers the names have
    the recorded digest. None when it takes all events to tell: when nothing came, when some that came are of earlier
    ledgers (a gap was filled, a partition corrected), are damaged or do not follow the recorded head.

    Args:
        ledger: the last one of the chain at that end.
    """
    names = set(log.names())
    since = {name for name in names if any(one.start > ledger for one in log.partitions_of([name]))}
    if not since or not end.files or names_digest(names - since) != end.files:
        return None
    try:
        events = in_link_order([log.read_event(name) for name in sorted(since)], log.where)
    except StateError:  # a listing that missed one, or for good: whoever reads all events says so
        return None
    return (events, end_of_events(events, names, end)) if events[0].prev_hash == end.head else None
