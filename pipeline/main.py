"""The command line ``bronze-copier``: finds the command, parses its arguments, runs it, returns its exit status.

A command's module is imported when that command is called, and imports what is slow (settings, pyarrow, Beam) only
when it needs it: ``-version`` and ``--help`` answer at once.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Protocol, cast

from bronze.errors import BronzeError, ConfigError
from pipeline.early_signals import exit_on_signals
from pipeline.exit_status import UNDONE, USAGE
from pipeline.telemetry.logs import report_error

_DEFAULT_COMMAND = "run"
#: The commands, and what each does; each is a module of `pipeline.commands`.
_COMMANDS = {
    "run": "copy what is missing (the default)",
    "plan": "show what a run would do: eras, partitions, ledgers, files; writes nothing",
    "verify": "check what was published, here or at any URL: events, links, checksums, rows",
    "status": "show how far each era is, what is left to do, and how far the lake is ahead; a health check",
    "inspect": "look at one ledger, one partition or one lake object: fields, hashes, signer",
    "deliver": "send the audit events that are not yet delivered to the endpoint",
    "repair": "rebuild checkpoint, chain heads and delivery record from the event files",
    "clean": "remove what killed runs left unfinished (on object stores: after more than a day)",
    "sample": "make a sample lake, and a configuration that copies it",
}
_DESCRIPTION = """\
Copies raw Stellar ledgers from a Galexie lake into verified, immutable parquet partitions and keeps a
hash-chained audit stream of what it copied.

commands (bronze-copier COMMAND --help says more):
{commands}
"""


class _Command(Protocol):
    """What every module of `pipeline.commands` that is a command has."""

    #: What the command does, for its help text.
    DESCRIPTION: str
    #: The command's exit statuses, for its help text.
    EXIT_STATUS: str

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the command's arguments."""

    def run(self, options: argparse.Namespace) -> int:
        """Run the command and return its exit status; ``options.beam_options`` are the arguments after ``--``."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status. The program itself passes no arguments: signals then end it."""
    if argv is None:
        exit_on_signals()
    arguments, beam_options = _split_at_dashes(list(sys.argv[1:] if argv is None else argv))
    named = arguments.pop(0) if arguments and arguments[0] in _COMMANDS else None
    name = named or _DEFAULT_COMMAND
    command = cast(_Command, importlib.import_module(f"pipeline.commands.{name}"))
    parser = _parser(named, command)
    options = parser.parse_args(arguments)
    if beam_options and name != "run":
        parser.error(f"{name} takes no Beam options")
    options.beam_options = beam_options
    try:
        return command.run(options)
    except ConfigError as error:
        report_error(error, with_type=False)
        return USAGE
    except (BronzeError, OSError) as error:
        report_error(error)
        return UNDONE


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before the first ``--``, and those after it."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _parser(named: str | None, command: _Command) -> argparse.ArgumentParser:
    """The parser of `command`; of the whole program, when no command is named."""
    usage = None  # made from the arguments
    description = command.DESCRIPTION
    if named is None:
        rows = "\n".join(f"  {name:8} {summary}" for name, summary in _COMMANDS.items())
        description = _DESCRIPTION.format(commands=rows)
        usage = f"%(prog)s [{'|'.join(_COMMANDS)}] [options] [-- BEAM_OPTIONS]"
    elif named == "run":
        usage = "%(prog)s [options] [-- BEAM_OPTIONS]"
    parser = argparse.ArgumentParser(
        prog=f"bronze-copier {named}" if named else "bronze-copier",
        usage=usage,
        description=description,
        epilog=f"exit status:\n{command.EXIT_STATUS}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    command.add_arguments(parser)
    return parser


if __name__ == "__main__":
    sys.exit(main())
