"""What the commands that take a configuration share: their arguments, and loading the settings."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bronze.errors import ConfigError
from pipeline.commands.options import Options, flag, option, seconds

if TYPE_CHECKING:
    from pipeline.settings.model import Settings

_LOG = logging.getLogger(__name__)


#: Of every command.
VERBOSITY = (
    flag("-q", "--quiet", help="log warnings and errors only; run, doctor, init, sample print nothing if all is well"),
    flag("-v", "--verbose", help="log every step too (level debug)"),
)
#: Of every command that takes a configuration.
CONFIG_OPTIONS = (
    option("-config", "--config", metavar="FILE", convert=Path, help="YAML settings (or the variable CONFIG_FILE)"),
    option("--eras", default="", metavar="A,B", help="only these eras of the settings"),
    *VERBOSITY,
)
PUBLISH_PARTIAL = flag("--publish-partial", help="with ledger_end 0: publish the last, incomplete partition too")
WAIT = option(
    "--wait",
    convert=seconds,
    default=0.0,
    metavar="SECONDS",
    help="wait so long for another run on the same chains to end (default 0: say who it is, and end)",
)


def verbosity(options: Options) -> int:
    """-1 with ``--quiet``, 1 with ``--verbose``, otherwise 0."""
    return (1 if options.verbose else 0) - (1 if options.quiet else 0)


def chosen_eras(options: Options) -> list[str]:
    """The era ids that ``--eras`` names; empty for all eras."""
    return [name for part in options.eras.split(",") if (name := part.strip())]


def settings_file(options: Options) -> str:
    """The absolute path of the settings' file that `options` or the environment name; empty without one."""
    path = options.config or os.environ.get("CONFIG_FILE")
    return os.path.abspath(path) if path else ""  # noqa: PTH100 - resolves "..", but no symbolic links


def log_without_settings(options: Options) -> None:
    """Set up the log of a command that reads no settings; LOG_FORMAT says how it looks."""
    from pipeline.settings.load import log_format
    from pipeline.telemetry import logs

    logs.configure(log_format(), {-1: "warn", 0: "info", 1: "debug"}[verbosity(options)])


def load_settings(options: Options, *, needs_lake: bool) -> Settings:
    """Load the settings that `options` name, set up the log as they say, and log their warnings.

    Args:
        needs_lake: whether the command reads the lake; otherwise the settings of the lake are neither read nor checked.

    Raises:
        ConfigError: the settings are wrong; the message lists every problem.
    """
    from pipeline.settings.load import load, log_format
    from pipeline.settings.model import LAKE_SECTIONS
    from pipeline.settings.no_effect import keys_without_effect
    from pipeline.telemetry import logs

    try:
        settings = load(options.config, unused=() if needs_lake else LAKE_SECTIONS)
    except ConfigError:
        logs.configure(log_format(options.config))
        raise
    level = {-1: "warn", 0: settings.logging.level, 1: "debug"}[verbosity(options)]
    logs.configure(settings.logging.format, level, secrets=settings.secrets(os.environ))
    for sentence in keys_without_effect(settings, needs_lake=needs_lake):
        _LOG.warning("%s", sentence)
    return settings
