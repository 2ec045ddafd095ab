"""The command ``bronze-copier deliver``: send the audit events that are not yet delivered."""

from __future__ import annotations

from pipeline.commands.configured import CONFIG_OPTIONS, WAIT, chosen_eras, load_settings
from pipeline.commands.options import Options
from pipeline.exit_status import DONE, OUTSTANDING

DESCRIPTION = """\
Sends the audit events that are not yet delivered to the endpoint of the audit stream, in the order of each chain.
Needs no lake. A run does the same before it ends; this command is for an endpoint that was away meanwhile.
"""
EXAMPLES = """\
  bronze-copier deliver --config config.yaml
  bronze-copier deliver --config config.yaml --wait 600
"""
EXIT_STATUS = """\
  0  every event is delivered, or no endpoint is configured
  1  event files are missing or damaged; the last lines say which
  2  the configuration or the command line is wrong
  4  another run holds the chain
  5  events are not yet delivered; the last lines say why
"""


OPTIONS = (*CONFIG_OPTIONS, WAIT)


def run(options: Options) -> int:
    """Deliver the events of each era and print how many were sent, and what is left."""
    settings = load_settings(options, needs_lake=False)
    from pipeline.commands.output import print_lines
    from pipeline.commands.text import outstanding_lines
    from pipeline.launch.chain_locks import exclusive_chains
    from pipeline.launch.deliver import check_events, deliver_all
    from pipeline.launch.prepare import connect_without_lake

    with connect_without_lake(settings, chosen_eras(options)) as connections:
        if not connections.delivers:
            print_lines(["there is no endpoint to deliver to: pas.enabled is false, or pas.endpoint is empty"])
            return DONE
        with exclusive_chains(connections, "deliver", options.wait):
            check_events(connections)
            sent, outstanding = deliver_all(connections)
    print_lines([f"delivered    {sent:,} events", *outstanding_lines(outstanding)])
    return OUTSTANDING if outstanding else DONE
