"""The Beam options of a run, of whichever runner they name; refused before anything is opened or created."""

from __future__ import annotations

import os
from collections.abc import Sequence

from pipeline.launch.beam_import import import_beam
from pipeline.launch.dataflow_options import DataflowOptions, parse_dataflow_options
from pipeline.launch.flink_options import FlinkOptions, parse_flink_options
from pipeline.launch.runner_name import check_runner_name, is_dataflow, is_flink
from pipeline.settings.model import Settings


def check_beam_options(settings: Settings, beam_arguments: Sequence[str]) -> FlinkOptions | DataflowOptions | None:
    """Refuse Beam options with which no run can begin.

    Loads Beam only where there are options that it has to know.

    Args:
        beam_arguments: as after ``--`` on the command line.

    Returns:
        As `parse_distributed_options`.

    Raises:
        ConfigError: there is no such runner here, or it cannot run with these options.
    """
    options = parse_distributed_options(settings, beam_arguments)
    if options is None and beam_arguments:
        import_beam(beam_arguments)
        from pipeline.launch.local_runner import local_options

        local_options(beam_arguments, workers=settings.workers)
    return options


def parse_distributed_options(
    settings: Settings, beam_arguments: Sequence[str]
) -> FlinkOptions | DataflowOptions | None:
    """Read the Beam options of a run on Flink or Dataflow; None when the local runner is meant.

    Args:
        beam_arguments: as after ``--`` on the command line; they win over the settings.

    Raises:
        ConfigError: there is no such runner here, or one of its options is refused.
    """
    check_runner_name(beam_arguments)
    secrets = settings.secrets(os.environ)
    if is_flink(beam_arguments):
        return parse_flink_options(beam_arguments, workers=settings.workers, secrets=secrets)
    if is_dataflow(beam_arguments):
        return parse_dataflow_options(beam_arguments, secrets)
    return None
