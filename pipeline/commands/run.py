"""The command ``bronze-copier run``: copy what is missing. Also ``-validate`` and ``-version``."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

from bronze.errors import ConfigError
from bronze.partitioning.partition import Partition
from bronze.producer import this_producer
from pipeline.commands.configured import (
    add_config_arguments,
    add_publish_partial_argument,
    add_wait_argument,
    chosen_eras,
    load_settings,
)
from pipeline.exit_status import DONE, UNDONE

if TYPE_CHECKING:
    from bronze.job.connections import Connections
    from pipeline.launch.prepare import Prepared
    from pipeline.settings.model import Settings
    from pipeline.telemetry.totals import Finished

_LOG = logging.getLogger(__name__)

DESCRIPTION = """\
Copies the partitions that are missing: reads each partition's ledgers from the lake, verifies them, publishes them as
parquet with a manifest, and commits them in ledger order to the chain, the catalog and the endpoint. A run that was
stopped is resumed by running it again. With --partition A-B --again it makes that one partition anew: a damaged or
missing file is replaced when the lake gives the same bytes, and nothing else changes.
"""
EXIT_STATUS = """\
  0  done
  1  something was left undone, or another run holds a chain; the last lines say what and why
  2  the configuration or the command line is wrong
  130, 143  stopped by SIGINT or SIGTERM, after what was being committed was finished
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)
    add_publish_partial_argument(parser)
    add_wait_argument(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="read, verify and encode; report sizes and checksums; write nothing"
    )
    parser.add_argument(
        "--partition", type=_partition, metavar="A-B", help="with --again: the first and the last ledger of a partition"
    )
    parser.add_argument(
        "--again",
        action="store_true",
        help="make the published or missing partition of --partition anew with the same bytes, and copy nothing else",
    )
    parser.add_argument("-validate", "--validate", action="store_true", help="check the settings and end")
    version = f"bronze-copier {this_producer().version} ({this_producer().git_sha})"
    parser.add_argument("-version", "--version", action="version", version=version)


def _partition(text: str) -> Partition:
    first, _, last = text.partition("-")
    if not (first.isdecimal() and last.isdecimal() and int(first) <= int(last)):
        raise argparse.ArgumentTypeError(f"{text!r} is not a partition such as 2-10001")
    return Partition(int(first), int(last))


def run(options: argparse.Namespace) -> int:
    """Copy what is missing and print what was done; with ``--validate`` only check the settings."""
    if options.again != (options.partition is not None):
        raise ConfigError("--partition A-B and --again belong together: they make one partition anew")
    settings = load_settings(options, needs_lake=True)
    era_ids = chosen_eras(options)
    if options.validate:
        return _validate(settings, era_ids)
    from pipeline.commands.text import plan_lines, print_lines, run_lines
    from pipeline.launch.chain_locks import exclusive_chains
    from pipeline.launch.existence import finish_existence
    from pipeline.launch.prepare import prepare
    from pipeline.launch.progress import begin_progress
    from pipeline.launch.runner_name import check_runner_name
    from pipeline.launch.scratch import remove_dead_scratch
    from pipeline.launch.stores import ready_stores
    from pipeline.telemetry.session import start_telemetry

    check_runner_name(options.beam_options)
    with ExitStack() as locks:
        telemetry = locks.enter_context(start_telemetry(settings, verbosity=getattr(options, "verbosity", 0)))

        def lock(connections: Connections) -> None:
            if not options.dry_run:
                locks.enter_context(exclusive_chains(connections, "run", options.wait))

        prepared = prepare(
            settings,
            era_ids,
            partial=options.publish_partial,
            dry_run=options.dry_run,
            again=options.partition,
            before_planning=lock,
        )
        with prepared.connections as connections:
            for line in plan_lines(prepared):
                _LOG.info("%s", line)
            begin_progress(telemetry, prepared)
            if not options.dry_run:
                ready_stores(connections)
            # Also when there is nothing to copy: the run that died may have been the last one with work.
            remove_dead_scratch()
            finished = _copy(settings, prepared, options.beam_options)
            telemetry.state.enter("ending the run")
            positions = prepared.positions
            if not options.dry_run:
                positions = [connections.sequencer(plan.era).position() for plan in prepared.plans]
            gaps, problems = finish_existence(prepared, positions)
    print_lines(run_lines(prepared, finished.totals, finished.seconds, positions, gaps, problems))
    if finished.stopped_by is not None:
        return finished.stopped_by
    return DONE if finished.totals.is_complete and not problems else UNDONE


def _validate(settings: Settings, era_ids: Sequence[str]) -> int:
    from pipeline.launch.file_systems import check_file_systems
    from pipeline.settings.directories import checked_locations

    check_file_systems(checked_locations(settings))
    eras = ", ".join(era.chain for era in settings.active(era_ids or None))
    print(f"the configuration is valid: {eras}")
    return DONE


def _copy(settings: Settings, prepared: Prepared, beam_options: Sequence[str]) -> Finished:
    if any(plan.partitions for plan in prepared.plans):
        from pipeline.launch.run import run_copy  # Beam takes seconds to import
        from pipeline.launch.runner import choose_runner

        return run_copy(settings, prepared, choose_runner(settings, prepared.connections, beam_options))
    from pipeline.launch.existence import remove_superfluous
    from pipeline.launch.session import ChainSession
    from pipeline.telemetry.totals import Finished, Totals

    session = ChainSession(prepared.connections, prepared.positions, prepared.listings)
    session.open()
    if not prepared.job.run.dry_run:
        remove_superfluous(prepared)
    return Finished(Totals(outstanding=session.close()), 0.0)
