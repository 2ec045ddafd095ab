"""Retry transient failures with exponential backoff and jitter."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from bronze.errors import RunStoppedError, is_transient
from bronze.log_fields import error_fields, log_fields
from bronze.measurements import RETRY, report
from bronze.waiting import pause

_LOG = logging.getLogger(__name__)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often an operation is attempted, and how long to wait in between.

    Attributes:
        attempts: calls in all, at least 1.
        backoff_ms: the longest delay before the second call, in milliseconds; it doubles with each further call.
        max_delay_s: the longest delay before any call, in seconds.
    """

    attempts: int
    backoff_ms: int
    max_delay_s: float = 60.0

    def delays(self) -> Iterator[float]:
        """Yield the delay before each attempt but the first, in seconds; `attempts` - 1 of them, with full jitter."""
        longest = self.backoff_ms / 1000
        for _ in range(self.attempts - 1):
            yield random.uniform(0, min(longest, self.max_delay_s))
            longest = min(2 * longest, self.max_delay_s)

    def call(
        self,
        what: str,
        function: Callable[[], Result],
        is_retryable: Callable[[BaseException], bool] = is_transient,
        *,
        level: int = logging.WARNING,
        operation: str = "other",
        stops: bool = False,
    ) -> Result:
        """Call `function` until it succeeds, fails permanently or has failed `attempts` times; raise its last error.

        A request to stop the process (`bronze.waiting`) ends a delay, and nothing is retried then.

        Args:
            what: the operation, for the log.
            is_retryable: whether retrying may help after an error.
            level: the level at which each failure that is retried is logged.
            operation: the kind of operation, one word of few, for the count of retries.
            stops: whether an error that is not retried because of a request to stop becomes a `RunStoppedError`.
        """
        delays = self.delays()
        attempt = 0
        while True:
            attempt += 1
            try:
                if attempt == 1:
                    return function()
                with log_fields(attempt=attempt):
                    return function()
            except Exception as error:
                delay = next(delays, None) if is_retryable(error) else None
                if delay is None:
                    raise
                report(RETRY, operation=operation)
                _LOG.log(level, "%s failed (attempt %d of %d), retrying in %.1f s: %s", what, attempt, self.attempts,
                         delay, error, extra=error_fields(error, attempt=attempt))  # fmt: skip
                failure = error
            if not pause(delay):
                if stops:
                    raise RunStoppedError(f"{what} was not retried: the run was asked to stop ({failure})") from failure
                raise failure
