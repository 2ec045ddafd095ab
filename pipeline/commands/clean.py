"""The command ``bronze-copier clean``: remove what killed runs left unfinished."""

from __future__ import annotations

from pipeline.commands.configured import CONFIG_OPTIONS, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options
from pipeline.exit_status import DONE

DESCRIPTION = """\
Removes the leftovers of killed runs: temporary files and directories, and unfinished uploads. On object stores, where a
dead run cannot be told from a live one, only leftovers more than a day old are removed. Needs no lake; removes nothing
that is published.
"""
EXAMPLES = """\
  bronze-copier clean --config config.yaml
  bronze-copier clean --config config.yaml --json
"""
EXIT_STATUS = """\
  0  done, or there is nothing to remove
  1  a leftover cannot be removed
  2  the configuration or the command line is wrong
"""


#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/clean/1"


OPTIONS = (*CONFIG_OPTIONS, JSON)


def run(options: Options) -> int:
    """Remove the leftovers and print what was removed."""
    settings = load_settings(options, needs_lake=False)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.launch.prepare import connect_without_lake
    from pipeline.launch.scratch import remove_dead_scratch
    from pipeline.launch.stores import clean_leftovers

    with connect_without_lake(settings, chosen_eras(options)) as connections:
        removed = [*clean_leftovers(connections), *map(str, remove_dead_scratch())]
    if options.as_json:
        print_json({"schema": SCHEMA, "exit_status": DONE, "removed": removed})
        return DONE
    print_lines([f"removed {what}" for what in removed] or ["there is nothing to remove"])
    return DONE
