"""Follows a lake that grows: copies what is complete, waits for more, and copies that, until it is stopped.

Each round is a run as any other (`pipeline.launch.run`): planned from the chains' positions and what the lake has by
then, cut into waves, committed, delivered. So a round that was interrupted, or a run that fell behind, is a backfill.
A round begins when the lake completes a partition. What was left undone is tried again when the file that it lacked is
there, otherwise after pauses that grow.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from functools import partial

from bronze.errors import BronzeError, is_transient
from bronze.job.outage import OutageWait
from bronze.lake.lake import Lake
from bronze.measurements import STORE_REACHABLE, STORE_UNREACHABLE, Measurement
from bronze.partitioning.partition import Partition, last_complete_ledger
from bronze.partitioning.plan import EraPlan
from bronze.waiting import pause
from pipeline.launch.existence import Round, end_round
from pipeline.launch.prepare import Prepared, prepare_next
from pipeline.launch.progress import continue_progress
from pipeline.launch.run import CopyRun, begin_copy
from pipeline.launch.runner import Runner
from pipeline.settings.model import Settings
from pipeline.telemetry.run_state import RunState
from pipeline.telemetry.session import Telemetry
from pipeline.telemetry.totals import Finished, Totals

_LOG = logging.getLogger(__name__)
#: The longest pause, in seconds, before what was left undone is tried again.
_LONGEST_RETRY_S = 900.0


def follow(
    settings: Settings,
    prepared: Prepared,
    runner: Runner,
    telemetry: Telemetry,
    totals: Totals | None = None,
    *,
    until_caught_up: bool,
) -> tuple[Finished, Round]:
    """Copy what `prepared` planned, and then what the lake gets, round after round.

    Where the runner streams, a round goes on with what the lake completes, until a partition fails.

    Ends when a signal or a failure asks for it, when every era has an end and all is copied, or, with
    `until_caught_up`, when the lake has no complete partition that was not tried.

    Returns:
        The totals of all rounds, and the last one.

    Raises:
        ConfigError: the runner's workers could not reach what the job names.
        DataError, StoreError: what a round found makes every further one useless.
    """
    with begin_copy(settings, prepared, runner, totals, telemetry.state, grows=not until_caught_up) as copy:
        waits = 0
        while True:
            ended = _round(copy, prepared, telemetry.state)
            undone = _undone(copy.totals, ended)
            if copy.must_end or (not undone and all(map(_is_done, prepared.plans))):
                break
            waits = waits + 1 if undone else 0
            watch = LakeWatch(prepared, telemetry.state, poll_s=settings.source.poll_seconds)
            if until_caught_up:
                if not watch.has_more():
                    break
            elif not watch.wait(retry_after_s=_retry_after(settings, waits) if undone else None, undone=undone):
                break
            telemetry.state.enter("planning")
            prepared = OutageWait(prepared.job).call("planning", partial(prepare_next, settings, prepared))
            continue_progress(telemetry, prepared)
            copy.totals.begin_round()
        return copy.finished(), ended


def _round(copy: CopyRun, prepared: Prepared, state: RunState) -> Round:
    copy.copy(prepared)
    state.enter("ending the round")
    ended = OutageWait(prepared.job).call("the end of the round", lambda: end_round(prepared, is_stopped=copy.must_end))
    for plan, position in zip(prepared.plans, ended.positions, strict=True):
        if plan.partitions:
            _LOG.info("%s: committed up to ledger %d", plan.era.chain, position.next_ledger - 1)
    return ended


def _undone(totals: Totals, ended: Round) -> list[Partition]:
    """The partitions that failed, in ledger order; the chains' positions where only something else is left undone."""
    failed = sorted({failure.partition for failure in totals.failures} | {one for _, one in ended.problems})
    if failed or not (totals.pending or totals.outstanding):
        return failed
    return [Partition(max(1, one.next_ledger), max(1, one.next_ledger)) for one in ended.positions[:1]]


def _is_done(plan: EraPlan) -> bool:
    """Whether the era has an end, and the last ledger that was wanted is there or behind."""
    return bool(plan.era.ledger_end) and plan.end >= plan.era.ledger_end


