"""Whether a chain ends where its head says, by the names of the event files: one listing, no event is read."""

from __future__ import annotations

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog, names_digest
from bronze.commit.chain_end import ChainEnd, end_of_events
from bronze.commit.place_check import check_no_overlap
from bronze.commit.position import ChainPosition
from bronze.outcomes import PartitionSummary


class ChainTail:
    """The event files of a chain as one sequencer knows them.

    A run that died may have left an event behind the head, of any partition. The checkpoint states the digest of the
    event files' names at the head; while the files have these names, no event has come since.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._names: set[str] = set()

    def ends_at(self, position: ChainPosition) -> bool:
        """Whether no event file has come since the head of `position` was recorded; lists them."""
        self._names = set(self._log.names())
        return position.chain is not None and position.chain.files == names_digest(self._names)

    def has_grown(self) -> bool:
        """Whether there are event files that are not known; lists them."""
        return not self._names.issuperset(self._log.names())

    def read(self, position: ChainPosition) -> tuple[list[Event], ChainEnd | None]:
        """All events in the order of their links, and the chain's end; None when it has no event.

        Args:
            position: of the chain; what the checkpoint recorded tells of events whose files were pruned.
        """
        events = self._log.load()
        self._names = set(self._log.read_names)
        return events, end_of_events(events, self._names, position.recorded)

    def add(self, name: str) -> None:
        """The event file `name` was appended."""
        self._names.add(name)

    def check_no_overlap(self, summary: PartitionSummary) -> None:
        """Check by the known names that no event is of some of the partition's ledgers only. Raises `StateError`."""
        for other in self._log.partitions_of(self._names):
            check_no_overlap(summary, other)
