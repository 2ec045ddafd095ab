"""The log: one line for each record on standard error, as text for people or as JSON for collectors.

The JSON fields are those that Google Cloud Logging reads from a container's output, and that
``google.cloud.logging_v2.handlers.StructuredLogHandler`` writes: ``severity``, ``message``, ``time``, the source
location, and what a call gives as ``extra`` beside them. That handler is not used for two reasons: importing it takes
longer than everything else before a run starts (0.8 s compiled, 2.4 s not), and it writes no time.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, TextIO

from bronze.redact import MASK, names_a_secret, redact

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}

#: At debug these tell every request with its signature, and what is signed.
_TELLING = ("botocore", "boto3", "urllib3")

#: Attributes that every record has: whatever else a record has was given as `extra`.
_OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure(
    format: str = "text", level: str = "info", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> logging.Handler:
    """Send the records of this process to `stream`, in place of what an earlier call set up.

    Args:
        format: ``text`` or ``json``.
        level: ``debug``, ``info``, ``warn`` or ``error``; less than that is dropped.
        secrets: strings that are never to appear (`Settings.secrets`), beside what looks like a secret anyway.
        stream: standard error when None.

    Returns:
        The handler, which the root logger has now.
    """
    handler = _Handler(sys.stderr if stream is None else stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    handler.addFilter(RedactingFilter(secrets))
    root = logging.getLogger()
    for earlier in [other for other in root.handlers if isinstance(other, _Handler)]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    for name in _TELLING:
        logging.getLogger(name).setLevel(max(logging.INFO, root.level))
    return handler


class _Handler(logging.StreamHandler[TextIO]):
    """A type of its own, so that `configure` knows its own handlers from those of tests and runners."""


class RedactingFilter(logging.Filter):
    """Masks secrets in a record's message, exception and extra fields; lets every record pass."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = frozenset(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Clean `record` where it stands."""
        record.msg, record.args = self._clean(_message(record)), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            record.exc_text = self._clean(record.exc_text)
        for name, value in _extra(record):
            setattr(record, name, self._clean_value(name, value))
        return True

    def _clean(self, text: str) -> str:
        return redact(text, self._secrets)

    def _clean_value(self, name: str, value: object) -> object:
        if value is None or isinstance(value, (bool, int, float)):
            return value
        if isinstance(value, dict):
            return {self._clean(str(key)): self._clean_value(str(key), item) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self._clean_value(name, item) for item in value]
        return MASK if names_a_secret(name) else self._clean(str(value))


class TextFormatter(logging.Formatter):
    """``2025-01-15T10:30:00Z INFO    message``; the traceback of an exception follows on lines of its own."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s")

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        """The record's time in UTC, to the second."""
        return datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class JsonFormatter(logging.Formatter):
    """One JSON object a line; `extra` fields stand beside the fixed ones and cannot take their place."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
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
    """The record's message; a call whose arguments do not fit is logged as it stands rather than lost."""
    try:
        return record.getMessage()
    except (TypeError, ValueError):
        return f"{record.msg} {record.args!r}"


def _extra(record: logging.LogRecord) -> Iterator[tuple[str, Any]]:
    return ((name, value) for name, value in list(vars(record).items()) if name not in _OWN)
