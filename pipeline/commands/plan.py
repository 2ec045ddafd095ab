"""The command ``bronze-copier plan``: show what a run would do."""

from __future__ import annotations

from pipeline.commands.configured import CONFIG_OPTIONS, PUBLISH_PARTIAL, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options, option
from pipeline.exit_status import DONE

DESCRIPTION = """\
Shows what a run would do: where the chain of each era continues, which partitions exist already and which are to be
copied, which lake objects are missing for these, the bytes to read and to write, and the time to expect. Reads names
and the state of the chains, no ledger; writes nothing.

Objects are counted by listings, one request for 1,000. Where an era needs more than a million, a sample spread over
them is listed instead; --count all counts them all. That an object is there says nothing about its content: run
--dry-run reads and verifies everything.
"""
EXAMPLES = """\
  bronze-copier plan --config config.yaml
  bronze-copier plan --config config.yaml --eras p20,p23
  bronze-copier plan --config config.yaml --json
  bronze-copier plan --config config.yaml --count all      name every missing object, however long that takes
"""
EXIT_STATUS = """\
  0  done; lake objects that are missing are in what is printed
  1  the lake or the state of a chain cannot be read
  2  the configuration or the command line is wrong
"""


OPTIONS = (
    *CONFIG_OPTIONS,
    PUBLISH_PARTIAL,
    option(
        "--count",
        choices=("auto", "all", "none"),
        default="auto",
        metavar="WHICH",
        help="lake objects to count: all; none; or auto (the default): all of up to a million in an era, else a sample",
    ),
    JSON,
)


def run(options: Options) -> int:
    """Print the plan of a run with these options."""
    settings = load_settings(options, needs_lake=True)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.commands.run_document import plan_document
    from pipeline.commands.text import plan_lines
    from pipeline.launch.forecast import Counting, make_forecast
    from pipeline.launch.prepare import prepare

    prepared = prepare(settings, chosen_eras(options), partial=options.publish_partial, writes=False)
    with prepared.connections:
        forecasts = make_forecast(prepared, settings, Counting(options.count))
        if options.as_json:
            print_json(plan_document(prepared, forecasts))
        else:
            print_lines(plan_lines(prepared, forecasts))
    return DONE
