"""The command ``bronze-copier deliver``: send the audit events that are not yet delivered."""

from __future__ import annotations

from pipeline.commands.configured import CONFIG_OPTIONS, WAIT, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options
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


#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/deliver/1"


OPTIONS = (*CONFIG_OPTIONS, WAIT, JSON)


def run(options: Options) -> int:
    """Deliver the events of each era and print how many were sent, and what is left."""
    settings = load_settings(options, needs_lake=False)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.commands.text import outstanding_lines
    from pipeline.launch.chain_locks import exclusive_chains
    from pipeline.launch.deliver import check_events, deliver_all
    from pipeline.launch.prepare import connect_without_lake

    sent, outstanding = 0, list[str]()
    with connect_without_lake(settings, chosen_eras(options)) as connections:
        has_endpoint = connections.delivers
        if has_endpoint:
            with exclusive_chains(connections, "deliver", options.wait):
                check_events(connections)
                sent, outstanding = deliver_all(connections)
    status = OUTSTANDING if outstanding else DONE
    if options.as_json:
        print_json(
            {
                "schema": SCHEMA,
                "exit_status": status,
                "has_endpoint": has_endpoint,
                "delivered": sent,
                "outstanding": outstanding,
            }
        )
    elif has_endpoint:
        print_lines([f"delivered    {sent:,} events", *outstanding_lines(outstanding)])
    else:
        key = "pas.endpoint is empty" if settings.pas.enabled else "pas.enabled is false"
        print_lines([f"there is no endpoint to deliver to: {key}"])
    return status
