"""The command line: finds the command, parses its options, runs it, returns its exit status.

The name of a command may stand anywhere in the line; without one, the command is ``run``. Everything after ``--``
belongs to Beam. A command's module is imported when that command is called, and imports what is slow (settings,
pyarrow, Beam) only when it needs it: ``-version`` and ``--help`` answer at once.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Protocol, cast

import click
from click.shell_completion import shell_complete

from bronze.errors import BronzeError, ConfigError
from bronze.redact import printable
from pipeline.commands.help_text import help_columns, help_lines, option_rows
from pipeline.commands.options import Options
from pipeline.commands.output import terminal_columns
from pipeline.exit_status import USAGE, status_of
from pipeline.telemetry.logs import report_error

PROGRAM = "bronze-copier"
#: Set by the shell's completion script; see docs/operations.md.
COMPLETION_VARIABLE = "_BRONZE_COPIER_COMPLETE"
_DEFAULT_COMMAND = "run"
#: The commands, and what each does; each is a module of `pipeline.commands`.
COMMANDS = {
    "run": "copy what is missing (the default)",
    "plan": "show what a run would do: eras, partitions, ledgers, files; writes nothing",
    "verify": "check what was published, here or at any URL: events, links, checksums, rows",
    "status": "show how far each era is, what is left to do, and how far the lake is ahead; a health check",
    "report": "write one HTML page: coverage, sizes, protocols, chain, verification, who signed",
    "inspect": "look at one ledger, one partition or one lake object: fields, hashes, signer",
    "deliver": "send the audit events that are not yet delivered to the endpoint",
    "repair": "rebuild checkpoint, chain heads and delivery record from the event files",
    "clean": "remove what killed runs left unfinished (on object stores: after more than a day)",
    "init": "look at a lake, and write a configuration that copies it",
    "config": "show every setting, its value and where it comes from",
    "doctor": "check all that a run relies on, each with its remedy: lake, places, services, space, clock",
    "sample": "make a sample lake, and a configuration that copies it",
}
_DESCRIPTION = """\
Copies raw Stellar ledgers from a Galexie lake into verified, immutable parquet partitions and keeps a
hash-chained audit stream of what it copied.
"""
_CONTEXT = {"help_option_names": ["-h", "--help"]}


class _Module(Protocol):
    """What every module of `pipeline.commands` that is a command has."""

    #: What the command does, for its help text.
    DESCRIPTION: str
    #: Command lines, and what each is for.
    EXAMPLES: str
    #: The command's exit statuses, for its help text.
    EXIT_STATUS: str
    #: What `pipeline.commands.options` makes.
    OPTIONS: tuple[click.Parameter, ...]

    def run(self, options: Options) -> int:
        """Run the command and return its exit status; ``options.beam_options`` are the arguments after ``--``."""


class _Command(click.Command):
    """A command with its own layout of the help text."""

    def __init__(self, name: str, module: _Module, *, named: bool) -> None:
        super().__init__(name, params=list(module.OPTIONS), callback=module.run, context_settings=_CONTEXT)
        self._module = module
        self._is_named = named

    def get_help_option(self, ctx: click.Context) -> click.Option | None:
        """The option ``--help``."""
        option = super().get_help_option(ctx)
        if option is not None:
            option.help = "print this and end"
        return option

    def get_help(self, ctx: click.Context) -> str:
        """Usage, description, options, examples, exit statuses."""
        words = [PROGRAM, str(self.name) if self._is_named else "[COMMAND]", "[options]"]
        words += self.collect_usage_pieces(ctx)[1:]
        if self.name == _DEFAULT_COMMAND:
            words.append("[-- BEAM_OPTIONS]")
        lines = help_lines(
            usage=" ".join(words),
            description=self._module.DESCRIPTION if self._is_named else _DESCRIPTION,
            commands={} if self._is_named else COMMANDS,
            options=option_rows(self, ctx),
            examples=self._module.EXAMPLES,
            exit_status=self._module.EXIT_STATUS,
            columns=help_columns(terminal_columns()),
        )
        return "\n".join(lines)


class _Completions(click.Group):
    """All commands as the shell's completion sees them; before the command's name, the options of ``run``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of that name."""
        return _make(cmd_name, named=True) if cmd_name in COMMANDS else None


def run_command_line(arguments: Sequence[str]) -> int:
    """Run the command that `arguments` name; return the exit status."""
    if instruction := os.environ.get(COMPLETION_VARIABLE):
        group = _Completions(PROGRAM, params=list(_load(_DEFAULT_COMMAND).OPTIONS))
        return shell_complete(group, {}, PROGRAM, COMPLETION_VARIABLE, instruction)
    own, beam_options = _split_at_dashes(list(arguments))
    named, own = _take_command(own)
    name = named or _DEFAULT_COMMAND
    command = _make(name, named=named is not None)
    try:
        if beam_options and name != _DEFAULT_COMMAND:
            raise click.UsageError(f"{name} takes no Beam options")
        with command.make_context(f"{PROGRAM} {named}" if named else PROGRAM, own) as context:
            options = Options(**context.params, beam_options=beam_options)
    except click.exceptions.Exit as end:
        return end.exit_code
    except click.ClickException as error:
        _print_usage_error(error, named)
        return USAGE
    try:
        return _load(name).run(options)
    except (BronzeError, OSError) as error:
        if isinstance(error, BrokenPipeError):
            raise
        report_error(error, with_type=not isinstance(error, ConfigError))
        return status_of(error)


def _split_at_dashes(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before the first ``--``, and those after it."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def _take_command(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The command that is named first, and the other arguments; a word that is an option's value names none."""
    for at, word in enumerate(arguments):
        if at and arguments[at - 1].startswith("-") and word not in COMMANDS:
            continue
        if word == "help":
            rest = arguments[at + 1 :]
            return (rest[0] if rest and rest[0] in COMMANDS else None), ["--help"]
        if word == "version":
            return None, ["--version"]
        if word in COMMANDS and not (at and _takes_value(word, arguments[at - 1])):
            return word, arguments[:at] + arguments[at + 1 :]
    return None, arguments


def _takes_value(name: str, word: str) -> bool:
    """Whether `word` is an option of that command, and the next word its value."""
    return any(
        word in option.opts and isinstance(option, click.Option) and not option.is_flag and not option.count
        for option in _load(name).OPTIONS
    )


def _load(name: str) -> _Module:
    return cast(_Module, importlib.import_module(f"pipeline.commands.{name}"))


def _make(name: str, *, named: bool) -> _Command:
    return _Command(name, _load(name), named=named)


def _print_usage_error(error: click.ClickException, named: str | None) -> None:
    message = error.format_message()
    if isinstance(error, click.NoSuchOption):
        # Old spellings, with one dash, are not what to suggest.
        near = [one for one in error.possibilities or () if one.startswith("--")]
        message = f"there is no option {error.option_name!r}" + (f": did you mean {near[0]}?" if near else "")
    if isinstance(error, click.UsageError) and message.startswith("Got unexpected extra argument"):
        words = message[message.index("(") + 1 : message.rindex(")")].split()
        message = f"there is no command {words[0]!r}" if named is None else f"unexpected argument {words[0]!r}"
        near = get_close_matches(words[0], COMMANDS, n=1) if named is None else []
        message += f": did you mean {near[0]}?" if near else ""
    where = f"{PROGRAM} {named} --help" if named else f"{PROGRAM} --help"
    sys.stderr.write(printable(f"{PROGRAM}: {message}", keep="\n\t") + f"\nSee `{where}`.\n")
