"""The log: one line for each record on standard error, as text for people or as JSON for collectors.

The JSON fields are those that Google Cloud Logging reads from the output of a container, and that
``google.cloud.logging_v2.handlers.StructuredLogHandler`` writes: ``severity``, ``message``, ``time``, the source
location, and the ``extra`` fields of the call. That handler is not used because importing it takes longer than
everything else before a run starts (0.8 s compiled, 2.4 s not), and because it writes no time.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from bronze.redact import MASK, names_a_secret, printable, redact

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

#: Loggers that write every request with its signature at level debug.
_LOGGERS_WITH_SIGNATURES = ("botocore", "boto3", "urllib3")

#: Attributes of every record; all others were given as `extra`.
_STANDARD_FIELDS = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(
    format: str = "text", level: str = "info", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> logging.Handler:
    """Send the records of this process to `stream`; replaces the handler of an earlier call.

    Args:
        format: ``text`` or ``json``.
        level: ``debug``, ``info``, ``warn`` or ``error``; lower records are dropped.
        secrets: strings that must never appear (`Settings.secrets`); what has the form of a secret is masked anyway.
        stream: None means standard error.

    Returns:
        The handler that was added to the root logger.
    """
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    handler.addFilter(RedactingFilter(secrets))
    root = logging.getLogger()
    for earlier in [other for other in root.handlers if isinstance(other, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    for name in _LOGGERS_WITH_SIGNATURES:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    return handler


class _Handler(logging.StreamHandler[TextIO]):
    """A type of its own, by which `configure` tells its handlers from those of tests and runners."""


class RedactingFilter(logging.Filter):
    """Mask secrets, and escape control characters, in the message, exception and extra fields of a record.

    Every record passes.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = frozenset(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Mask the secrets in `record`, in place."""
        record.msg, record.args = self._masked(_message(record)), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            record.exc_text = self._masked(record.exc_text)
        for name, value in _extra(record):
            setattr(record, name, self._masked_value(name, value))
        return True

    def _masked(self, text: str) -> str:
        return printable(redact(text, self._secrets), keep="\n\t")

    def _masked_value(self, name: str, value: object) -> object:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            return {self._masked(str(key)): self._masked_value(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._masked_value(name, item) for item in value]
        return MASK if names_a_secret(name) else self._masked(str(value))


class TextFormatter(logging.Formatter):
    """``2025-01-15T10:30:00Z INFO    message``; the traceback of an exception follows on further lines."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The time of the record in UTC, to the second."""
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class JsonFormatter(logging.Formatter):
    """One JSON object a line; `extra` fields are added to the fixed ones, which they cannot replace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        fields: dict[str, Any] = dict(_extra(record))
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        fields |= {
            "severity": record.levelname,
            "message": record.getMessage(),
            "time": time.replace("+00:00", "Z"),
            "logger": record.name,
            "logging.googleapis.com/sourceLocation": {
                "file": record.pathname,
                "line": str(record.lineno),
                "function": record.funcName,
            },
        }
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            fields["stack_trace"] = record.exc_text
        return json.dumps(fields, ensure_ascii=False, default=str)


def _message(record: logging.LogRecord) -> str:
    """The message of the record; if its arguments do not match, the format and the arguments as they are."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in list(vars(record).items()) if name not in _STANDARD_FIELDS)
