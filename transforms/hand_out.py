"""Hands out partitions a few at a time, so that a streaming job commits the first while later ones are encoded.

An unbounded splittable DoFn over the indices of the partitions, that ends by itself. Each partition has its own window
of one tick, which the watermark closes as soon as its files are handed out: `GroupByKey` behind it can group at once.
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.timestamp import Duration, Timestamp

from bronze.job.stop_signal import StopSignal
from bronze.lake.layout import LakeLayout
from bronze.storage.location import StorageLocation
from transforms.elements import BatchFiles, PartitionKey
from transforms.key_by_partition import batch_files
from transforms.outcome_files import OutcomeFiles, SeenOutcomes

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
    """The number of partitions to ``(PartitionKey, BatchFiles)``, in their order.

    Args:
        keys: the partitions, in ledger order.
        outcomes: where the outcome of each is written.
        stop: where the request to stop appears; nothing more is handed out after it. None: there is none.
        look_ahead: partitions that are handed out and have no outcome yet, at most.
    """

    def __init__(
        self,
        keys: Sequence[PartitionKey],
        layout: LakeLayout,
        outcomes: OutcomeFiles,
        stop: StorageLocation | None,
        look_ahead: int,
    ) -> None:
        self._keys = list(keys)
        self._layout = layout
        self._outcomes = outcomes
        self._stop = stop
        self._look_ahead = look_ahead
        self._seen: SeenOutcomes | None = None
        self._signal: StopSignal | None = None

    def setup(self) -> None:
        """Nothing is known of outcomes; those of an earlier attempt are found where they are written."""
        self._seen = SeenOutcomes(self._outcomes)
        self._signal = StopSignal(self._stop) if self._stop else None

    @beam.DoFn.unbounded_per_element()
    def process(
        self,
        element: int,
        tracker: Any = _RESTRICTION,
        watermark: Any = _WATERMARK,
    ) -> Iterator[Any]:
        """Hand out as many as may be, then give the rest back to the runner until later."""
        assert self._seen is not None
        restriction = tracker.current_restriction()
        index = restriction.start
        while index < restriction.stop:
            if self._signal is not None and self._signal.is_requested():
                tracker.try_claim(restriction.stop)  # ends the range
                return
            if index - self._seen.count() >= self._look_ahead:
                time.sleep(_LOOK_S)
                tracker.defer_remainder(Duration(seconds=_LOOK_S))
                return
            if not tracker.try_claim(index):
                return
            key = self._keys[index]
            for files in batch_files([key], self._layout):
                yield TimestampedValue((key, files), Timestamp(index))
            watermark.set_watermark(Timestamp(index + 1))  # closes its window
            index += 1


#: What is handed out.
HAND_OUT_TYPE = tuple[PartitionKey, BatchFiles]
