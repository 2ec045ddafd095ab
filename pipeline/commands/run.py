"""The commands that need settings, one function each; every one returns an exit status.

What takes long to import is imported where it is needed.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Sequence

from bronze.partitioning.coverage import gaps
from pipeline.commands.text import audit_lines, plan_lines, run_lines
from pipeline.exit_status import DONE, UNDONE
from pipeline.launch.prepare import Prepared, clean_leftovers, prepare, prepare_state, ready_stores
from pipeline.launch.scratch import remove_dead_scratch
from pipeline.settings import Settings
from pipeline.telemetry.totals import Finished, Totals

_LOG = logging.getLogger(__name__)


def run(
    settings: Settings, era_ids: Sequence[str], beam_arguments: Sequence[str], *, partial: bool, dry_run: bool
) -> int:
    """Copy what is missing."""
    prepared = prepare(settings, era_ids, partial=partial, dry_run=dry_run)
    for line in plan_lines(prepared):
        _LOG.info("%s", line)
    if not dry_run:
        ready_stores(prepared.job)
    remove_dead_scratch()  # also when there is nothing to copy: the run that died may have been the last with work
    finished = _copied(settings, prepared, beam_arguments)
    positions = [prepared.job.sequencer(plan.era).position() for plan in prepared.plans]
    missing = {
        plan.era.chain: gaps(prepared.job.dataset(), plan.era, position.next_ledger)
        for plan, position in zip(prepared.plans, positions, strict=True)
    }
    _print(run_lines(prepared, finished.totals, finished.seconds, positions, missing))
    if finished.stopped_by is not None:
        return finished.stopped_by
    return DONE if finished.totals.is_complete else UNDONE


def _copied(settings: Settings, prepared: Prepared, beam_arguments: Sequence[str]) -> Finished:
    if any(plan.partitions for plan in prepared.plans):
        from pipeline.launch.run import run_copy  # Beam takes seconds to import

        return run_copy(settings, prepared, beam_arguments)
    from pipeline.launch.session import ChainSession

    books = ChainSession(prepared.job)
    books.open()
    return Finished(Totals(outstanding=books.close()), 0.0)


def plan(settings: Settings, era_ids: Sequence[str], *, partial: bool) -> int:
    """Show what a run would do."""
    _print(plan_lines(prepare(settings, era_ids, partial=partial)))
    return DONE


def verify(settings: Settings, era_ids: Sequence[str]) -> int:
    """Check what was published against its chain; needs no lake."""
    from bronze.verify.verifier import verify_chain

    job = prepare_state(settings, era_ids)
    dataset = job.dataset()
    results = [verify_chain(era, dataset, log=job.events(era), checkpoint=job.checkpoint(era)) for era in job.eras]
    _print(line for result in results for line in audit_lines(result))
    return UNDONE if any(result.problems for result in results) else DONE


def deliver(settings: Settings, era_ids: Sequence[str]) -> int:
    """Send the events that the endpoint has not taken yet."""
    from pipeline.launch.session import deliver_all

    job = prepare_state(settings, era_ids)
    if not job.delivers:
        _print(["there is nothing to deliver to: pas.enabled is false, or pas.endpoint is empty"])
        return DONE
    sent, outstanding = deliver_all(job)
    _print([f"delivered    {sent:,} events", *(f"owed         {sentence}" for sentence in outstanding)])
    return UNDONE if outstanding else DONE


def clean(settings: Settings, era_ids: Sequence[str]) -> int:
    """Remove what dead runs left unfinished."""
    removed = [*clean_leftovers(prepare_state(settings, era_ids)), *map(str, remove_dead_scratch())]
    _print([f"removed {what}" for what in removed] or ["there is nothing to remove"])
    return DONE


def repair(settings: Settings, era_ids: Sequence[str]) -> int:
    """Put checkpoint, chain heads and delivery record right."""
    from bronze.commit.recovery import repair as repair_chain

    job = prepare_state(settings, era_ids)
    done = [sentence for era in job.eras for sentence in repair_chain(job, era)]
    _print(done or ["nothing needed repair"])
    return DONE


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)
    sys.stdout.flush()
