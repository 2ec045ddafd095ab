"""The command ``bronze-copier plan``: show what a run would do."""

from __future__ import annotations

from pipeline.commands.configured import CONFIG_OPTIONS, PUBLISH_PARTIAL, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options
from pipeline.exit_status import DONE

DESCRIPTION = """\
Shows what a run would do: where the chain of each era continues, and how many partitions, ledgers and lake files a run
would copy. Reads names and the state of the chains, no ledger; writes nothing.
"""
EXAMPLES = """\
  bronze-copier plan --config config.yaml
  bronze-copier plan --config config.yaml --eras p20,p23
  bronze-copier plan --config config.yaml --json
"""
EXIT_STATUS = """\
  0  done
  1  the lake or the state of a chain cannot be read
  2  the configuration or the command line is wrong
"""


OPTIONS = (*CONFIG_OPTIONS, PUBLISH_PARTIAL, JSON)


def run(options: Options) -> int:
    """Print the plan of a run with these options."""
    settings = load_settings(options, needs_lake=True)
    from pipeline.commands.output import print_json, print_lines
    from pipeline.commands.run_document import plan_document
    from pipeline.commands.text import plan_lines
    from pipeline.launch.prepare import prepare

    prepared = prepare(settings, chosen_eras(options), partial=options.publish_partial, writes=False)
    with prepared.connections:
        if options.as_json:
            print_json(plan_document(prepared))
        else:
            print_lines(plan_lines(prepared))
    return DONE
