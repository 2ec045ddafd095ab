"""The help text of a command: usage, description, options, examples and exit statuses, as wide as the terminal."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence

import click

#: Columns of the text where standard output is no terminal, and at most; and at least.
WIDEST, _NARROWEST = 110, 30
#: Columns of a name before its description; a longer one stands on a line of its own.
_NAMES = 26
_FIRST_COLUMNS = re.compile(r"^\s*\S.*?\s{2,}")
_ENTRY = re.compile(r"^  (\S.*?)  +(.*)$")


def help_columns(terminal: int | None) -> int:
    """Columns of help text on a terminal of that width; None: no terminal."""
    return WIDEST if terminal is None else max(_NARROWEST, min(WIDEST, terminal))


def help_lines(
    *,
    usage: str,
    description: str,
    commands: Mapping[str, str],
    options: Sequence[tuple[str, str]],
    examples: str,
    exit_status: str,
    columns: int,
) -> Iterator[str]:
    """The lines of a command's help.

    Args:
        description: paragraphs, an empty line between them; of an indented one each line is a row of a table.
        commands: names and descriptions of all commands; empty where the help is one command's.
        options: spellings and descriptions.
        examples: command lines, behind three spaces what one is for; they are not wrapped, so that they can be copied.
        exit_status: ``  N  meaning`` each; a meaning may go on in further lines.
    """
    yield from textwrap.wrap(f"usage: {usage}", columns, subsequent_indent="  ", break_on_hyphens=False)
    for paragraph in description.strip("\n").split("\n\n"):
        yield ""
        if paragraph.startswith(" "):
            yield from (part for line in paragraph.splitlines() for part in _hanging(line, columns))
        else:
            yield from textwrap.wrap(paragraph, columns, break_on_hyphens=False)
    if commands:
        yield from ("", "commands (anywhere in the line; bronze-copier COMMAND --help says more):")
        yield from _definitions(list(commands.items()), columns)
    yield from ("", "options:", *_definitions(options, columns))
    yield from ("", "examples:")
    for line in examples.rstrip("\n").splitlines():
        yield from _example(line, columns)
    yield from ("", "exit status:")
    for code, meaning in _entries(exit_status):
        yield from textwrap.wrap(
            meaning, columns, initial_indent=f"  {code}  ", subsequent_indent="     ", break_on_hyphens=False
        )


def _hanging(line: str, columns: int) -> list[str]:
    """A row of a table, whose last column is wrapped."""
    found = _FIRST_COLUMNS.match(line)
    at = found.end() if found else 0
    indent = " " * min(at, columns // 2)
    text = textwrap.wrap(line[at:], columns, initial_indent=" " * at, subsequent_indent=indent, break_on_hyphens=False)
    return [line[:at] + text[0][at:], *text[1:]] if text else [line]


def _example(line: str, columns: int) -> Iterator[str]:
    command, gap, text = line.strip().partition("   ")
    if len(line) <= columns or not gap:
        yield line
    else:
        yield f"  {command}"
        yield from textwrap.wrap(text.strip(), columns, initial_indent="      ", subsequent_indent="      ")


def _definitions(rows: Sequence[tuple[str, str]], columns: int) -> Iterator[str]:
    """Names and descriptions in two columns; in a narrow terminal, or behind a long name, the description below."""
    names = min(_NAMES, max((len(name) for name, _ in rows), default=0))
    is_narrow = columns < names + 34
    indent = " " * (6 if is_narrow else names + 4)
    for name, text in rows:
        head = f"  {name:{names}}  "
        is_below = is_narrow or len(name) > names
        if is_below:
            yield head.rstrip()
        first = indent if is_below else head
        yield from textwrap.wrap(
            text, columns, initial_indent=first, subsequent_indent=indent, break_on_hyphens=False
        ) or ([] if is_below else [head.rstrip()])


def _entries(text: str) -> Iterator[tuple[str, str]]:
    """The codes of `text` with what they mean."""
    code, words = "", list[str]()
    for line in text.splitlines():
        if found := _ENTRY.match(line):
            if words:
                yield code, " ".join(words)
            code, words = found[1], [found[2].strip()]
        else:
            words.append(line.strip())
    if words:
        yield code, " ".join(words)


def option_rows(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    """Spellings and descriptions of the options of `command`."""
    options = [option for option in command.get_params(context) if isinstance(option, click.Option)]
    return [record for option in options if (record := option.get_help_record(context))]
