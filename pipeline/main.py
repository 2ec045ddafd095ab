"""The program ``bronze-copier``: signals and standard streams first, then the command line.

The rest is imported only when signals end the program in order: imports take long enough for a Ctrl-C.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pipeline.early_signals import exit_on_signals


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit status. The program itself passes no arguments: signals then end it."""
    if argv is None:
        _open_closed_streams()
        exit_on_signals()
    from pipeline.commands.output import discard_output
    from pipeline.commands.program import run_command_line

    try:
        status = run_command_line(sys.argv[1:] if argv is None else argv)
        sys.stdout.flush()
    except BrokenPipeError:  # of a command that only answers: nobody wants the rest of the answer
        discard_output()
        return 0
    except OSError as error:  # of standard output: commands report their own
        discard_output()
        sys.stderr.write(f"bronze-copier: standard output: {error}\n")
        return 1
    return status


def _open_closed_streams() -> None:
    """Open what was closed (``>&-``) as /dev/null: the next file opened would get its number, and the output."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)
    sys.stdin = sys.stdin or os.fdopen(0, encoding="utf-8", closefd=False)
    sys.stdout = sys.stdout or os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = sys.stderr or os.fdopen(2, "w", encoding="utf-8", closefd=False)


if __name__ == "__main__":
    sys.exit(main())
