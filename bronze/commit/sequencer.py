"""The commit of published partitions to their chain, in ledger order; idempotent at every step.

For each partition, once its parquet file and manifest are in the store:

1. the event is fixed: its file is created, create-only, with its final bytes;
2. the catalog's lineage and quality rows, one transaction;
3. the event is delivered to the endpoint;
4. the chain head follows;
5. the checkpoint follows.

The lock of the event files is held for step 1 and again for steps 4 and 5, never while others are waited for. On
object stores, which have no locks, events claim their places
(`bronze.audit.event_log`) and the head is compared and swapped.

Redoing any prefix of that changes nothing: an event file that exists decides what the event is. Chain
head and checkpoint are caches: where they lag behind the event files, or are gone, these decide; where an
operator edited the checkpoint, it is obeyed.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from bronze.audit.event import Event, make_event
from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.position import resume_point
from bronze.dataset.dataset import Dataset
from bronze.errors import ConflictError, ObjectExistsError, StateError, VerificationError
from bronze.outcomes import CommittedPartition, Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.timestamps import rfc3339

#: Times that another copier's event may come first, where locks keep nobody waiting.
_MAX_APPEND_ATTEMPTS = 50


@dataclass(frozen=True, slots=True)
class ChainPosition:
    """Where a chain goes on.

    Attributes:
        next_ledger: first ledger that is not committed.
        head: hash of the chain's last event; empty for a chain without events.
        last: the partition committed last, when it is known.
        stated_head: what the chain heads say, which may lag behind; empty when they say nothing.
    """

    next_ledger: int
    head: str
    last: Partition | None
    stated_head: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class _PersistedEvent:
    """An event that has its file (None without an audit stream), and the chain's head with it."""

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
        events: the chain's event files; None when no audit stream is written.
        checkpoint: the chain's checkpoint; None when it is switched off.
        outward: the catalog and the endpoint.
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
        self._destination = dataset
        self._producer = producer
        self._events = events
        self._checkpoint = checkpoint
        self._outward = downstream or Downstream()
        self._clock = clock
        self._last_hash: tuple[int, str] | None = None
        self._position: ChainPosition | None = None
        # The head that this sequencer made itself: no event file can follow it unseen.
        self._last_written_head: str | None = None
        # Appending does not change it, so it is looked for once.
        self._oldest: Event | None = None

    def position(self) -> ChainPosition:
        """Where the chain goes on, as the files say now.

        Raises:
            StateError: event files, chain head and checkpoint contradict each other.
        """
        checkpoint = self._checkpoint.load() if self._checkpoint else None
        if self._events is None:
            known = self._position if checkpoint is None else None
            return known or self._position_from_events(checkpoint, [], "", "")
        head = self._events.head()
        if head is not None and checkpoint is not None and checkpoint.partition is not None:
            event, _ = self._events.latest(checkpoint.partition)
            agreed = event is not None and event.event_hash == head and event.partition.end == checkpoint.last_ledger
            # The next event's file may be there already, when a run died right after creating it: `commit` adopts it.
            if agreed:
                return ChainPosition(checkpoint.last_ledger + 1, head, checkpoint.partition, head)
        chain = self._events.load()
        if not chain and head is None:
            return self._from_catalog(checkpoint)
        return self._position_from_events(checkpoint, chain, self._resolve_head(chain, head), head or "")

    def _from_catalog(self, checkpoint: Checkpoint | None) -> ChainPosition:
        """Without event files and chain head: as the catalog remembers the chain, if it does."""
        last = self._outward.last_event(self._era, needed=checkpoint is not None)
        if last is None:
            return self._position_from_events(checkpoint, [], "", "")
        partition, head = last
        if checkpoint is not None:
            return self._position_from_events(checkpoint, [], head, "")
        return ChainPosition(partition.end + 1, head, partition)

    def restore(self) -> None:
        """Let chain head and checkpoint follow the event files where they are gone or lag behind.

        Raises:
            StateError: event files, chain head and checkpoint contradict each other.
        """
        with self._locked():
            position = self.position()
            if self._events is not None and position.head:
                self._events.set_head(position.head)
            if self._checkpoint is None or position.last is None or self._checkpoint.load() is not None:
                return
            event = self._events.latest(position.last)[0] if self._events else None
            manifest = None if event else self._destination.find_manifest(self._era, position.last)
            found = event or manifest
            self._checkpoint.save(position.last, found.checksum if found else "", lambda now: now is None)

    def commit(self, summary: PartitionSummary) -> CommittedPartition:
        """Commit the published partition `summary`, or complete its commit.

        Raises:
            VerificationError: its first ledger does not link to the last one committed.
            ConflictError: its range is committed already, with other content.
            StateError: the files of the chain contradict each other, it does not follow the position, or the
                partition before it cannot be read to link them.
        """
        with self._locked():
            position = self.position()
            if summary.partition.start > position.next_ledger:
                raise StateError(
                    f"partition {summary.chain} {summary.partition} cannot be committed: the chain goes on at ledger"
                    f" {position.next_ledger}"
                )
            if summary.partition.end >= position.next_ledger:
                self._check_link(summary, position)
            fixed = self._persist_event(summary, position)
        self._outward.record(self._era, summary, fixed.event_hash)
        if fixed.event is not None:
            self._outward.deliver(self._era, fixed.event)
        with self._locked():
            self._advance(summary, position, fixed)
        return CommittedPartition(
            chain=summary.chain, partition=summary.partition, event_hash=fixed.event_hash, is_new=fixed.is_new
        )

    def _locked(self) -> AbstractContextManager[None]:
        return self._events.lock() if self._events else nullcontext()

    def _persist_event(self, summary: PartitionSummary, position: ChainPosition) -> _PersistedEvent:
        """Create the event of `summary`, or find it; and say what the chain's head is then."""
        for _ in range(_MAX_APPEND_ATTEMPTS):
            try:
                return self._persist_once(summary, position)
            except ObjectExistsError:  # another copier was faster: its event counts
                self._last_written_head = None
        raise ConflictError(
            f"other copiers add to the chain {summary.chain} in {self._events.where if self._events else ''} faster"
            " than this one: run again when they have ended"
        )

    def _persist_once(self, summary: PartitionSummary, position: ChainPosition) -> _PersistedEvent:
        if self._events is None:
            return _PersistedEvent(None, "", summary.partition.end >= position.next_ledger)
        found, revision = self._found(self._events, summary, position)
        if found is not None:
            return found
        if revision == 0 and self._was_pruned(summary, position):
            return _PersistedEvent(None, position.head, is_new=False)
        head = position.head
        if head != self._last_written_head:  # a run that died may have left an event behind it, of any partition
            head = self._resolve_head(self._events.load(), head)
            if not self._events.supports_locking:
                # Only what is not there after the chain's end was read lies behind it: its place can be claimed once.
                found, revision = self._found(self._events, summary, position)
                if found is not None:
                    return found
        event = make_event(summary, self._destination.table, head, self._producer, self._clock())
        self._events.append(event, revision + 1)
        return _PersistedEvent(event, event.event_hash, is_new=True)

    def _found(
        self, events: EventLog, summary: PartitionSummary, position: ChainPosition
    ) -> tuple[_PersistedEvent | None, int]:
        """The event of `summary` if it was made, and the number of the range's last revision, 0 for none."""
        event, revision = events.latest(summary.partition)
        if event is None:
            return None, revision
        if event.checksum == summary.checksum:
            events.ensure_durable(event)
            return _PersistedEvent(event, self._head_including(event, position), is_new=False), revision
        if not self._era.allow_overwrite:
            raise ConflictError(
                f"partition {summary.chain} {summary.partition} has the checksum {summary.checksum}, but its event in"
                f" {events.where} was published with {event.checksum}"
            )
        return None, revision

    def _head_including(self, event: Event, position: ChainPosition) -> str:
        """The chain's head now that `event` has its file: the old one may lag behind it, or lie beyond it."""
        assert self._events is not None
        if event.prev_hash == position.head:
            return event.event_hash
        if event.event_hash == position.head:
            return position.head
        return self._resolve_head(self._events.load(), position.head)

    def _was_pruned(self, summary: PartitionSummary, position: ChainPosition) -> bool:
        """Whether the event of `summary` was made once, though its file is gone.

        What lies before the oldest event file left is committed, and so is, when all of them are gone and the
        chain head tells that there were some, what was published before this run. Only a partition that was
        replaced by another one gets an event again.
        """
        if not position.head or summary.outcome is Outcome.REPLACED:
            return False
        assert self._events is not None
        if self._oldest is None:
            self._oldest = next(iter(self._events.load()), None)
        if self._oldest is None:
            return summary.partition.end < position.next_ledger or summary.outcome is Outcome.SKIPPED
        return bool(self._oldest.prev_hash) and summary.partition.end < self._oldest.partition.start

    def _advance(self, summary: PartitionSummary, position: ChainPosition, fixed: _PersistedEvent) -> None:
        """Let chain head and checkpoint follow, unless another copier has moved them on meanwhile."""
        if self._events is not None and fixed.head:
            self._events.set_head(fixed.head, expected=[None, position.stated_head])
            self._last_written_head = fixed.head
        ahead = summary.partition.end >= position.next_ledger
        # Committed last of all and perhaps corrected since: what is remembered of it follows.
        again = position.last == summary.partition and position.next_ledger == summary.partition.end + 1
        if not ahead and not again:
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
        self._last_hash = (summary.partition.end, summary.last_hash)
        if ahead:
            self._position = ChainPosition(summary.partition.end + 1, fixed.head, summary.partition, fixed.head)

    def _resolve_head(self, chain: list[Event], head: str | None) -> str:
        """The chain's real head: of the event files when there are any, else as the chain heads say."""
        if not chain:
            return head or ""
        known = {event.event_hash for event in chain} | {chain[0].prev_hash}
        if head is not None and head not in known:
            raise StateError(
                f"the chain head of {self._era.chain} is {head}, but no event file in"
                f" {self._events.where if self._events else ''} has this hash: event files are missing, or the head is"
                " another chain's. Restore the files, or remove the chain's line from the chain heads"
            )
        return chain[-1].event_hash

    def _position_from_events(
        self, checkpoint: Checkpoint | None, chain: list[Event], head: str, stated: str
    ) -> ChainPosition:
        next_ledger, last = resume_point(self._era, checkpoint, chain)
        return ChainPosition(next_ledger, head, last, stated)

    def _check_link(self, summary: PartitionSummary, position: ChainPosition) -> None:
        before = summary.partition.start - 1
        if self._last_hash is None or self._last_hash[0] != before:
            if position.last is None or position.last.end != before:
                return
            manifest = self._destination.find_manifest(self._era, position.last)
            if manifest is None:  # committed by the older copier, whose partitions may lie elsewhere
                return
            self._last_hash = (before, self._destination.links(self._era, manifest).last_hash)
        if self._last_hash[1] != summary.previous_hash:
            raise VerificationError(
                f"ledger {summary.first} of partition {summary.chain} {summary.partition} follows a ledger with the"
                f" hash {summary.previous_hash}, but ledger {before}, the last one committed, has {self._last_hash[1]}"
            )
