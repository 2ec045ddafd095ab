"""The command ``bronze-copier plan``: show what a run would do."""

from __future__ import annotations

import argparse

from pipeline.commands.configured import (
    add_config_arguments,
    add_publish_partial_argument,
    chosen_eras,
    load_settings,
)
from pipeline.exit_status import DONE

DESCRIPTION = """\
Shows what a run would do: where the chain of each era continues, and how many partitions, ledgers and lake files a run
would copy. Reads names and the state of the chains, no ledger; writes nothing.
"""
EXIT_STATUS = """\
  0  done
  1  the lake or the state of a chain cannot be read
  2  the configuration or the command line is wrong
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's arguments."""
    add_config_arguments(parser)
    add_publish_partial_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Print the plan of a run with these options."""
    settings = load_settings(options, needs_lake=True)
    from pipeline.commands.text import plan_lines, print_lines
    from pipeline.launch.prepare import prepare

    prepared = prepare(settings, chosen_eras(options), partial=options.publish_partial, writes=False)
    with prepared.connections:
        print_lines(plan_lines(prepared))
    return DONE
