"""Standard output: what a command prints, also when nobody reads it any more or its disk is full."""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

import click

from bronze.errors import ConfigError
from bronze.redact import printable

#: The first column of a line: a label, and the spaces behind it.
_LABEL = re.compile(r"\s*\S+(?: \S+)?\s{2,}")


def print_lines(lines: Iterable[str], *, colours: Mapping[str, str] = MappingProxyType({})) -> None:
    """Print the lines to standard output, control characters escaped, and flush it.

    On a terminal, lines that are wider are broken at spaces, and go on below their second column. A closed pipe is no
    error: what was done stays done, and its status is the command's. Any other failure, such as a full disk, is an
    OSError that names standard output.

    Args:
        colours: of first words of lines; used on a terminal only, and not where NO_COLOR is set.
    """
    columns = terminal_columns()
    if columns is None or os.environ.get("NO_COLOR"):
        colours = {}
    shown = (printable(line, keep=chr(9)) for line in lines)
    if columns is not None:
        shown = (part for line in shown for part in _fitted(line, columns))
    _write(f"{_coloured(line, colours)}\n" for line in shown)


def terminal_columns() -> int | None:
    """The width of the terminal that standard output is; None when it is none."""
    try:
        return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    except ValueError:  # closed
        return None


def _fitted(line: str, columns: int) -> list[str]:
    """The line in lines that fit, but for words that do not; a command stays whole, so that it can be copied."""
    if len(line) <= columns or line.lstrip().startswith("bronze-copier "):
        return [line]
    label = _LABEL.match(line)
    margin = len(line) - len(line.lstrip()) + 2
    if label is not None and label.end() <= columns // 2:
        margin = label.end()
    indent = " " * min(margin, columns - 1)
    return textwrap.wrap(line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def _coloured(line: str, colours: Mapping[str, str]) -> str:
    word, space, rest = line.partition(" ")
    return f"{click.style(word, fg=colours[word])}{space}{rest}" if word in colours else line


def print_json(document: Mapping[str, object] | Sequence[Mapping[str, object]]) -> None:
    """Print one JSON document, or several as a list, indented (docs/json.md); fails as `print_lines` does."""
    _write([json.dumps(document, indent=2, ensure_ascii=False), "\n"])


def check_writable(option: str, path: Path) -> None:
    """Check that a file can be written at `path`, which may be there already.

    Args:
        option: that names the file.

    Raises:
        ConfigError: no file can be written there.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(None, "it is a directory")
        with tempfile.NamedTemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise ConfigError(f"{option} {path}: no file can be written there: {error.strerror}") from error


def write_atomically(path: Path, text: str, *, replaces: bool = True) -> None:
    """Write the file `path`, durable; what is replaced is replaced at once, by the whole text.

    Args:
        replaces: whether a file that is there is replaced.

    Raises:
        FileExistsError: it is there, and not to be replaced.
        OSError: it cannot be written.
    """
    new = path.with_name(f".{path.name}.{secrets.token_hex(4)}") if replaces else path
    handle = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
    try:
        with open(handle, "w", encoding="utf-8") as file:  # noqa: PTH123
            file.write(text)
            file.flush()
            os.fsync(handle)
        if replaces:
            new.replace(path)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise


def discard_output() -> None:
    """Send what is still buffered, and what follows, to /dev/null: the interpreter's last flush succeeds."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _write(texts: Iterable[str]) -> None:
    try:
        for text in texts:
            sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        discard_output()
    except OSError as error:
        discard_output()
        raise OSError(error.errno, error.strerror, "standard output") from error
