"""The commit of published partitions to their chain, in ledger order; idempotent at every step.

For each partition, once its parquet file and manifest are in the store and say what its summary says, and no history
archive contradicts it:

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

No commit reads the events of before, however many there are: the checkpoint states the digest of the event files' names
at the chain's head, and one listing shows whether a file has come since (`ChainTail`). Then those that came since are
read, and all of them only where some of them are of earlier ledgers.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bronze.audit.event import Event, make_event
from bronze.audit.event_log import EventLog
from bronze.commit.archive_check import ArchiveCheck
from bronze.commit.attestation import ChainAttestation
from bronze.commit.chain_end import ChainEnd, extended_end
from bronze.commit.chain_state import ChainState
from bronze.commit.chain_tail import ChainTail
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.place_check import PlaceCheck
from bronze.commit.position import ChainPosition, resolve_head
from bronze.commit.pruning import PrunedEvents
from bronze.commit.published_check import check_published
from bronze.errors import ConflictError, ObjectExistsError
from bronze.outcomes import CommittedPartition, PartitionSummary
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
        chain: the chain's end at `head`; None when it is not known.
    """

    event: Event | None
    head: str
    is_new: bool
    chain: ChainEnd | None = None

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
        is_exclusive: whether a lock of the whole run keeps every other copier away: what this sequencer has appended is
            then the chain's end until it appends again, and is not looked up.
        attestation: how far the chain is attested; None when nobody's attestation is asked for.
        archives: the history archives that are asked before a commit; None without any.
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
        is_exclusive: bool = False,
        attestation: ChainAttestation | None = None,
        archives: ArchiveCheck | None = None,
    ) -> None:
        self._era = era
        self._dataset = dataset
        self._producer = producer
        self._log = events
        self._checkpoint = checkpoint
        self._downstream = downstream or Downstream()
        self._clock = clock
        self._is_exclusive = is_exclusive
        self._archives = archives
        self._state = ChainState(era, events, checkpoint, self._downstream, dataset)
        self._place = PlaceCheck(era, dataset, attestation)
        self._pruned = PrunedEvents(era, dataset, events) if events else None
        #: Where this sequencer has come to; counts when nothing is recorded.
        self._position: ChainPosition | None = None
        #: The hash of the event that this sequencer appended last, as long as no other copier's event can follow it.
        self._last_written_head: str | None = None
        self._tail = ChainTail(events) if events else None

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
            AuthenticityError: a history archive contradicts it, or too many ledgers up to its end are not attested.
            ConflictError: its range is committed already, with other content.
            StateError: it is not published as `summary` says, the files of the chain contradict each other, it does
                not follow the position, overlaps another partition, or a neighbour cannot be read to link them.
        """
        manifest = check_published(self._era, self._dataset, summary)
        if self._archives is not None:
            self._archives.check(summary)
        with self._state.lock():
            if self._log is not None and self._log.supports_locking:
                is_looked_up = self._last_written_head is not None and not self._is_exclusive
                if is_looked_up and self._tail is not None and self._tail.has_grown():
                    self._last_written_head = None  # another copier has appended, and may not have come to the head yet
                position = None
            position = position or self.position()
            self._place.check(summary, position)
            persisted = self._persist_event(summary, position, manifest.created_at)
        corrected = functools.partial(_corrected_by, self._log, persisted.event)
        self._downstream.record(self._era, summary, persisted.event_hash, corrected)
        if persisted.event is not None:
            self._downstream.deliver(self._era, persisted.event)
        with self._state.lock():
            self._advance(summary, position, persisted)
        return CommittedPartition(
            chain=summary.chain,
            partition=summary.partition,
            event_hash=persisted.event_hash,
            is_new=persisted.is_new,
            attested_through=self._place.attested_through(),
        )

    def _persist_event(self, summary: PartitionSummary, position: ChainPosition, published_at: str) -> _PersistedEvent:
        """Create the event of `summary`, or find it; and say what the chain's head is then.

        Args:
            published_at: when the partition was published, RFC 3339.
        """
        if self._log is None or self._tail is None:
            return _PersistedEvent(None, "", is_new=summary.partition.end >= position.next_ledger)
        for _ in range(_MAX_APPEND_ATTEMPTS):
            try:
                return self._find_or_append(self._log, self._tail, summary, position, published_at)
            except ObjectExistsError:  # another copier was faster: its event counts
                self._last_written_head = None
        raise ConflictError(
            f"other copiers append to the chain {summary.chain} in {self._log.where} faster than this one: run again"
            " when they have ended"
        )

    def _find_or_append(
        self, log: EventLog, tail: ChainTail, summary: PartitionSummary, position: ChainPosition, published_at: str
    ) -> _PersistedEvent:
        found, revision = self._find_event(log, tail, summary, position)
        if found is not None:
            return found
        head, end = position.head, position.chain
        is_known = head == self._last_written_head
        is_at_end = is_known or tail.ends_at(position)
        if not is_known:
            tail.check_no_overlap(summary)
        if revision == 0 and self._pruned and self._pruned.include(summary, position, published_at):
            return _PersistedEvent(None, head, is_new=False, chain=end)
        if not is_at_end:
            events, end = tail.read(position)
            head = resolve_head(self._era, events, head, log.where)
            if not log.supports_locking:
                # What is missing after the chain's end was read can only come after it: its place is claimed once.
                found, revision = self._find_event(log, tail, summary, position)
                if found is not None:
                    return found
        event = make_event(summary, self._dataset.table, head, self._producer, self._clock())
        log.append(event, revision + 1)
        name = log.key(event.partition, revision + 1)
        tail.add(name)
        return _PersistedEvent(event, event.event_hash, is_new=True, chain=extended_end(end, head, event, name))

    def _find_event(
        self, log: EventLog, tail: ChainTail, summary: PartitionSummary, position: ChainPosition
    ) -> tuple[_PersistedEvent | None, int]:
        """The event of `summary` if it exists, and the number of the range's last revision, 0 for none."""
        event, revision = log.latest(summary.partition)
        if event is None:
            return None, revision
        if event.checksum == summary.checksum:
            log.ensure_durable(event)
            if event.event_hash == position.head:
                return _PersistedEvent(event, position.head, is_new=False, chain=position.chain), revision
            if event.prev_hash == position.head:
                end = extended_end(position.chain, position.head, event, log.key(event.partition, revision))
                return _PersistedEvent(event, event.event_hash, is_new=False, chain=end), revision
            # The position's head lags behind the event, or lies beyond it.
            events, end = tail.read(position)
            head = resolve_head(self._era, events, position.head, log.where)
            return _PersistedEvent(event, head, is_new=False, chain=end), revision
        if not self._era.allow_overwrite:
            raise ConflictError(
                f"partition {summary.chain} {summary.partition} has the checksum {summary.checksum}, but its event in"
                f" {log.where} was published with {event.checksum}"
            )
        return None, revision

    def _advance(self, summary: PartitionSummary, position: ChainPosition, persisted: _PersistedEvent) -> None:
        """Update chain head and checkpoint, unless another copier has advanced them meanwhile."""
        heads = _heads_up_to(self._log, position, persisted.head)
        if self._log is not None and persisted.head:
            # Other copiers may have advanced the head: to an event before this one, or to a later one, which stays.
            self._log.set_head(persisted.head, expected=[None, *heads])
            self._last_written_head = persisted.head if persisted.is_new else None
        is_ahead = summary.partition.end >= position.next_ledger
        # Committed last of all and perhaps corrected since: what is remembered of it follows.
        is_last = position.last == summary.partition and position.next_ledger == summary.partition.end + 1
        if not is_ahead and not is_last:
            if self._checkpoint and persisted.chain is not None and persisted.chain != position.chain:
                self._checkpoint.save_chain(persisted.chain, expected=[position.stated_head, position.head])
            return
        if self._checkpoint:
            may_be = functools.partial(_may_be_replaced, summary, position)
            self._checkpoint.save(summary.partition, summary.checksum, may_be, chain=persisted.chain, expected=heads)
        self._place.remember(summary)
        if is_ahead:
            self._position = ChainPosition(
                summary.partition.end + 1,
                persisted.head,
                summary.partition,
                stated_head=persisted.head,
                chain=persisted.chain,
                recorded=persisted.chain,
            )


def _corrected_by(log: EventLog | None, event: Event | None) -> list[str] | None:
    """The hashes of the events that `event` corrects; None without an audit stream."""
    return log.hashes_before(event) if log is not None and event is not None else None


def _heads_up_to(log: EventLog | None, position: ChainPosition, head: str) -> list[str]:
    """The heads that chain heads and checkpoint may state unless another copier has come further than `head`."""
    between = log.hashes_between(position.stated_head, head) if log is not None and head else []
    recorded = [position.recorded.head] if position.recorded else []
    return [position.stated_head, *between, position.head, *recorded, head]


def _may_be_replaced(summary: PartitionSummary, position: ChainPosition, now: Checkpoint | None) -> bool:
    """Whether the commit of `summary` at `position` may replace the checkpoint that there is now."""
    if now is None or position.is_behind_checkpoint:
        return True
    return now.last_ledger <= summary.partition.end or now.last_ledger == position.next_ledger - 1
