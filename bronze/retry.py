"""Trying again what may pass: transient failures, with exponential backoff and jitter."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from bronze.errors import is_transient

_LOG = logging.getLogger(__name__)
_LONGEST_WAIT_SECONDS = 60.0

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often and how patiently.

    Attributes:
        attempts: calls in all, at least 1.
        backoff_ms: the longest wait before the second call, in milliseconds; doubles with each call.
    """

    attempts: int
    backoff_ms: int

    def call(
        self, what: str, function: Callable[[], Result], is_retryable: Callable[[BaseException], bool] = is_transient
    ) -> Result:
        """Call `function` until it succeeds, fails for good, or the attempts are used up; raises its last error.

        Args:
            passes: whether trying again may help after an error.
        """

        def warn(state: tenacity.RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            wait = state.next_action.sleep if state.next_action else 0.0
            _LOG.warning("%s failed (attempt %d of %d), again in %.1f s: %s", what, state.attempt_number, self.attempts,
                         wait, error)  # fmt: skip

        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(self.attempts),
            wait=tenacity.wait_random_exponential(multiplier=self.backoff_ms / 1000, max=_LONGEST_WAIT_SECONDS),
            retry=tenacity.retry_if_exception(is_retryable),
            before_sleep=warn,
            reraise=True,
        )
        return retrying(function)
