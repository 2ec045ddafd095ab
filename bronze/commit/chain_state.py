"""Read where a chain stands: its checkpoint, its chain head, and its event files only when these two disagree."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.commit.catalog_head import check_catalog_head
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.position import (
    ChainPosition,
    check_chain_end,
    check_start,
    position_from_caches,
    position_from_catalog,
    position_from_events,
    unrecorded_start,
)
from bronze.commit.recent_events import events_since
from bronze.partitioning.era import Era

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset


@dataclass(frozen=True, slots=True)
class ChainState:
    """What is recorded of the chain of `era`.

    Attributes:
        log: the chain's event files; None when no audit stream is written.
        checkpoint: the chain's checkpoint; None when it is switched off.
        downstream: asked for the last recorded event when event files and chain head are both gone.
        dataset: what is compared with the catalog then; None: its answer is believed.
    """

    era: Era
    log: EventLog | None
    checkpoint: CheckpointFile | None
    downstream: Downstream
    dataset: Dataset | None = None

    def lock(self) -> AbstractContextManager[None]:
        """Keep every other copier on this machine from appending to the chain, where the store can."""
        return self.log.lock() if self.log else nullcontext()

    def read_position(self, remembered: ChainPosition | None = None) -> ChainPosition:
        """The position of the chain as its files state it now.

        Args:
            remembered: the position to return when nothing at all is recorded: no audit stream and no checkpoint.

        Raises:
            StateError: event files, chain head and checkpoint contradict each other, one is damaged, or the era was
                made to start behind what is committed.
            CatalogError: the catalog has to be asked and does not answer (see `Downstream.last_event`).
        """
        checkpoint = self.checkpoint.load() if self.checkpoint else None
        check_start(self.era, checkpoint)
        if self.log is None:
            if checkpoint is None and remembered is not None:
                return remembered
            return position_from_events(self.era, checkpoint, (), None)
        head = self.log.head()
        if head is not None and checkpoint is not None and checkpoint.partition is not None:
            event, _ = self.log.latest(checkpoint.partition)
            agreed = position_from_caches(checkpoint, event, head)
            if agreed is None:
                agreed = self._position_since(checkpoint, head)
            if agreed is not None:
                return agreed
        events = self.log.load()
        check_start(self.era, checkpoint, events)
        check_chain_end(self.era, checkpoint, events, head, self.log.where)
        if not events and head is None:
            recorded = self.downstream.last_event(self.era, needed=checkpoint is not None)
            if recorded is not None:
                if self.dataset is not None:
                    up_to = checkpoint.last_ledger if checkpoint else recorded[0].end
                    check_catalog_head(self.era, self.dataset, self.downstream.recorded(self.era), up_to)
                return position_from_catalog(self.era, checkpoint, recorded)
        position = position_from_events(self.era, checkpoint, events, head, self.log.where)
        if checkpoint is None or self.dataset is None:
            return position
        return self._behind(position, checkpoint, events, head)

    def check_events(self) -> None:
        """Check that the event files hold the chain that the checkpoint knows of; reads them all only when in doubt.

        Raises:
            StateError: they are missing, older or of another chain; or checkpoint or chain heads are damaged.
        """
        checkpoint = self.checkpoint.load() if self.checkpoint else None
        if self.log is None or checkpoint is None or checkpoint.chain is None:
            return
        head = self.log.head()
        if head == checkpoint.chain.head and checkpoint.partition and self.log.latest(checkpoint.partition)[0]:
            return
        check_chain_end(self.era, checkpoint, self.log.load(), head, self.log.where)

    def _position_since(self, checkpoint: Checkpoint, head: str) -> ChainPosition | None:
        """The position by the events that came after the checkpoint, as when a run died between the two; None when
        all events have to be read.
        """
        if self.log is None or checkpoint.chain is None or checkpoint.is_edited:
            return None
        found = events_since(self.log, checkpoint.chain, checkpoint.last_ledger)
        if found is None or head not in {checkpoint.chain.head, *(event.event_hash for event in found[0])}:
            return None
        position = position_from_events(self.era, checkpoint, found[0], head, self.log.where)
        return replace(position, chain=found[1])

    def _behind(
        self, position: ChainPosition, checkpoint: Checkpoint, events: Sequence[Event], head: str | None
    ) -> ChainPosition:
        """The position of a chain that has no events of the partitions before the checkpoint; else `position`."""
        last = checkpoint.partition
        if self.dataset is None or last is None or any(event.partition == last for event in events):
            return position
        first = unrecorded_start(checkpoint, events, head, self.dataset.list_partitions(self.era))
        if first is None or first.start < self.era.ledger_start:
            return position
        return replace(position, next_ledger=first.start, last=None, is_behind_checkpoint=True)
