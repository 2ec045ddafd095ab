"""The log of worker processes that this program did not start itself, as those of distributed runners.

Their root logger has handlers of the runner. Each of them gets a formatter that adds the fields of `bronze.log_fields`
to the message, as one JSON object, and masks what looks like a secret. Where the program has set up the log itself,
as it does for workers in its own process, that stays.
"""

from __future__ import annotations

import json
import logging

from bronze.log_fields import current_fields, extra_fields, set_process_fields
from bronze.redact import printable, redact


def set_up_worker_logs(run_id: str) -> None:
    """Have all records of this process name the run, and handlers of a runner write the fields; once is enough."""
    set_process_fields(run_id=run_id)
    for handler in logging.getLogger().handlers:
        if type(handler).__module__.startswith("apache_beam.") and not isinstance(handler.formatter, FieldsFormatter):
            handler.setFormatter(FieldsFormatter(handler.formatter))


class FieldsFormatter(logging.Formatter):
    """Formats a record as `inner` does, and appends its fields: ``partition failed {"era_id": "e1", …}``."""

    def __init__(self, inner: logging.Formatter | None) -> None:
        super().__init__()
        self._inner = inner or logging.Formatter()

    def format(self, record: logging.LogRecord) -> str:
        """Return the message with the fields."""
        fields = {**current_fields(), **dict(extra_fields(record))}
        text = self._inner.format(record)
        if fields:
            text += " " + json.dumps(fields, ensure_ascii=False, default=str)
        return printable(redact(text), keep="\n\t")
