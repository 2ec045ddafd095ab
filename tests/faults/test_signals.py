"""SIGTERM and SIGINT end a run between commits; the next run completes it."""

from __future__ import annotations

import os
import shutil
import signal

import pytest

from tests.e2e.conftest import Copier, RunResult, wait_until
from tests.faults.bed import Bed
from tests.faults.compare import assert_nothing_half_published
from tests.faults.program import child_of, finish, run, start, strace
from tests.faults.steps import FIRST, PARTITIONS

pytestmark = pytest.mark.timeout(180)
STATUS = {signal.SIGTERM: 143, signal.SIGINT: 130}


def slow(copy: Copier) -> list[str]:
    """Delay every link by 0.1 s, so that the run cannot end before the signal arrives."""
    return strace(copy.root / "trace", "-e", "inject=link:delay_enter=100000", calls=["link"])


def interrupt(copy: Copier, number: signal.Signals, *, published: int, committed: int, times: int = 1) -> RunResult:
    """Start a slow run and signal it when it has published and committed so many partitions."""
    process = start(copy, under=slow(copy))
    wait_until(
        lambda: (
            process.poll() is not None
            or (len(copy.partitions()) >= published and len(list((copy.root / "pas").glob("sta*"))) >= committed)
        ),
        f"{published} partitions and {committed} events",
    )
    assert process.poll() is None, f"it ended before it was sent the signal: {process.communicate()}"
    for _ in range(times):
        os.kill(child_of(process.pid), number)
    return finish(process)


@pytest.mark.parametrize("number", STATUS)
@pytest.mark.parametrize(
    ("published", "committed"),
    [pytest.param(2, 0, id="while it encodes"), pytest.param(7, 2, id="while it commits")],
)
def test_signal_stops_run_between_commits(number: signal.Signals, published: int, committed: int, bed: Bed) -> None:
    copy = bed.copy()

    ran = interrupt(copy, number, published=published, committed=committed)

    assert ran.status == STATUS[number], ran
    assert "Traceback" not in ran.err
    assert copy.leftovers() == []
    assert_nothing_half_published(copy)
    assert set(copy.partitions()) < set(PARTITIONS), "it did not stop, or boundaries shifted"
    events = copy.committed()
    assert events == PARTITIONS[: len(events)]
    # The commit in progress was finished: checkpoint and head are those of the last event.
    last = events[-1][1] if events else FIRST - 1
    assert copy.checkpoint() == (last if events else 0)
    assert str(last + 1) in ran.out + ran.err or str(last) in ran.out + ran.err, "it does not say where it stopped"
    assert run(copy).status == 0
    bed.check(copy)
    shutil.rmtree(copy.root)


@pytest.mark.parametrize("number", STATUS)
def test_second_signal_exits_without_loss(number: signal.Signals, bed: Bed) -> None:
    copy = bed.copy()
    ran = interrupt(copy, number, published=4, committed=0, times=2)
    assert ran.status in (STATUS[number], -number), ran
    assert_nothing_half_published(copy)
    assert run(copy).status == 0
    bed.check(copy)
    shutil.rmtree(copy.root)


def test_signal_during_startup_loses_nothing(bed: Bed) -> None:
    copy = bed.copy()
    process = start(copy)
    os.kill(process.pid, signal.SIGTERM)
    assert finish(process).status in (STATUS[signal.SIGTERM], -signal.SIGTERM)
    assert run(copy).status == 0
    bed.check(copy)
