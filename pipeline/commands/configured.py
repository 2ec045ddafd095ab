"""What the commands that take a configuration share: their arguments, and loading the settings."""

from __future__ import annotations

import argparse
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from bronze.errors import ConfigError

if TYPE_CHECKING:
    from pipeline.settings.model import Settings

_LOG = logging.getLogger(__name__)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare ``--config`` and ``--eras``."""
    parser.add_argument("-config", "--config", type=Path, metavar="FILE", help="YAML settings (or CONFIG_FILE)")
    parser.add_argument("--eras", default="", metavar="A,B", help="only these eras of the settings")


def add_publish_partial_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--publish-partial``."""
    parser.add_argument(
        "--publish-partial",
        action="store_true",
        help="with ledger_end 0: publish the last, incomplete partition too",
    )


def add_wait_argument(parser: argparse.ArgumentParser) -> None:
    """Declare ``--wait``."""
    parser.add_argument(
        "--wait",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="wait so long for another run on the same chains to end (default 0: say who it is, and end)",
    )


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of seconds")
    return seconds


def chosen_eras(options: argparse.Namespace) -> list[str]:
    """The era ids that ``--eras`` names; empty for all eras."""
    return [name for part in options.eras.split(",") if (name := part.strip())]


def load_settings(options: argparse.Namespace, *, needs_lake: bool) -> Settings:
    """Load the settings that `options` name, set up the log as they say, and log their warnings.

    Args:
        needs_lake: whether the command reads the lake; otherwise the settings of the lake are neither read nor checked.

    Raises:
        ConfigError: the settings are wrong; the message lists every problem.
    """
    from pipeline.settings.load import load, log_format
    from pipeline.settings.model import LAKE_SECTIONS
    from pipeline.telemetry import logs

    try:
        settings = load(options.config, unused=() if needs_lake else LAKE_SECTIONS)
    except ConfigError:
        logs.configure(log_format(options.config))
        raise
    logs.configure(settings.logging.format, settings.logging.level, secrets=settings.secrets(os.environ))
    for warning in settings.warnings:
        _LOG.warning("%s", warning)
    return settings
