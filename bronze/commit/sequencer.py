"""The commit of published partitions to their chain, in ledger order; idempotent at every step.

For each partition, once its parquet file and manifest are in the store and say what its summary says:

1. the event is persisted: its file is created, create-only, with its final bytes;
2. the catalog's lineage and quality rows are written, in one transaction;
3. the event is delivered to the endpoint;
4. the chain head follows;
5. the checkpoint follows.

The lock of the event files is held for step 1 and again for steps 4 and 5, never while another system is waited for.
On object stores, which have no locks, events claim their places (`bronze.audit.event_log`) and the head is compared
and swapped.

Redoing any prefix of these steps changes nothing: an event file that exists decides what the event is. Chain head and
checkpoint are caches: where they lag behind the event files, or are gone, the event files decide; where an operator
edited the checkpoint, it is obeyed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bronze.audit.event import Event, make_event
from bronze.audit.event_log import EventLog
from bronze.commit.chain_state import ChainState
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.place_check import PlaceCheck, check_no_overlap
from bronze.commit.position import ChainPosition, resolve_head
from bronze.commit.published_check import check_published
from bronze.errors import ConflictError, ObjectExistsError, StateError
from bronze.outcomes import CommittedPartition, Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.producer import Producer
from bronze.timestamps import rfc3339

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset

#: How often another copier's event may come first, where the store has no locks.
_MAX_APPEND_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class _PersistedEvent:
    """An event that has its file, and the chain's head with it.

    Attributes:
        event: None without an audit stream, and when its file was pruned.
        is_new: whether this commit created it.
    """

    event: Event | None
    head: str
    is_new: bool

    @property
    def event_hash(self) -> str:
        return self.event.event_hash if self.event else ""


class Sequencer:
    """Commits the partitions of one era to its chain.

    Several sequencers of one chain, in any number of processes on one machine, end with one chain.

    Args:
        dataset: where the partitions are published.
        producer: the program that its events name.
        events: the chain's event files; None when no audit stream is written.
        checkpoint: the chain's checkpoint; None when it is switched off.
        downstream: the catalog and the endpoint.
        clock: the time that events state, in RFC 3339.
    """

    def __init__(
        self,
        era: Era,
        dataset: Dataset,
        producer: Producer,
        *,
        events: EventLog | None,
        checkpoint: CheckpointFile | None,
        downstream: Downstream | None = None,
        clock: Callable[[], str] = rfc3339,
    ) -> None:
        self._era = era
        self._dataset = dataset
        self._producer = producer
        self._log = events
        self._checkpoint = checkpoint
        self._downstream = downstream or Downstream()
        self._clock = clock
        self._state = ChainState(era, events, checkpoint, self._downstream, dataset)
        self._place = PlaceCheck(era, dataset)
        #: Where this sequencer has come to; counts when nothing is recorded.
        self._position: ChainPosition | None = None
        #: The hash of the event that this sequencer appended last, as long as no other copier's event can follow it.
        self._last_written_head: str | None = None
        #: The oldest event that has a file; appending does not change it, so it is looked up once.
        self._oldest: Event | None = None

    def position(self) -> ChainPosition:
        """The position of the chain as its files state it now.

        Raises:
            StateError: event files, chain head and checkpoint contradict each other.
            CatalogError: event files and chain head are gone, and the catalog does not answer.
        """
        return self._state.read_position(self._position)

    def commit(self, summary: PartitionSummary, position: ChainPosition | None = None) -> CommittedPartition:
        """Commit the published partition `summary`, or complete its commit.

        Args:
            position: as `position` has just returned it, which saves reading it again. It is read all the same where
                the store has locks: only under the lock it is certain. None: it is read.

        Raises:
            VerificationError: it does not link to the partition right before it, or, filling a gap, to the one behind.
            ConflictError: its range is committed already, with other content.
            StateError: it is not published as `summary` says, the files of the chain contradict each other, it does
                not follow the position, overlaps another partition, or a neighbour cannot be read to link them.
        """
        check_published(self._era, self._dataset, summary)
        with self._state.lock():
            if self._log is not None and self._log.supports_locking:
                if self._last_written_head is not None and self._log.has_unread_events():
                    self._last_written_head = None  # another copier has appended, and may not have come to the head yet
                position = None
            position = position or self.position()
            if summary.partition.start > position.next_ledger:
                raise StateError(
                    f"partition {summary.chain} {summary.partition} cannot be committed: the next ledger to commit is"
                    f" {position.next_ledger}"
                )
            self._place.check(summary, position)
            persisted = self._persist_event(summary, position)
        self._downstream.record(self._era, summary, persisted.event_hash)
        if persisted.event is not None:
            self._downstream.deliver(self._era, persisted.event)
        with self._state.lock():
            self._advance(summary, position, persisted)
        return CommittedPartition(
            chain=summary.chain,
            partition=summary.partition,
            event_hash=persisted.event_hash,
            is_new=persisted.is_new,
        )

    def _persist_event(self, summary: PartitionSummary, position: ChainPosition) -> _PersistedEvent:
        """Create the event of `summary`, or find it; and say what the chain's head is then."""
        if self._log is None:
            return _PersistedEvent(None, "", is_new=summary.partition.end >= position.next_ledger)
        for _ in range(_MAX_APPEND_ATTEMPTS):
            try:
                return self._find_or_append(self._log, summary, position)
            except ObjectExistsError:  # another copier was faster: its event counts
                self._last_written_head = None
        raise ConflictError(
            f"other copiers append to the chain {summary.chain} in {self._log.where} faster than this one: run again"
            " when they have ended"
        )

    def _find_or_append(self, log: EventLog, summary: PartitionSummary, position: ChainPosition) -> _PersistedEvent:
        found, revision = self._find_event(log, summary, position)
        if found is not None:
            return found
        if revision == 0 and self._was_pruned(log, summary, position):
            return _PersistedEvent(None, position.head, is_new=False)
        head = position.head
        if head != self._last_written_head:  # a run that died may have left an event after it, of any partition
            events = log.load()
            for event in events:
                check_no_overlap(summary, event.partition)
            head = resolve_head(self._era, events, head, log.where)
            if not log.supports_locking:
                # What is missing after the chain's end was read can only come after it: its place is claimed once.
                found, revision = self._find_event(log, summary, position)
                if found is not None:
                    return found
        event = make_event(summary, self._dataset.table, head, self._producer, self._clock())
        log.append(event, revision + 1)
        return _PersistedEvent(event, event.event_hash, is_new=True)

    def _find_event(
        self, log: EventLog, summary: PartitionSummary, position: ChainPosition
    ) -> tuple[_PersistedEvent | None, int]:
        """The event of `summary` if it exists, and the number of the range's last revision, 0 for none."""
        event, revision = log.latest(summary.partition)
        if event is None:
            return None, revision
        if event.checksum == summary.checksum:
            log.ensure_durable(event)
            return _PersistedEvent(event, _head_including(self._era, log, event, position), is_new=False), revision
        if not self._era.allow_overwrite:
            raise ConflictError(
                f"partition {summary.chain} {summary.partition} has the checksum {summary.checksum}, but its event in"
                f" {log.where} was published with {event.checksum}"
            )
        return None, revision

    def _was_pruned(self, log: EventLog, summary: PartitionSummary, position: ChainPosition) -> bool:
        """Whether the event of `summary` once existed, though its file is gone.

        What lies before the oldest event file is committed. When no event file is left and the chain head tells that
        there were some, so is what was published before this run. Only a replaced partition gets an event again.
        """
        if not position.head or summary.outcome is Outcome.REPLACED:
            return False
        if self._oldest is None:
            self._oldest = next(iter(log.load()), None)
        if self._oldest is None:
            return summary.partition.end < position.next_ledger or summary.outcome is Outcome.SKIPPED
        return bool(self._oldest.prev_hash) and summary.partition.end < self._oldest.partition.start

    def _advance(self, summary: PartitionSummary, position: ChainPosition, persisted: _PersistedEvent) -> None:
        """Update chain head and checkpoint, unless another copier has advanced them meanwhile."""
        if self._log is not None and persisted.head:
            stated = position.stated_head
            # Other copiers may have advanced the head: to an event before this one, or to a later one, which stays.
            between = self._log.hashes_between(stated, persisted.head)
            self._log.set_head(persisted.head, expected=[None, stated, *between])
            self._last_written_head = persisted.head if persisted.is_new else None
        is_ahead = summary.partition.end >= position.next_ledger
        # Committed last of all and perhaps corrected since: what is remembered of it follows.
        is_last = position.last == summary.partition and position.next_ledger == summary.partition.end + 1
        if not is_ahead and not is_last:
            return
        if self._checkpoint:
            self._checkpoint.save(
                summary.partition,
                summary.checksum,
                lambda now: (
                    now is None
                    or now.last_ledger <= summary.partition.end
                    or now.last_ledger == position.next_ledger - 1
                ),
            )
        self._place.remember(summary)
        if is_ahead:
            self._position = ChainPosition(
                summary.partition.end + 1, persisted.head, summary.partition, stated_head=persisted.head
            )


def _head_including(era: Era, log: EventLog, event: Event, position: ChainPosition) -> str:
    """The chain's head given that `event` has its file: the position's may lag behind it, or lie beyond it."""
    if event.prev_hash == position.head:
        return event.event_hash
    if event.event_hash == position.head:
        return position.head
    return resolve_head(era, log.load(), position.head, log.where)
