"""Which runner the Beam options name; checked before anything is opened, and without loading Beam."""

from __future__ import annotations

from collections.abc import Sequence

from bronze.errors import ConfigError

#: Names, in lower case, that mean the local runner.
LOCAL_NAMES = frozenset({"directrunner", "fnapirunner", "bundlebaseddirectrunner"})
#: The name, in lower case, of the runner on Flink.
FLINK_NAME = "flinkrunner"
#: The name, in lower case, of the runner on Dataflow.
DATAFLOW_NAME = "dataflowrunner"


def check_runner_name(beam_arguments: Sequence[str]) -> None:
    """Refuse Beam options that name a runner which does not exist here.

    Args:
        beam_arguments: as after ``--`` on the command line.

    Raises:
        ConfigError: ``--runner`` names another runner than the local one, Flink and Dataflow.
    """
    name = _runner_name(beam_arguments)
    if name is not None and name.lower() not in {*LOCAL_NAMES, FLINK_NAME, DATAFLOW_NAME}:
        raise ConfigError(
            f"--runner={name}: there is no such runner here; allowed are DirectRunner and FnApiRunner, which run on"
            " this machine alone, FlinkRunner (docs/flink.md) and DataflowRunner (docs/dataflow.md)"
        )


def is_flink(beam_arguments: Sequence[str]) -> bool:
    """Whether the Beam options name the runner on Flink."""
    return (_runner_name(beam_arguments) or "").lower() == FLINK_NAME


def is_dataflow(beam_arguments: Sequence[str]) -> bool:
    """Whether the Beam options name the runner on Dataflow."""
    return (_runner_name(beam_arguments) or "").lower() == DATAFLOW_NAME


def _runner_name(beam_arguments: Sequence[str]) -> str | None:
    name, arguments = None, iter(beam_arguments)
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option == "--runner":
            name = value if equals else next(arguments, "")
    return name
