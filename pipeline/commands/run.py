"""The command ``bronze-copier run``: copy what is missing. Also ``-validate`` and ``-version``."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from bronze.errors import ConfigError, RunStoppedError, StoreError, is_unreachable
from bronze.partitioning.partition import Partition
from pipeline.commands.configured import (
    CONFIG_OPTIONS,
    PUBLISH_PARTIAL,
    WAIT,
    chosen_eras,
    load_settings,
    settings_file,
    verbosity,
)
from pipeline.commands.options import JSON, Options, flag, option
from pipeline.commands.version import VERSION
from pipeline.exit_status import DONE, GAP, OUTSTANDING, UNDONE

if TYPE_CHECKING:
    from bronze.job.connections import Connections
    from pipeline.commands.run_summary import RunSummary
    from pipeline.launch.existence import Round
    from pipeline.launch.prepare import Prepared
    from pipeline.settings.model import Settings
    from pipeline.telemetry.session import Telemetry
    from pipeline.telemetry.totals import Finished, Totals

_LOG = logging.getLogger(__name__)
#: Version of the JSON document of ``--validate``: keys are only added. That of a run is `run_summary.RUN_SCHEMA`.
VALIDATE_SCHEMA = "bronze-copier/validate/1"

DESCRIPTION = """\
Copies the partitions that are missing: reads each partition's ledgers from the lake, verifies them, publishes them as
parquet with a manifest, and commits them in ledger order to the chain, the catalog and the endpoint. A run that was
stopped is resumed by running it again. With --partition A-B --again it makes that one partition anew: a damaged or
missing file is replaced when the lake gives the same bytes, and nothing else changes.

With --follow the run goes on when all is copied: it watches the lake's newest ledger (source.poll_seconds) and copies
each partition as soon as the lake has all of it, until it is stopped. With --until-caught-up it ends when it has copied
all that the lake has by then.
"""
EXAMPLES = """\
  bronze-copier --config config.yaml                       copy what is missing
  bronze-copier run --config config.yaml --dry-run         read and verify all of it, write nothing
  bronze-copier --validate --config config.yaml            check the settings and end
  bronze-copier run --config config.yaml -q --summary /var/lib/bronze-copier/last-run.json
  bronze-copier run --config config.yaml --partition 2-10001 --again
  bronze-copier run --config config.yaml --follow          copy, and then what the lake gets, until stopped
  bronze-copier run --config config.yaml -- --direct_num_workers=2
  bronze-copier run --config config.yaml --submit -- --runner=DataflowRunner --project=p --region=us-central1 …
"""
EXIT_STATUS = """\
  0  done; with --submit: the job was submitted
  1  partitions failed, or something is missing or damaged; the last lines say what and why
  2  the configuration or the command line is wrong
  4  another run holds a chain
  5  all is published; not everything is recorded in the catalog, delivered to the endpoint or, where that is required,
     confirmed by history archives yet: run again
  6  what was wanted is copied, but ledgers before the end of a chain have no partition
  129, 130, 143  stopped by SIGHUP, SIGINT or SIGTERM, after what was being committed was finished
