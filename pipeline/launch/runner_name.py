"""Which runner the Beam options name; checked before anything is opened, and without loading Beam."""

from __future__ import annotations

from collections.abc import Sequence

from bronze.errors import ConfigError

#: Names, in lower case, that mean the local runner.
LOCAL_NAMES = frozenset({"directrunner", "fnapirunner", "bundlebaseddirectrunner"})


def check_runner_name(beam_arguments: Sequence[str]) -> None:
    """Refuse Beam options that name a runner which does not exist here.

    Args:
        beam_arguments: as after ``--`` on the command line.

    Raises:
        ConfigError: ``--runner`` names another runner than the local one.
    """
    name, arguments = None, iter(beam_arguments)
    for argument in arguments:
        option, equals, value = argument.partition("=")
        if option == "--runner":
            name = value if equals else next(arguments, "")
    if name is not None and name.lower() not in LOCAL_NAMES:
        raise ConfigError(
            f"--runner={name}: this version runs on this machine alone; allowed are DirectRunner and FnApiRunner"
        )