def _retry_after(settings: Settings, waits: int) -> float:
    return float(min(settings.source.poll_seconds * 2.0 ** min(waits, 20), _LONGEST_RETRY_S))


class LakeWatch:
    """Waits until the lake has more than a round has planned.

    Args:
        prepared: the round.
        state: is told of each look at the lake.
        poll_s: seconds between two looks.
        sleep: sleeps for so many seconds; false when the process was asked to stop meanwhile.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        prepared: Prepared,
        state: RunState,
        *,
        poll_s: float,
        sleep: Callable[[float], bool] = pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake: Lake = prepared.lake
        self._plans = prepared.plans
        self._state = state
        self._poll_s = poll_s
        self._sleep = sleep
        self._clock = clock
        self._has_warned = False
        self._newest = prepared.newest.ledger if prepared.newest else 0

    def wait(self, *, retry_after_s: float | None, undone: Collection[Partition] = ()) -> bool:
        """Wait until a partition is complete that was not planned, or until it is time to try again.

        Args:
            retry_after_s: seconds until what is `undone` is tried again in any case; None: nothing is undone.
            undone: partitions that failed; they are tried again, too, when a file that they lack has appeared.

        Returns:
            False when the process was asked to stop.

        Raises:
            StoreError: the lake refuses an answer for good.
        """
        began = self._clock()
        lacking = self._absent(undone)
        is_logged = False
        while not self._answered(self.has_more):
            if not is_logged and not self._has_warned:
                _LOG.info("%s", self._state.snapshot().phase)
                is_logged = True
            if retry_after_s is not None and self._clock() - began >= retry_after_s:
                return True
            if lacking is not None and self._answered(partial(self._lake.holds, lacking)):
                lacking = self._absent(undone)
                if lacking is None:
                    return True
            if not self._sleep(self._poll_s):
                return False
        return True

    def has_more(self) -> bool:
        """Whether the lake completes a partition behind those that were planned.

        Raises:
            StoreError, OSError: the lake does not answer.
        """
        found = self._lake.newest()
        newest = found.ledger if found else 0
        if newest < self._newest:
            _LOG.warning(
                "the newest ledger of the lake %s was %d, and is now %s: were objects removed, or is a volume not"
                " mounted? The run waits for what comes next",
                self._lake.store.url, self._newest, newest or "none",
            )  # fmt: skip
        self._newest = newest
        ends = [last_complete_ledger(plan.era, newest) for plan in self._plans]
        if any(end > max(plan.end, plan.start - 1) for plan, end in zip(self._plans, ends, strict=True)):
            return True
        self._state.wait_for(self._wanted(newest), lake_latest=newest or None)
        return False

    def _answered(self, question: Callable[[], bool]) -> bool:
        """The answer of the lake to `question`; false, with one warning, while it does not answer.

        Raises:
            StoreError: it refuses an answer for good.
        """
        try:
            answer = question()
        except (BronzeError, OSError) as error:
            if not is_transient(error):
                raise
            if not self._has_warned:
                _LOG.warning("the lake cannot be looked at, the run goes on trying: %s", error)
                fields = {"store": self._lake.store.url, "error": str(error)}
                self._state(Measurement(STORE_UNREACHABLE, time.time(), fields))
            self._has_warned = True
            return False
        if self._has_warned:
            _LOG.info("the lake %s answers again", self._lake.store.url)
            self._state(Measurement(STORE_REACHABLE, 0.0, {"store": self._lake.store.url}))
        self._has_warned = False
        return answer

    def _wanted(self, newest: int) -> str:
        wanted = [
            min(max(plan.end, plan.start - 1) + plan.era.partition_size, plan.era.last_ledger)
            for plan in self._plans
            if not _is_done(plan)
        ]
        return f"ledger {min(wanted)} of the lake; it has {newest or 'none'}" if wanted else "a repair of the lake"

    def _absent(self, partitions: Collection[Partition]) -> int | None:
        """The first ledger of the first file that one of `partitions` lacks; None when none does, or nobody knows."""
        with suppress(BronzeError, OSError):
            for one in partitions:
                ledger = self._lake.first_absent(one.start, one.end)
                if ledger is not None:
                    return ledger
        return None
