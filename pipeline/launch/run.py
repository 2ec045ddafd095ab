"""Runs the copy: rounds of waves of the graph on a runner, and their outcomes."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path

from bronze.errors import BronzeError, OutageError, RunnerError, RunStoppedError
from bronze.job.lease import renewed
from bronze.job.outage import stores_out_of_reach
from bronze.job.spec import CopyJob
from bronze.job.stop_signal import StopSignal
from bronze.log_fields import log_fields, partition_fields
from bronze.outcomes import PartitionFailure, PartitionSummary, Report
from bronze.partitioning.plan import EraPlan
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from pipeline.launch.existence import begin_existence
from pipeline.launch.prepare import Prepared
from pipeline.launch.remote_progress import told_of
from pipeline.launch.runner import Runner, job_on
from pipeline.launch.scratch import scratch
from pipeline.launch.second_attempts import with_second_attempts
from pipeline.launch.session import ChainSession
from pipeline.launch.shared_places import refuse_local_locations
from pipeline.launch.signals import SignalWatch, stop_on_signals
from pipeline.launch.waves import MAX_PARTITIONS, cut_waves
from pipeline.settings.model import Settings
from pipeline.telemetry.run_state import RunState
from pipeline.telemetry.totals import Finished, Totals
from transforms.elements import PartitionKey
from transforms.graph import CopyPartitions
from transforms.growth import Growth
from transforms.outcome_files import OutcomeFiles, SeenOutcomes

_LOG = logging.getLogger(__name__)


def run_copy(
    settings: Settings,
    prepared: Prepared,
    runner: Runner,
    totals: Totals | None = None,
    state: RunState | None = None,
) -> Finished:
    """Copy what `prepared` planned.

    Args:
        totals: where outcomes are added up, for those who want to see them also when the run fails.
        state: is told how far workers are that run elsewhere.

    Raises:
        ConfigError: the runner's workers could not reach what the job names.
        OutageError: a store was unreachable for longer than the run waits.
        RunStoppedError: the run was stopped while a store was unreachable.
        Exception: what the graph could not catch (a full disk under the checkpoint, for example); a later run resumes.
    """
    with begin_copy(settings, prepared, runner, totals, state) as copy:
        copy.copy(prepared)
        return copy.finished()


@contextmanager
def begin_copy(
    settings: Settings,
    prepared: Prepared,
    runner: Runner,
    totals: Totals | None = None,
    state: RunState | None = None,
    *,
    grows: bool = False,
) -> Iterator[CopyRun]:
    """A run on `runner` that takes the signals of this process until the block ends.

    Args:
        totals, state: see `run_copy`.
        grows: see `CopyRun`.

    Raises:
        ConfigError: the runner's workers could not reach what the job names.
    """
    if runner.is_distributed and not settings.perf.shared_filesystem:
        refuse_local_locations(prepared.job, can_mount=True)
    with scratch() as folder:
        control = runner.control_location(folder)
        with stop_on_signals(StopSignal(control)) as signals:
            try:
                yield CopyRun(settings, runner, control, signals, totals or Totals(), state, grows=grows)
            except RunStoppedError as error:
                error.exit_status = signals.status
                raise
            finally:
                if runner.is_distributed:
                    _clean(control)


class CopyRun:
    """A run: one round of waves, or several, where it follows a lake that grows.

    Args:
        control: where launcher and workers exchange the request to stop and the outcomes.
        signals: whether a signal has asked the run to stop.
        state: is told how far workers are that run elsewhere.
        grows: whether a streaming job is to go on with what the lake gets, until it is stopped or a partition fails.

    Attributes:
        totals: of all rounds; what was left undone is that of the last one.
    """

    def __init__(
        self,
        settings: Settings,
        runner: Runner,
        control: StorageLocation,
        signals: SignalWatch,
        totals: Totals,
        state: RunState | None = None,
        *,
        grows: bool = False,
    ) -> None:
        self._settings = settings
        self._runner = runner
        self._control = control
        self._signals = signals
        self._state = state if runner.has_own_workers else None
        self._grows = grows and runner.look_ahead is not None
        self._started = time.monotonic()
        self._waves = 0
        self.totals = totals

    @property
    def must_end(self) -> bool:
        """Whether nothing more may be copied: a signal asks for that, or a failure does."""
        return self._signals.status is not None or any(failure.stops_run for failure in self.totals.failures)

    def finished(self) -> Finished:
        """What was done until now."""
        return Finished(self.totals, time.monotonic() - self._started, self._signals.status)

    def copy(self, prepared: Prepared) -> None:
        """Copy what `prepared` planned, wave after wave, until all is done or the run `must_end`.

        Raises:
            OutageError: a store was unreachable for longer than the run waits.
            RunStoppedError: the run was stopped while a store was unreachable: how far its chains are cannot be told.
            Exception: what the graph could not catch (a full disk under the checkpoint, for example).
        """
        totals, partitions = self.totals, sum(len(plan.partitions) for plan in prepared.plans)
        planned = totals.reported + partitions
        existing = _existing(prepared)
        planned_waves = list(
            cut_waves(
                prepared.plans,
                existing,
                wave_partitions=self._settings.perf.wave_partitions,
                default_partitions=self._runner.default_wave(is_remote=prepared.connections.dataset().is_remote),
            )
        )
        waves = iter(planned_waves)
        session = ChainSession(prepared.connections, prepared.positions, prepared.listings)
        job = job_on(self._runner, prepared.job, self._control, partitions=partitions)
        session.open()
        if not job.run.dry_run:
            begin_existence(prepared)
        for wave in with_second_attempts(waves, totals, pause_s=job.run.retry.backoff_ms / 1000):
            growth = _growth(prepared, self._settings) if self._grows and wave is planned_waves[-1] else None
            _log_planned(job, wave)
            outcomes = OutcomeFiles(self._control, f"wave-{self._waves}")
            seen = SeenOutcomes(outcomes)
            self._waves += 1
            if not job.run.dry_run:
                prepared.listings.forget()
            with ExitStack() as watching:
                if self._state is not None:
                    watching.enter_context(told_of(seen, self._state, wave))
                if growth is not None:
                    watching.enter_context(renewed(self._control))
                self._runner.run(CopyPartitions(job, wave, outcomes, self._runner.look_ahead, growth))
            failures = len(totals.failures)
            planned += _add_wave(totals, wave, seen.read(), growth, is_stopped=self._signals.status is not None)
            outcomes.remove()
            session.record_failures(totals.failures[failures:])
            _log_wave(totals, planned, wave[-1], time.monotonic() - self._started)
            if self.must_end:
                _add_not_begun(totals, (key for left in waves for key in left if key not in existing))
                break
        _raise_outage(totals)
        if self._signals.status is not None and (stores := stores_out_of_reach()):
            raise RunStoppedError(
                f"{' and '.join(stores)} did not answer when the run was stopped: run again to resume"
            )
        totals.outstanding = session.close()


def _clean(control: StorageLocation) -> None:
    """Remove what launcher and workers exchanged; what is left, after a run that was killed, harms nobody."""
    store = open_store(control)
    with suppress(BronzeError, OSError):
        for entry in list(store.list_children("")):
            names = [entry.name]
            if entry.is_prefix:
                names = [f"{entry.name}/{child.name}" for child in store.list_children(entry.name)]
            for name in names:
                store.delete(name)
        if control.scheme == "local":
            for directory in (*Path(control.path).iterdir(), Path(control.path), Path(control.path).parent):
                directory.rmdir()


def _existing(prepared: Prepared) -> frozenset[PartitionKey]:
    """The planned partitions that exist, and will most likely be skipped."""
    return frozenset(
        PartitionKey(plan.era.chain, partition)
        for plan, found in zip(prepared.plans, prepared.existence, strict=True)
        if not plan.era.allow_overwrite
        for partition in found.listing.published
    )


def _log_planned(job: CopyJob, wave: list[PartitionKey]) -> None:
    """Begin the story of each partition in the log, at level debug."""
    for key in wave if _LOG.isEnabledFor(logging.DEBUG) else ():
        with log_fields(**partition_fields(job.run.run_id, key.chain, key.partition.start, key.partition.end)):
            _LOG.debug("partition %s: planned", key)


def _growth(prepared: Prepared, settings: Settings) -> Growth:
    """What the lake completes behind the planned partitions."""

    def planned_end(plan: EraPlan) -> int:
        return max([plan.start - 1, plan.end, *(partition.end for partition in plan.partitions)])

    eras = tuple((plan.era, planned_end(plan) + 1) for plan in prepared.plans)
    return Growth(eras=eras, limit=MAX_PARTITIONS, poll_s=settings.source.poll_seconds)


def _add_wave(
    totals: Totals, wave: list[PartitionKey], outcomes: Iterable[Report], growth: Growth | None, *, is_stopped: bool
) -> int:
    """Count the outcomes of a wave; a partition without one would be lost silently, so it is an error.

    A run that was asked to stop may leave partitions without one: they were not begun.

    Returns:
        How many partitions have one that are of the growth.
    """
    reported, known = 0, set[PartitionKey]()
    for outcome in outcomes:
        totals.add(outcome)
        known.add(PartitionKey(outcome.chain, outcome.partition))
        is_of_copy = isinstance(outcome, PartitionSummary)
        reported += is_of_copy or (isinstance(outcome, PartitionFailure) and not outcome.published)
    if is_stopped:
        not_begun = [key for key in wave if key not in known]
        _add_not_begun(totals, not_begun)
        reported += len(not_begun)
    grown = known.difference(wave)
    expected = {*wave, *islice(growth.keys() if growth else (), len(grown))}
    if reported != len(expected) or not known <= expected:
        raise RunnerError(
            f"the runner reported {reported} of {len(expected)} partitions of a wave: nothing is known of the others;"
            " run again, what is published is found"
        )
    return len(grown)


def _raise_outage(totals: Totals) -> None:
    """Raise `OutageError` when one ended the run: what is left to be done needs that store."""
    for failure in totals.failures:
        if failure.error_type == OutageError.__name__:
            raise OutageError(failure.message)


def _add_not_begun(totals: Totals, keys: Iterable[PartitionKey]) -> None:
    """Count the partitions of the waves that a signal kept from being begun."""
    for key in keys:
        stopped = RunStoppedError("it was not begun: the run was asked to stop")
        totals.add(PartitionFailure.of(key.chain, key.partition, stopped))


def _log_wave(totals: Totals, planned: int, last: PartitionKey, seconds: float) -> None:
    done = totals.reported - sum(not stopped.published for stopped in totals.stopped)
    _LOG.debug(
        "%d of %d partitions (%.0f %%), up to ledger %d of %s; %d ledgers, %.0f ledgers/s, %d failed",
        done,
        planned,
        100 * done / max(planned, 1),
        last.partition.end,
        last.chain,
        totals.ledgers,
        totals.ledgers / max(seconds, 1e-9),
        len(totals.failures),
    )
