"""Reports come as they are made; a request to stop ends the wait for a service that hangs; progress is logged."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator

import pytest

from bronze.partitioning.partition import Partition
from bronze.verify import Level, PartitionReport
from pipeline.launch.audit_checks import Progress, is_something_left_behind, until_stopped

pytestmark = pytest.mark.timeout(60)


def test_items_come_in_their_order() -> None:
    assert list(until_stopped(iter(range(500)), lambda: False)) == list(range(500))


def test_error_of_an_item_is_raised() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    found = until_stopped(items(), lambda: False)
    assert next(found) == 1
    with pytest.raises(ValueError, match="broken"):
        next(found)


def test_item_that_hangs_is_left_behind() -> None:
    answers = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        answers.wait()
        yield 2

    asked = threading.Event()
    found = until_stopped(items(), asked.is_set, patience_s=0.0)
    assert next(found) == 1
    asked.set()
    assert list(found) == []
    assert is_something_left_behind()
    answers.set()
    for thread in threading.enumerate():
        if thread.name == "checks":
            thread.join()
    assert not is_something_left_behind()


def test_stop_waits_for_what_answers_in_time() -> None:
    answers = threading.Event()

    def items() -> Iterator[int]:
        answers.wait()
        yield 1

    timer = threading.Timer(0.5, answers.set)
    timer.start()
    assert list(until_stopped(items(), lambda: True, patience_s=50.0)) == [1]


def test_progress_is_logged_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    now = 0.0
    progress = Progress("pubnet/e1/v1", Level.ROWS, 8, clock=lambda: now)
    with caplog.at_level(logging.INFO):
        for number in range(8):
            now += 2.0
            partition = Partition(number * 10, number * 10 + 9)
            progress.add(
                PartitionReport(chain="pubnet/e1/v1", partition=partition, level=Level.ROWS, byte_size=6_000_000)
            )
    assert [record.getMessage() for record in caplog.records] == [
        "pubnet/e1/v1: 3 of 8 partitions checked at the level rows, 3.0 MB/s, 10 s left",
        "pubnet/e1/v1: 6 of 8 partitions checked at the level rows, 3.0 MB/s, 4 s left",
        "pubnet/e1/v1: 8 of 8 partitions checked at the level rows, 3.0 MB/s",
    ]
