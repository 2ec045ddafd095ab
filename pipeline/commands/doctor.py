"""The command ``bronze-copier doctor``: check everything that a run relies on, each with its remedy."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pipeline.commands.configured import CONFIG_OPTIONS, PUBLISH_PARTIAL, chosen_eras, load_settings
from pipeline.commands.options import JSON, Options
from pipeline.commands.output import print_json, print_lines, terminal_columns
from pipeline.exit_status import DONE, UNCHECKED, UNDONE

if TYPE_CHECKING:
    from pipeline.launch.checkup.check import Check

DESCRIPTION = """\
Checks what a run relies on, and says for each what to do where it does not hold: the lake (credentials, listings, its
newest object), the places that are written to (permissions, locks, links, fsync, conditional writes), the catalog (a
trial that is rolled back), the endpoint (OPTIONS; no event is sent), the history archives, the files of validators and
anchors, the plan, the free space that it needs, and the clock. Leaves nothing behind; may run beside a run.
"""
EXAMPLES = """\
  bronze-copier doctor --config config.yaml
  bronze-copier doctor --config config.yaml --json
"""
EXIT_STATUS = """\
  0  everything holds
  1  something fails, or works less well than it should (WARNING)
  2  the configuration or the command line is wrong; every problem is listed
  3  something could not be checked; what could be checked holds
"""
#: Version of the JSON document: keys are only added.
SCHEMA = "bronze-copier/doctor/1"

OPTIONS = (*CONFIG_OPTIONS, PUBLISH_PARTIAL, JSON)
#: The verdicts as people read them, with their colours.
_WORDS = {
    "holds": ("ok", "green"),
    "warning": ("WARNING", "yellow"),
    "fails": ("FAILS", "red"),
    "unchecked": ("UNCHECKED", "yellow"),
    "unused": ("-", "bright_black"),
}
#: Columns for text, below which it gets lines of its own.
_NARROWEST = 30


def run(options: Options) -> int:
    """Make the checks, and print each when it is made."""
    settings = load_settings(options, needs_lake=True)
    from pipeline.launch.checkup.examination import examine

    checks = []
    for check in examine(settings, chosen_eras(options), partial=options.publish_partial):
        checks.append(check)
        if not options.as_json and not (options.quiet and check.verdict in ("holds", "unused")):
            print_lines(_lines(check), colours=dict(_WORDS.values()))
    status = exit_status(checks)
    if options.as_json:
        found = [
            {"name": one.name, "verdict": str(one.verdict), "found": one.found, "remedy": one.remedy} for one in checks
        ]
        print_json({"schema": SCHEMA, "exit_status": status, "checks": found})
    elif status != DONE or not options.quiet:
        print_lines([_summary(checks)])
    return status


def exit_status(checks: Sequence[Check]) -> int:
    """What fails wins over what could not be checked."""
    verdicts = {check.verdict for check in checks}
    if verdicts & {"fails", "warning"}:
        return UNDONE
    return UNCHECKED if "unchecked" in verdicts else DONE


def _summary(checks: Sequence[Check]) -> str:
    counts = {
        words: sum(check.verdict == verdict for check in checks)
        for verdict, words in (
            ("fails", "failed"),
            ("warning", "gave a warning"),
            ("unchecked", "could not be made"),
        )
    }
    found = [f"{count} {words}" for words, count in counts.items() if count]
    made = sum(check.verdict != "unused" for check in checks)
    return f"of {made} checks {', '.join(found)}" if found else f"all {made} checks hold"


def _lines(check: Check) -> Iterator[str]:
    """The check for people: its verdict and name in columns of their own, what was found and the remedy beside them."""
    head = f"{_WORDS[check.verdict][0]:9}  {check.name:11}  "
    texts = [check.found, *([f"-> {check.remedy}"] if check.remedy else [])]
    columns = terminal_columns()
    if columns is None:
        lines = texts
    elif columns < len(head) + _NARROWEST:
        yield head.rstrip()
        yield from (f"  {line}" for text in texts for line in _wrapped(text, columns - 2))
        return
    else:
        lines = [line for text in texts for line in _wrapped(text, columns - len(head))]
    yield head + lines[0]
    yield from (" " * len(head) + line for line in lines[1:])


def _wrapped(text: str, columns: int) -> list[str]:
    return textwrap.wrap(text, max(columns, 1), break_on_hyphens=False)