"""


def _partition(text: str) -> Partition:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise ValueError(f"{text!r} is not a partition such as 2-10001")
    return Partition(int(first), int(last))


OPTIONS = (
    *CONFIG_OPTIONS,
    PUBLISH_PARTIAL,
    WAIT,
    flag("--dry-run", help="read, verify and encode; report sizes and checksums; write nothing"),
    option("--partition", convert=_partition, metavar="A-B", help="with --again: first and last ledger of a partition"),
    flag(
        "--again",
        help="make the published or missing partition of --partition anew with the same bytes, and copy nothing else",
    ),
    flag("--follow", help="when all is copied, wait for what the lake gets and copy that, until stopped"),
    flag(
        "--submit",
        help="on Dataflow: submit the job and end without waiting for it; nothing is said of its outcome",
    ),
    flag("--until-caught-up", help="plan again until the lake has no complete partition left that was not tried"),
    option(
        "--summary",
        convert=Path,
        metavar="FILE",
        help="write what the run did to FILE as JSON (as --json prints it), also when it fails or is stopped",
    ),
    JSON,
    flag(
        "--allow-relative",
        help="without a terminal too: begin a new chain in directories that are relative to the working directory",
    ),
    flag("-validate", "--validate", help="check the settings and end"),
    VERSION,
)


def run(options: Options) -> int:
    """Copy what is missing and print what was done; with ``--validate`` only check the settings."""
    if options.validate:
        settings = load_settings(options, needs_lake=True)
        _check_combination(options, settings)
        return _validate(settings, chosen_eras(options), as_json=options.as_json)
    from pipeline.commands.run_summary import summarized

    with summarized(options.summary, dry_run=options.dry_run) as summary:
        return _run(options, summary)


def _run(options: Options, summary: RunSummary) -> int:
    settings = load_settings(options, needs_lake=True)
    _check_combination(options, settings)
    follows = options.follow or options.until_caught_up
    from pipeline.commands.output import print_json, print_lines
    from pipeline.commands.run_document import ended_part, planned_part
    from pipeline.commands.text import plan_lines, run_lines, start_lines
    from pipeline.launch.archives import archive_problems, unconfirmed
    from pipeline.launch.attestation import read_attestations
    from pipeline.launch.beam_options import check_beam_options
    from pipeline.launch.chain_locks import exclusive_chains
    from pipeline.launch.flink_cluster import check_cluster
    from pipeline.launch.forecast import make_forecast
    from pipeline.launch.places import check_new_chains
    from pipeline.launch.prepare import prepare
    from pipeline.launch.progress import begin_progress
    from pipeline.launch.scratch import remove_dead_scratch
    from pipeline.launch.shared_places import check_places_of
    from pipeline.launch.stores import ready_stores
    from pipeline.telemetry.session import start_telemetry
    from pipeline.telemetry.totals import Totals

    distributed = check_beam_options(settings, options.beam_options)
    with ExitStack() as locks:
        telemetry = locks.enter_context(start_telemetry(settings, verbosity=verbosity(options)))

        def lock(connections: Connections) -> None:
            check_places_of(distributed, connections.job, shared_filesystem=settings.perf.shared_filesystem)
            check_cluster(distributed)
            if not options.dry_run:
                if not options.allow_relative and not sys.stdin.isatty():
                    check_new_chains(settings, connections)
                locks.enter_context(exclusive_chains(connections, "run", options.wait))

        prepared = prepare(
            settings,
            chosen_eras(options),
            partial=options.publish_partial,
            dry_run=options.dry_run,
            again=options.partition,
            available_only=follows,
            before_planning=lock,
        )
        with prepared.connections as connections:
            summary.totals = totals = Totals()
            summary.add(planned_part(prepared))
            forecasts = make_forecast(prepared, settings) if options.dry_run else ()
            for line in (*start_lines(prepared, settings_file(options)), *plan_lines(prepared, forecasts)):
                _LOG.info("%s", line)
            begin_progress(telemetry, prepared)
            if not options.dry_run:
                ready_stores(connections)
            # Also when there is nothing to copy: the run that died may have been the last one with work.
            remove_dead_scratch()
            if options.submit:
                return _submit(settings, prepared, options)
            if follows:
                finished, last = _follow(settings, prepared, telemetry, options, totals)
            else:
                finished, last = _copy_once(settings, prepared, telemetry, options, totals)
            attested = read_attestations(connections, last.positions)
    if settings.authenticity.archives_strict:
        finished.totals.outstanding += unconfirmed(last.anchored)
    problems = [*last.problems, *archive_problems(last.anchored)]
    status = _status(finished, problems, lacks_ledgers=last.lacks_ledgers)
    summary.add(ended_part(last, attested))
    document = summary.end(status)
    if options.as_json:
        print_json(document)
    elif status != DONE or not options.quiet:
        print_lines(
            run_lines(
                last.prepared, finished.totals, finished.seconds, last.positions, last.gaps, last.problems, attested,
                last.anchored,
            )
        )  # fmt: skip
    return status


def _check_combination(options: Options, settings: Settings) -> None:
    """Refuse options that exclude each other.

    Raises:
        ConfigError: some do.
    """
    if options.submit:
        from pipeline.launch.runner_name import is_dataflow

        if not is_dataflow(options.beam_options):
            raise ConfigError("--submit belongs to `-- --runner=DataflowRunner`: other runners end with the copy")
        for other in ("follow", "until_caught_up", "summary", "as_json", "again"):
            if getattr(options, other):
                raise ConfigError(
                    f"--submit does not wait for the outcome: leave out --{other.replace('_', '-').replace('as-', '')}"
                )
    if options.again != (options.partition is not None):
        raise ConfigError("--partition A-B and --again belong together: they make one partition anew")
    if not (options.follow or options.until_caught_up):
        return
    name = "--follow" if options.follow else "--until-caught-up"
    if options.follow and options.until_caught_up:
        raise ConfigError("--follow never ends by itself, --until-caught-up does: choose one")
    for other, is_given in (
        ("--dry-run", options.dry_run),
        ("--again", options.again),
        ("--publish-partial", options.publish_partial),
        ("bronze.publish_partial", settings.bronze.publish_partial),
    ):
        if is_given:
            raise ConfigError(f"{name} copies partitions that are complete, once: leave out {other}")
    for era in settings.active(chosen_eras(options) or None):
        if era.allow_overwrite:
            raise ConfigError(
                f"{name} plans again and again: era {era.era_id!r} with allow_overwrite would be copied anew each time;"
                " leave out one of them"
            )


def _follow(
    settings: Settings, prepared: Prepared, telemetry: Telemetry, options: Options, totals: Totals
) -> tuple[Finished, Round]:
    telemetry.state.start_workers()
    from pipeline.launch.beam_import import import_beam  # Beam takes a second to import

    import_beam(options.beam_options)
    from pipeline.launch.follow import follow
    from pipeline.launch.runner import choose_runner

    runner = choose_runner(settings, prepared.connections, options.beam_options, telemetry.state.keep_alive)
    return follow(settings, prepared, runner, telemetry, totals, until_caught_up=options.until_caught_up)


def _submit(settings: Settings, prepared: Prepared, options: Options) -> int:
    from pipeline.commands.output import print_lines
    from pipeline.launch.dataflow_runner import DataflowRunner
    from pipeline.launch.runner import choose_runner
    from pipeline.launch.submit import submit_copy

    runner = choose_runner(settings, prepared.connections, options.beam_options)
    assert isinstance(runner, DataflowRunner)
    done = submit_copy(prepared, runner)
    lines = [f"outstanding: {sentence}" for sentence in done.outstanding]
    if done.job_id:
        lines.append(f"submitted the job {done.job_id} of {done.partitions} partitions; it goes on by itself")
        lines.append(f"what became of them: {done.outcomes}/wave-0, then `bronze-copier status` and `verify`")
    elif done.partitions:
        lines.append(f"the job of {done.partitions} partitions was written to a file, and not submitted from here")
    else:
        lines.append("nothing to copy: no job was submitted")
    print_lines(lines)
    return OUTSTANDING if done.outstanding else DONE


def _copy_once(
    settings: Settings, prepared: Prepared, telemetry: Telemetry, options: Options, totals: Totals
) -> tuple[Finished, Round]:
    from bronze.job.outage import OutageWait
    from pipeline.launch.existence import end_round

    finished = _copy(settings, prepared, telemetry, options, totals)
    telemetry.state.enter("ending the run")
    if finished.stopped_by is None:
        return finished, OutageWait(prepared.job).call("the end of the run", lambda: end_round(prepared))
    try:
        return finished, end_round(prepared, is_stopped=True)
    except (StoreError, OSError) as error:
        if not is_unreachable(error):
            raise
        stopped = RunStoppedError(f"{error}; run again to resume")
        stopped.exit_status = finished.stopped_by
        raise stopped from error


def _status(finished: Finished, problems: Sequence[object], *, lacks_ledgers: bool) -> int:
    if finished.stopped_by is not None:
        return finished.stopped_by
    if not finished.totals.is_complete or problems:
        return UNDONE
    if finished.totals.outstanding:
        return OUTSTANDING
    return GAP if lacks_ledgers else DONE


def _validate(settings: Settings, era_ids: Sequence[str], *, as_json: bool) -> int:
    from pipeline.commands.output import print_json, print_lines
    from pipeline.launch.attestation import make_attestation
    from pipeline.launch.file_systems import check_file_systems
    from pipeline.settings.directories import checked_locations

    check_file_systems(checked_locations(settings))
    eras = settings.active(era_ids or None)
    make_attestation(settings, eras[0].network)
    chains = [era.chain for era in eras]
    if as_json:
        print_json({"schema": VALIDATE_SCHEMA, "exit_status": DONE, "chains": chains})
    else:
        print_lines([f"the configuration is valid: {', '.join(chains)}"])
    return DONE


def _copy(settings: Settings, prepared: Prepared, telemetry: Telemetry, options: Options, totals: Totals) -> Finished:
    if any(plan.partitions for plan in prepared.plans):
        telemetry.state.start_workers()
        from pipeline.launch.beam_import import import_beam  # Beam takes a second to import

        import_beam(options.beam_options)
        from pipeline.launch.run import run_copy
        from pipeline.launch.runner import choose_runner

        runner = choose_runner(settings, prepared.connections, options.beam_options, telemetry.state.keep_alive)
        return run_copy(settings, prepared, runner, totals, telemetry.state)
    from pipeline.launch.existence import begin_existence
    from pipeline.launch.session import ChainSession
    from pipeline.telemetry.totals import Finished

    session = ChainSession(prepared.connections, prepared.positions, prepared.listings)
    session.open()
    if not prepared.job.run.dry_run:
        begin_existence(prepared)
    totals.outstanding = session.close()
    return Finished(totals, 0.0)
