"""The command ``bronze-copier repair``: rebuild checkpoint, chain heads and delivery record from the event files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pipeline.commands.configured import CONFIG_OPTIONS, WAIT, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options, option
from pipeline.exit_status import DONE

if TYPE_CHECKING:
    from bronze.job.connections import Connections
    from bronze.partitioning.era import Era

DESCRIPTION = """\
Rebuilds what is derived from the event files of each chain when it is lost, damaged or behind: the checkpoint, the
chain head, and the record of what was delivered. Damaged files are set aside. Needs no lake; changes no event and no
partition. Partitions that are missing are named, and how they come back.

When event files are lost for good, so that they contradict the checkpoint, somebody has to say what counts: with
--adopt checkpoint the chain goes on behind the event that the checkpoint names, and event files that do not lead up to
it are set aside; with --adopt events it goes on behind the event files that are there, and partitions without an event
get a new one by the next run. What was delivered already keeps the old events.
"""
EXAMPLES = """\
  bronze-copier repair --config config.yaml
  bronze-copier repair --config config.yaml --adopt events
"""
EXIT_STATUS = """\
  0  done, or nothing needed repair
  1  the event files themselves are damaged, missing or contradict each other, or nothing of a chain is published
  2  the configuration or the command line is wrong
  4  another run holds the chain
"""


#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/repair/1"


OPTIONS = (
    *CONFIG_OPTIONS,
    WAIT,
    JSON,
    option(
        "--adopt",
        choices=["checkpoint", "events"],
        help="what counts where checkpoint and event files contradict each other",
    ),
)


def run(options: Options) -> int:
    """Repair the chain of each era and print what was changed."""
    settings = load_settings(options, needs_lake=False)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.launch.chain_locks import exclusive_chains
    from pipeline.launch.prepare import connect_without_lake

    connections = connect_without_lake(settings, chosen_eras(options))
    with connections, exclusive_chains(connections, "repair", options.wait, check_events=options.adopt is None):
        repaired = [sentence for era in connections.job.eras for sentence in _recover(connections, era, options.adopt)]
        if not options.as_json:
            print_lines(repaired)
        missing = [sentence for era in connections.job.eras for sentence in _missing(connections, era)]
    if options.as_json:
        print_json({"schema": SCHEMA, "exit_status": DONE, "repaired": repaired, "missing": missing})
        return DONE
    print_lines(missing or ([] if repaired else ["nothing needed repair"]))
    return DONE


def _missing(connections: Connections, era: Era) -> Iterator[str]:
    """What is not published as the chain says; nothing of it is changed here."""
    from pipeline.commands.text import missing_lines
    from pipeline.launch.existence import find_missing

    return missing_lines(era.chain, *find_missing(connections, era))


def _recover(connections: Connections, era: Era, adopt: str | None) -> Iterator[str]:
    from bronze.commit.recovery import Adopt, recover

    return recover(
        era,
        connections.dataset(),
        connections.event_log(era),
        connections.delivery_cursor(era),
        connections.checkpoint(era),
        connections.downstream(),
        adopt=Adopt(adopt) if adopt else None,
    )
