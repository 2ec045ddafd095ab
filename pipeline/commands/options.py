"""How a command declares its options: what `pipeline.commands.program` makes a parser of.

`OPTIONS` of a command's module is a tuple of what `flag`, `option` and `argument` return. A command's function gets an
`Options`: one attribute for each, named as the longest spelling (``--dry-run``: ``dry_run``) or as ``name`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import click
from click.shell_completion import CompletionItem

#: What is, or may be, a path: the shell completes it.
_PATHS = frozenset({"FILE", "URL", "[URL]", "OUT", "WHAT"})
#: The values of a command's options; ``beam_options`` are the arguments after ``--``.
Options = SimpleNamespace


def flag(*spellings: str, help: str, name: str | None = None, **more: Any) -> click.Option:
    """An option without a value: False, or True when it is given."""
    return click.Option([*spellings, *([name] if name else [])], is_flag=True, help=help, **more)


def option(
    *spellings: str,
    help: str,
    metavar: str | None = None,
    name: str | None = None,
    default: Any = None,
    convert: Callable[[str], Any] | None = None,
    choices: Sequence[str] = (),
    **more: Any,
) -> click.Option:
    """An option with a value.

    Args:
        spellings: such as ``-config`` and ``--config``.
        default: the value when the option is not given, as text or already converted.
        convert: makes the value of the text; raises ValueError, whose message is shown, for a wrong one.
        choices: the only values allowed; empty allows every text.
    """
    kind = _Choice(choices) if choices else _Converted(convert) if convert else None
    declarations = [*spellings, *([name] if name else [])]
    if metavar in _PATHS:
        more["shell_complete"] = _complete_path
    if default is not None:  # to click, a default of None is a value, which an option that is required then has
        more["default"] = default
    return click.Option(declarations, metavar=metavar, type=kind, help=help, **more)


def argument(
    name: str,
    *,
    metavar: str,
    convert: Callable[[str], Any] | None = None,
    required: bool = True,
    default: str | None = None,
) -> click.Argument:
    """A word that belongs to no option; `default` when it is not required and not given."""
    kind = _Converted(convert) if convert else None
    given: dict[str, Any] = {} if default is None else {"default": default}
    if metavar in _PATHS:
        given["shell_complete"] = _complete_path
    return click.Argument([name], metavar=metavar, type=kind, required=required, **given)


def _complete_path(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the names of files and directories."""
    return [CompletionItem(incomplete, type="file")]


class _Choice(click.Choice[str]):
    """One of several words, or the empty default."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The word."""
        return "" if value == "" else super().convert(value, param, ctx)


class _Converted(click.ParamType[Any]):
    """A value made by a function of its text."""

    def __init__(self, convert: Callable[[str], Any]) -> None:
        self._convert = convert
        self.name = getattr(convert, "__name__", "value")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The value; what is no text is a default, and stays as it is."""
        if not isinstance(value, str):
            return value
        try:
            return self._convert(value)
        except ValueError as error:
            return self.fail(str(error) or f"{value!r} is not valid", param, ctx)


#: Of every command that answers.
JSON = flag("--json", name="as_json", help="print one JSON document, and nothing else, to standard output")


def whole_number(text: str) -> int:
    """The number that `text` is; raises ValueError when it is none."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a whole number") from None


def seconds(text: str) -> float:
    """The number of seconds that `text` is; raises ValueError when it is none."""
    try:
        value = float(text)
    except ValueError:
        value = -1
    if not 0 <= value <= 1e9:
        raise ValueError(f"{text!r} is not a number of seconds")
    return value
