"""The end of a chain of events: what a checkpoint states of it, and how it follows each event."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from bronze.audit.event import Event
from bronze.audit.event_log import names_digest
from bronze.partitioning.partition import Partition

#: Most ranges that are remembered: a chain with more holes than this is read where they matter.
_MAX_RANGES = 1000


@dataclass(frozen=True, slots=True)
class ChainEnd:
    """The end of a chain of events.

    Attributes:
        head: hash of the last event.
        events: how many events the chain has, those whose files were pruned included; None when that is not known.
        files: digest of the names of the event files when that was the last event (`names_digest`); empty when
            partitions were committed since without an audit stream.
        ranges: the ledgers that the chain has events of, as ranges (inclusive) in ledger order with gaps between them;
            None when they are not known.
    """

    head: str
    events: int | None
    files: str
    ranges: tuple[tuple[int, int], ...] | None = None

    def has_event_of(self, partition: Partition) -> bool:
        """Whether the chain has an event of these ledgers; only where `ranges` are known."""
        return any(start <= partition.start and partition.end <= end for start, end in self.ranges or ())


def end_of_events(events: Sequence[Event], names: Collection[str], recorded: ChainEnd | None = None) -> ChainEnd | None:
    """The end of the chain whose events are `events`, all that have files; None when it has none.

    Args:
        events: in the order of their links.
        names: of their files.
        recorded: an earlier end of the chain, which knows of events whose files were pruned since.
    """
    if not events:
        return None
    added = [(event.partition.start, event.partition.end) for event in events]
    count: int | None = 0
    ranges: tuple[tuple[int, int], ...] | None = ()
    if events[0].prev_hash:
        hashes = [events[0].prev_hash, *(event.event_hash for event in events)]
        is_known = recorded is not None and recorded.head in hashes
        count, ranges = (recorded.events, recorded.ranges) if recorded and is_known else (None, None)
        added = added[hashes.index(recorded.head) :] if recorded and is_known else added
    return ChainEnd(
        events[-1].event_hash,
        None if count is None else count + len(added),
        names_digest(names),
        None if ranges is None else merged_ranges((*ranges, *added)),
    )


def extended_end(end: ChainEnd | None, head: str, event: Event, name: str) -> ChainEnd | None:
    """The end of a chain after `event` was appended behind `head`; None when the end before is not known.

    Args:
        head: hash of the event before; empty when there is none.
        name: of the event's file.
    """
    added = (event.partition.start, event.partition.end)
    if not head:
        return ChainEnd(event.event_hash, 1, names_digest([name]), (added,))
    if end is None or end.head != head or not end.files:
        return None
    count = None if end.events is None else end.events + 1
    ranges = None if end.ranges is None else merged_ranges((*end.ranges, added))
    return ChainEnd(event.event_hash, count, names_digest([name], end.files), ranges)


def merged_ranges(ranges: Iterable[tuple[int, int]]) -> tuple[tuple[int, int], ...] | None:
    """The same ledgers as few ranges in ledger order; None when they are too many to remember.

    >>> merged_ranges([(12, 21), (2, 11), (32, 41)])
    ((2, 21), (32, 41))
    """
    merged: list[tuple[int, int]] = []
    for start, end in sorted(ranges):
        if merged and start <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return tuple(merged) if len(merged) <= _MAX_RANGES else None
