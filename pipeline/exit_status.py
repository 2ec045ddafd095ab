"""Exit statuses of the command line. A run that a signal stopped ends with 128 and the signal's number."""

from __future__ import annotations

from bronze.errors import ConfigError, LockedError, RunStoppedError

#: Everything that was asked for exists and holds.
DONE = 0
#: Something was left undone or does not hold; the last lines say what and why.
UNDONE = 1
#: The configuration or the command line is wrong.
USAGE = 2
#: Something that was to be checked could not be: it cannot be reached or read. What could be checked holds.
UNCHECKED = 3
#: Another run, or another command, holds a chain.
LOCKED = 4
#: All is published, but something is not yet recorded in the catalog, not yet delivered to the endpoint, or not yet
#: confirmed by the history archives that have to.
OUTSTANDING = 5
#: Everything that was wanted is done, but ledgers before the end of a chain have no partition.
GAP = 6


def status_of(error: BaseException) -> int:
    """The exit status of a program that `error` ends."""
    if isinstance(error, ConfigError):
        return USAGE
    if isinstance(error, RunStoppedError) and error.exit_status is not None:
        return error.exit_status
    return LOCKED if isinstance(error, LockedError) else UNDONE
