"""Partitions are handed out a few at a time, in order, until all are or a stop is asked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.utils.timestamp import Timestamp

from bronze.errors import AccessDeniedError, FrameError, StoreError
from bronze.job.lease import Lease
from bronze.job.stop_signal import StopSignal
from bronze.lake.lake import NewestObject
from bronze.outcomes import PartitionFailure
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from tests.transforms.conftest import ERA, make_job, summary
from transforms import hand_out
from transforms.elements import PartitionKey
from transforms.growth import Growth
from transforms.hand_out import HandOutPartitions, NewestLedger
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
    job = make_job(Path(outcomes.location.path).parent, run={"stop": outcomes.location})
    source = HandOutPartitions(job, KEYS, outcomes, look_ahead)
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


# ------------------------------------------------------------------------------------------- a lake that grows


class FakeLake:
    """A lake whose newest ledger a test states, or the error of a look at it."""

    def __init__(self) -> None:
        self.newest_ledger = 0
        self.error: Exception | None = None

    def newest(self) -> NewestObject:
        if self.error is not None:
            raise self.error
        return NewestObject("key", self.newest_ledger)


@pytest.fixture
def lake() -> FakeLake:
    return FakeLake()


@pytest.fixture
def growing(outcomes: OutcomeFiles, lake: FakeLake) -> HandOutPartitions:
    """Planned are 100-109 and 110-119; of the era's end at 145 the lake has nothing yet."""
    era = replace(ERA, ledger_end=145)
    growth = Growth(eras=((era, 120),), limit=10, poll_s=0)
    job = make_job(Path(outcomes.location.path).parent, run={"stop": outcomes.location})
    source = HandOutPartitions(job, KEYS[:2], outcomes, 9, growth)
    source.setup()
    source._newest = NewestLedger(lake, 0)  # type: ignore[arg-type]
    return source


def starts(source: HandOutPartitions, tracker: Tracker) -> list[int]:
    return [key.partition.start for key, _ in handed(source, tracker, Watermark())]


def test_planned_partitions_need_no_look(growing: HandOutPartitions) -> None:
    tracker = Tracker(OffsetRange(0, 10))
    assert (starts(growing, tracker), tracker.is_deferred) == ([100, 110], True)


def test_further_partitions_follow_when_complete(growing: HandOutPartitions, lake: FakeLake) -> None:
    for newest, expected in ((128, []), (129, [120]), (145, [120, 130, 140])):
        lake.newest_ledger = newest
        tracker = Tracker(OffsetRange(2, 10))
        assert starts(growing, tracker) == expected
    assert not tracker.is_deferred  # the era ends there
    tracker.check_done()


def test_failure_ends_the_growth(growing: HandOutPartitions, lake: FakeLake, outcomes: OutcomeFiles) -> None:
    """What was planned is still handed out; when to try again is for the launcher to say."""
    lake.newest_ledger = 145
    stage = WriteOutcomes(outcomes)
    stage.start_bundle()
    stage.process(PartitionFailure.of(ERA.chain, KEYS[0].partition, FrameError("x")))
    stage.finish_bundle()
    tracker = Tracker(OffsetRange(1, 10))
    assert (starts(growing, tracker), tracker.is_deferred) == ([110], False)
    tracker.check_done()


def test_dead_launcher_ends_the_growth(growing: HandOutPartitions, lake: FakeLake, outcomes: OutcomeFiles) -> None:
    lake.newest_ledger = 145
    growing._lease = Lease(outcomes.location, limit_s=-1)
    tracker = Tracker(OffsetRange(0, 10))
    assert (starts(growing, tracker), tracker.is_deferred) == ([100, 110], False)


def test_unreachable_lake_is_asked_again(growing: HandOutPartitions, lake: FakeLake) -> None:
    lake.error = StoreError("no answer")
    tracker = Tracker(OffsetRange(2, 10))
    assert (starts(growing, tracker), tracker.is_deferred) == ([], True)
    lake.error, lake.newest_ledger = None, 129
    assert starts(growing, Tracker(OffsetRange(2, 10))) == [120]


def test_lake_that_refuses_ends_the_growth(growing: HandOutPartitions, lake: FakeLake) -> None:
    """The launcher looks at the lake itself then, and says why."""
    lake.error = AccessDeniedError("forbidden")
    tracker = Tracker(OffsetRange(2, 10))
    assert (starts(growing, tracker), tracker.is_deferred) == ([], True)
    tracker = Tracker(OffsetRange(2, 10))
    assert (starts(growing, tracker), tracker.is_deferred) == ([], False)
