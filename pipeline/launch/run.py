"""Runs the copy: waves of the graph on a runner, and what came of it."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from bronze.errors import ConfigError
from bronze.xdr import is_compiled
from pipeline.launch.local_runner import LOCAL_NAMES, local_options, run_locally
from pipeline.launch.prepare import Prepared
from pipeline.launch.scratch import scratch
from pipeline.launch.session import ChainSession
from pipeline.launch.signals import stop_on_signals
from pipeline.launch.waves import cut_waves
from pipeline.settings import Settings
from pipeline.telemetry.totals import Finished, Totals
from transforms.elements import PartitionKey
from transforms.graph import CopyPartitions
from transforms.outcome_files import read_report

_LOG = logging.getLogger(__name__)
#: What the interpreted reader costs: a ledger of 372 KB walks in 9.6 ms instead of 0.15 ms (docs/performance.md).
_INTERPRETED_FACTOR = 60
#: Where Beam passes on what worker processes log.
_WORKER_LOGGER = "apache_beam.runners.portability.local_job_service"


def run_copy(settings: Settings, prepared: Prepared, beam_arguments: Sequence[str] = ()) -> Finished:
    """Copy what `prepared` planned.

    Raises:
        ConfigError: a runner or Beam option that a copy between local directories cannot use.
        Exception: what the graph could not catch (a full disk under the checkpoint, say); a later run goes on.
    """
    _refuse_other_runners(beam_arguments)
    # Beam tells at length how it sets itself up; what goes wrong comes as a warning or an error.
    logging.getLogger("apache_beam").setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger(_WORKER_LOGGER).addFilter(_concerns_this_run)
    job, totals = prepared.job, Totals()
    workers = max(1, min(settings.workers, settings.perf.max_in_flight_partitions))
    compiled = is_compiled()
    options = local_options(workers, threads=compiled, beam_arguments=list(beam_arguments))
    if not compiled:
        _LOG.warning(
            "the XDR reader is interpreted (no compiled module was built, or BRONZE_READER says so): walking a ledger"
            " takes about %d times as long",
            _INTERPRETED_FACTOR,
        )
    planned = sum(len(plan.partitions) for plan in prepared.plans)
    if compiled and 0 < planned < workers:  # cores without a partition of their own help with the others'
        job = replace(job, threads=-(-workers // planned))
    waves = cut_waves(
        prepared.plans,
        _existing(prepared),
        workers=workers,
        wave_partitions=settings.perf.wave_partitions,
        is_remote=job.dataset().is_remote,
    )
    started = time.monotonic()
    books = ChainSession(job)
    with scratch() as folder, stop_on_signals(folder / "stop") as stop:
        job = replace(job, stop_file=str(stop.path))
        books.open()
        for number, wave in enumerate(waves):
            report = folder / f"wave-{number}"
            run_locally(CopyPartitions(job, wave, str(report)), options)
            failures = len(totals.failures)
            _add_wave(totals, wave, report)
            shutil.rmtree(report, ignore_errors=True)
            books.failed(totals.failures[failures:])
            _log_progress(totals, planned, wave[-1], time.monotonic() - started)
            if stop.status is not None or any(failure.stops_run for failure in totals.failures):
                break
        totals.outstanding = books.close()
    return Finished(totals, time.monotonic() - started, stop.status)


def _concerns_this_run(record: logging.LogRecord) -> bool:
    """False for the warning with which every local worker process begins: nothing here uses that directory."""
    return "No semi_persistent_directory found" not in record.getMessage()


def _refuse_other_runners(beam_arguments: Sequence[str]) -> None:
    arguments = iter(beam_arguments)
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if name == "--runner":
            runner = value if equals else next(arguments, "")
            if runner.lower() not in LOCAL_NAMES:
                raise ConfigError(
                    f"--runner={runner}: this version runs on this machine alone; allowed are DirectRunner"
                    " and FnApiRunner"
                )


def _existing(prepared: Prepared) -> frozenset[PartitionKey]:
    dataset = prepared.job.dataset()
    return frozenset(
        PartitionKey(plan.era.chain, found)
        for plan in prepared.plans
        if plan.partitions and not plan.era.allow_overwrite
        for found in dataset.list_partitions(plan.era)
    )


def _add_wave(totals: Totals, wave: list[PartitionKey], folder: Path) -> None:
    """Count the wave's outcomes; a partition without one would be lost silently, so it is an error."""
    before = totals.reported
    for found in read_report(folder):
        totals.add(found)
    if totals.reported - before != len(wave):
        raise RuntimeError(f"the runner reported {totals.reported - before} of {len(wave)} partitions of a wave")


def _log_progress(totals: Totals, planned: int, last: PartitionKey, seconds: float) -> None:
    done = totals.reported
    _LOG.info(
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
