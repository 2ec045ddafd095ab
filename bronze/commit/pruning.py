"""Which partitions had events whose files were pruned.

Files are pruned from the chain's beginning on, by its links: the order of ledgers says nothing, since gaps are filled
and partitions corrected later. The checkpoint states which ledgers the chain has events of. Where it is lost, the times
decide: an event is made after its partition was published, so a partition that was published after the oldest event
that is left had none; one that was published before that event's own partition, or lies before it, had one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.commit.position import ChainPosition
from bronze.outcomes import Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.timestamps import is_later

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset


class PrunedEvents:
    """Tells partitions whose events were pruned from those that never had one.

    Args:
        log: the chain's event files; they are read only where the checkpoint says nothing.
    """

    def __init__(self, era: Era, dataset: Dataset, log: EventLog) -> None:
        self._era = era
        self._dataset = dataset
        self._log = log
        #: The oldest event that has a file; appending does not change it, so it is looked up once.
        self._oldest: Event | None = None

    def include(self, summary: PartitionSummary, position: ChainPosition, published_at: str) -> bool:
        """Whether the event of `summary`, which has no file, once existed.

        Args:
            published_at: when the partition was published, RFC 3339.
        """
        if not position.head or summary.outcome in (Outcome.WRITTEN, Outcome.REPLACED):
            return False
        if position.recorded is not None and position.recorded.ranges is not None:
            return position.recorded.has_event_of(summary.partition)
        if self._oldest is None:
            self._oldest = next(iter(self._log.load()), None)
        if self._oldest is None:
            return summary.partition.end < position.next_ledger or summary.outcome is Outcome.SKIPPED
        if not self._oldest.prev_hash or is_later(published_at, self._oldest.timestamp):
            return False
        if summary.partition.end < self._oldest.partition.start:
            return True
        manifest = self._dataset.find_manifest(self._era, self._oldest.partition, check_file=False)
        return manifest is not None and is_later(manifest.created_at, published_at)
