"""Standard output: what a command prints, also when nobody reads it any more or its disk is full."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping

from bronze.redact import printable


def print_lines(lines: Iterable[str]) -> None:
    """Print the lines to standard output, control characters escaped, and flush it.

    A closed pipe is no error: what was done stays done, and its status is the command's. Any other failure, such as a
    full disk, is an OSError that names standard output.
    """
    _write(f"{printable(line, keep=chr(9))}\n" for line in lines)


def print_json(document: Mapping[str, object]) -> None:
    """Print one JSON document, indented (docs/json.md); fails as `print_lines` does."""
    _write([json.dumps(document, indent=2, ensure_ascii=False), "\n"])


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
