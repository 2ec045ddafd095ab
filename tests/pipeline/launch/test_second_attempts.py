"""Second attempts: which partitions are tried again, when, and with which of those that wait for them."""

from __future__ import annotations

from collections.abc import Iterator

from bronze.errors import DiskFullError, LakeError, StoreError
from bronze.outcomes import PartitionFailure, PendingPartition
from bronze.partitioning.partition import Partition
from pipeline.launch.second_attempts import with_second_attempts
from pipeline.telemetry.totals import Totals
from transforms.elements import PartitionKey

CHAIN, OTHER = "net/e1/v1", "net/e2/v1"


def key(start: int, chain: str = CHAIN) -> PartitionKey:
    return PartitionKey(chain, Partition(start, start + 9))


def fail(totals: Totals, start: int, error: Exception, *, published: bool = False) -> None:
    totals.add(PartitionFailure.of(CHAIN, Partition(start, start + 9), error, published=published))


def wait(totals: Totals, start: int, chain: str = CHAIN) -> None:
    part = Partition(start, start + 9)
    totals.add(PendingPartition(chain=chain, partition=part, blocked_at=10, reason=""))


def attempts(totals: Totals, *waves: list[PartitionKey]) -> Iterator[list[PartitionKey]]:
    return with_second_attempts(waves, totals, pause_s=0)


def test_passing_failure_is_tried_with_what_waits() -> None:
    totals = Totals()
    made = attempts(totals, [key(10), key(20), key(30)])
    assert next(made) == [key(10), key(20), key(30)]
    fail(totals, 10, StoreError("503"))
    for start, chain in ((20, CHAIN), (30, CHAIN), (20, OTHER)):
        wait(totals, start, chain)
    assert next(made) == [key(10), key(20), key(30)]
    assert (totals.failures, list(totals.pending)) == ([], [(OTHER, Partition(20, 29))])
    assert list(made) == []


def test_lasting_failure_is_not_tried_again() -> None:
    totals = Totals()
    made = attempts(totals, [key(10)])
    next(made)
    fail(totals, 10, LakeError("missing"))
    assert list(made) == []
    assert len(totals.failures) == 1


def test_what_waits_for_lasting_failure_is_left() -> None:
    totals = Totals()
    made = attempts(totals, [key(10), key(20), key(30), key(40)])
    next(made)
    fail(totals, 10, StoreError("503"))
    fail(totals, 30, LakeError("missing"))
    wait(totals, 20)
    wait(totals, 40)
    assert next(made) == [key(10), key(20)]
    assert list(totals.pending) == [(CHAIN, Partition(40, 49))]


def test_last_attempt_is_at_the_end() -> None:
    totals = Totals()
    made = attempts(totals, [key(10)], [key(20)])
    seen = []
    for wave in made:
        seen.append(wave)
        if key(10) in wave:
            fail(totals, 10, StoreError("503"))
    assert seen == [[key(10)], [key(10)], [key(20)], [key(10)]]
    assert len(totals.failures) == 1


def test_refused_commit_is_tried_again() -> None:
    totals = Totals()
    made = attempts(totals, [key(10), key(20)])
    next(made)
    fail(totals, 10, StoreError("503"), published=True)
    wait(totals, 20)
    assert next(made) == [key(10), key(20)]


def test_nothing_is_tried_after_a_stop() -> None:
    totals = Totals()
    made = attempts(totals, [key(10), key(20)])
    next(made)
    fail(totals, 10, StoreError("503"))
    fail(totals, 20, DiskFullError("full"))
    assert list(made) == []


def test_many_are_tried_in_several_waves() -> None:
    totals = Totals()
    made = attempts(totals, [key(10)])
    next(made)
    fail(totals, 10, StoreError("503"))
    for start in range(20, 20 + 10 * 1500, 10):
        wait(totals, start)
    assert [len(wave) for wave in made] == [1000, 501]
