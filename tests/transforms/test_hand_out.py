"""Partitions are handed out a few at a time, in order, until all are or a stop is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.utils.timestamp import Timestamp

from bronze.job.stop_signal import StopSignal
from bronze.lake.layout import LakeLayout
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from tests.transforms.conftest import ERA, summary
from transforms import hand_out
from transforms.elements import PartitionKey
from transforms.hand_out import HandOutPartitions
from transforms.outcome_files import OutcomeFiles, WriteOutcomes

KEYS = [PartitionKey(ERA.chain, Partition(start, start + 9)) for start in range(100, 160, 10)]


class Tracker(OffsetRestrictionTracker):
    """Remembers whether the rest was given back."""

    def __init__(self, restriction: OffsetRange) -> None:
        super().__init__(restriction)
        self.is_deferred = False

    def defer_remainder(self, _: object) -> None:
        self.is_deferred = True


class Watermark:
    """Remembers where it was set."""

    def __init__(self) -> None:
        self.at: Timestamp | None = None

    def set_watermark(self, timestamp: Timestamp) -> None:
        self.at = timestamp


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hand_out, "_LOOK_S", 0.0)


@pytest.fixture
def outcomes(tmp_path: Path) -> OutcomeFiles:
    return OutcomeFiles(StorageLocation(str(tmp_path / "control")), "wave-0")


def handed(source: HandOutPartitions, tracker: Tracker, watermark: Watermark) -> list[Any]:
    return [(value.value[0], value.timestamp) for value in source.process(len(KEYS), tracker, watermark)]


def make(outcomes: OutcomeFiles, look_ahead: int) -> HandOutPartitions:
    source = HandOutPartitions(KEYS, LakeLayout(), outcomes, outcomes.location, look_ahead)
    source.setup()
    return source


def done(outcomes: OutcomeFiles, *starts: int) -> None:
    stage = WriteOutcomes(outcomes)
    stage.start_bundle()
    for start in starts:
        stage.process(summary(ERA, start))
    stage.finish_bundle()


def test_look_ahead_limits_what_is_handed_out(outcomes: OutcomeFiles) -> None:
    tracker, watermark, source = Tracker(OffsetRange(0, 6)), Watermark(), make(outcomes, 2)
    assert handed(source, tracker, watermark) == [(KEYS[0], Timestamp(0)), (KEYS[1], Timestamp(1))]
    assert (tracker.is_deferred, watermark.at) == (True, Timestamp(2))


def test_done_partitions_make_room_for_further_ones(outcomes: OutcomeFiles) -> None:
    done(outcomes, 110)
    done(outcomes, 100, 110)  # a repeated bundle counts once
    tracker, watermark = Tracker(OffsetRange(2, 6)), Watermark()
    assert [key for key, _ in handed(make(outcomes, 2), tracker, watermark)] == KEYS[2:4]
    assert tracker.is_deferred


def test_range_ends_when_all_is_handed_out(outcomes: OutcomeFiles) -> None:
    tracker, watermark = Tracker(OffsetRange(0, 6)), Watermark()
    assert [key for key, _ in handed(make(outcomes, 9), tracker, watermark)] == KEYS
    assert not tracker.is_deferred
    tracker.check_done()


def test_stop_ends_the_range_at_once(outcomes: OutcomeFiles) -> None:
    StopSignal(outcomes.location).request()
    tracker, watermark = Tracker(OffsetRange(1, 6)), Watermark()
    assert handed(make(outcomes, 9), tracker, watermark) == []
    assert not tracker.is_deferred
    tracker.check_done()
