"""Hands out partitions a few at a time, so that a streaming job commits the first while later ones are encoded.

An unbounded splittable DoFn over the indices of the partitions, that ends by itself. Each partition has its own window
of one tick, which the watermark closes as soon as its files are handed out: `GroupByKey` behind it can group at once.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from bronze.errors import BronzeError, is_transient
from bronze.job.lease import Lease
from bronze.job.spec import CopyJob
from bronze.job.stop_signal import StopSignal
from bronze.lake.lake import Lake
from bronze.storage.opening import open_store
from transforms.elements import BatchFiles, PartitionKey
from transforms.growth import Growth
from transforms.key_by_partition import batch_files
from transforms.outcome_files import OutcomeFiles, SeenOutcomes

_LOG = logging.getLogger(__name__)
#: Seconds between two looks at what is done.
_LOOK_S = 0.5


class _Indices(RestrictionProvider):
    """The indices of the partitions, as one restriction that is never split."""

    def initial_restriction(self, element: int) -> OffsetRange:
        return OffsetRange(0, element)

    def create_tracker(self, restriction: OffsetRange) -> OffsetRestrictionTracker:
        return OffsetRestrictionTracker(restriction)

    def restriction_size(self, element: int, restriction: OffsetRange) -> int:
        left: int = restriction.stop - restriction.start
        return max(1, left)

    def split(self, element: int, restriction: OffsetRange) -> Iterator[OffsetRange]:
        yield restriction

    def truncate(self, element: int, restriction: OffsetRange) -> None:
        """A drain hands out nothing more."""


_RESTRICTION = beam.DoFn.RestrictionParam(_Indices())
_WATERMARK = beam.DoFn.WatermarkEstimatorParam(ManualWatermarkEstimator.default_provider())


class HandOutPartitions(beam.DoFn):
    """The number of partitions, at most, to ``(PartitionKey, BatchFiles)``, in their order.

    Args:
        keys: the partitions that were planned, in ledger order.
        outcomes: where the outcome of each is written.
        look_ahead: partitions that are handed out and have no outcome yet, at most.
        growth: what comes behind the planned ones, each when the lake has all of it, until one partition fails: what
            is tried again when is for the launcher to say. None: nothing.
    """

    def __init__(
        self,
        job: CopyJob,
        keys: Sequence[PartitionKey],
        outcomes: OutcomeFiles,
        look_ahead: int,
        growth: Growth | None = None,
    ) -> None:
        self._job = job
        self._planned = list(keys)
        self._outcomes = outcomes
        self._look_ahead = look_ahead
        self._growth = growth

    def setup(self) -> None:
        """Nothing is known of outcomes; those of an earlier attempt are found where they are written."""
        source, stop = self._job.source, self._job.run.stop
        assert source is not None
        self._layout = source.layout
        self._seen = SeenOutcomes(self._outcomes)
        self._signal = StopSignal(stop) if stop else None
        self._lease = Lease(stop) if stop and self._growth else None
        self._keys = list(self._planned)
        self._further = self._growth.keys() if self._growth else iter(())
        lake = Lake(open_store(source.location), source.layout, source.passphrase)
        self._newest = NewestLedger(lake, self._growth.poll_s) if self._growth else None

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: int,
        tracker: Any = _RESTRICTION,
        watermark: Any = _WATERMARK,
    ) -> Iterator[Any]:
        """Hand out as many as may be, then give the rest back to the runner until later."""
        restriction = tracker.current_restriction()
        for index in range(restriction.start, restriction.stop):
            key = self._key(index)
            if key is None or self._is_to_end(index):
                tracker.try_claim(restriction.stop)  # ends the range
                return
            if self._is_full(index) or not self._is_there(index, key):
                time.sleep(_LOOK_S)
                tracker.defer_remainder(Duration(seconds=_LOOK_S))
                return
            if not tracker.try_claim(index):
                return
            for files in batch_files([key], self._layout):
                yield TimestampedValue((key, files), Timestamp(index))
            watermark.set_watermark(Timestamp(index + 1))  # closes its window

    def _key(self, index: int) -> PartitionKey | None:
        """The partition that is handed out as the one of this index; None when there are fewer."""
        while len(self._keys) <= index:
            key = next(self._further, None)
            if key is None:
                return None
            self._keys.append(key)
        return self._keys[index]

    def _is_to_end(self, index: int) -> bool:
        if self._signal is not None and self._signal.is_requested():
            return True
        if index < len(self._planned):
            return False
        if self._lease is not None and not self._lease.is_held():
            _LOG.warning("the launcher of this job has told nothing for minutes: it ends")
            return True
        self._seen.count()
        return self._seen.has_failed or (self._newest is not None and self._newest.is_refused)

    def _is_full(self, index: int) -> bool:
        """Whether as many are handed out as may be; looks at outcomes only where those that are known do not tell."""
        return index - self._seen.known >= self._look_ahead and index - self._seen.count() >= self._look_ahead

    def _is_there(self, index: int, key: PartitionKey) -> bool:
        """Whether the lake has the whole partition; what was planned counts as there."""
        if index < len(self._planned) or self._newest is None:
            return True
        return self._newest.ledger() >= key.partition.end


class NewestLedger:
    """The newest ledger of a lake, looked up every `poll_s` seconds at most.

    Attributes:
        is_refused: whether the last look failed for a reason that does not pass by itself.
    """

    def __init__(self, lake: Lake, poll_s: float) -> None:
        self._lake = lake
        self._poll_s = poll_s
        self._looked_at = float("-inf")
        self._found = 0
        self.is_refused = False

    def ledger(self) -> int:
        """As of the last look that was answered; 0 for an empty lake."""
        if time.monotonic() - self._looked_at >= self._poll_s:
            self._looked_at = time.monotonic()
            try:
                newest = self._lake.newest()
            except (BronzeError, OSError) as error:
                self.is_refused = not is_transient(error)
                _LOG.warning("the lake cannot be looked at: %s", error)
            else:
                ledger = newest.ledger if newest else 0
                if ledger < self._found:
                    _LOG.warning("the newest ledger of the lake was %d, and is now %s", self._found, ledger or "none")
                self._found = ledger
        return self._found


#: What is handed out.
HAND_OUT_TYPE = tuple[PartitionKey, BatchFiles]
