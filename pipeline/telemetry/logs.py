"""The log: one line for each record on standard error, as text for people or as JSON for collectors.

Records of the program, of Beam and of libraries, of threads and of worker processes all come here. Each carries the
fields of `bronze.log_fields` that hold where it was made, and what the call gave as ``extra``.

``json`` begins with ``time`` (RFC 3339), ``level`` and ``msg``. ``gcp`` is what Google Cloud Logging reads from the
output of a container, written by its own handler: ``severity``, labels, and the correlation id as the trace.
"""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TextIO

from bronze.log_fields import current_fields, error_fields, extra_fields
from bronze.redact import MASK, names_a_secret, printable, redact

FORMATS = ("text", "json", "gcp")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_LEVEL_NAMES = {logging.WARNING: "WARN", logging.CRITICAL: "ERROR"}

#: Loggers that write every request with its signature at level debug, and at info where credentials were found.
_LOGGERS_WITH_SIGNATURES = ("botocore", "boto3", "urllib3")
#: Seconds in which a warning with the same words is written once.
_REPEAT_INTERVAL_S = 60.0
#: Most warnings that are remembered for that.
_MAX_REMEMBERED = 1000

_LOG = logging.getLogger(__name__)
_PYTHONS_HOOKS = sys.excepthook, threading.excepthook


def configure(
    format: str = "text", level: str = "info", *, secrets: Iterable[str] = (), stream: TextIO | None = None
) -> logging.StreamHandler[TextIO]:
    """Send the records of this process to `stream`; replaces the handler of an earlier call.

    Args:
        format: ``text``, ``json`` or ``gcp``.
        level: ``debug``, ``info``, ``warn`` or ``error``; lower records are dropped.
        secrets: strings that must never appear (`Settings.secrets`); what has the form of a secret is masked anyway.
        stream: None means standard error.

    Returns:
        The handler that was added to the root logger.
    """
    handler = _make_handler(format, sys.stderr if stream is None else stream)
    handler.name = HANDLER_NAME
    # Before the filters of the handler itself, which render the record.
    handler.filters[:0] = [OnceFilter(), RedactingFilter(secrets)]
    root = logging.getLogger()
    for earlier in [other for other in root.handlers if other.name == HANDLER_NAME]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(_LEVELS[level])
    logging.captureWarnings(True)
    for name in _LOGGERS_WITH_SIGNATURES:
        logging.getLogger(name).setLevel(max(logging.WARNING if level != "debug" else logging.INFO, root.level))
    is_text = format == "text"
    sys.excepthook, threading.excepthook = _PYTHONS_HOOKS if is_text else (_log_uncaught, _log_uncaught_of_thread)
    return handler


#: By this name `configure` tells its handlers from those of tests and runners.
HANDLER_NAME = "bronze-copier"


def program_handler() -> logging.StreamHandler[TextIO] | None:
    """The handler that `configure` added last; None when there is none."""
    found = [handler for handler in logging.getLogger().handlers if handler.name == HANDLER_NAME]
    return found[-1] if found and isinstance(found[-1], logging.StreamHandler) else None


def mask_also(secrets: Iterable[str]) -> None:
    """Mask further secrets, which became known after the log was set up."""
    for filter in (program_handler() or logging.NullHandler()).filters:
        if isinstance(filter, RedactingFilter):
            filter.mask(secrets)


def is_structured() -> bool:
    """Whether the log is written for collectors, not for people."""
    handler = program_handler()
    return handler is not None and not isinstance(handler.formatter, TextFormatter)


def report_error(error: BaseException, *, with_type: bool = True) -> None:
    """Tell of the error that ends the program: as a record where the log is structured, else in words.

    Args:
        with_type: whether the words begin with the error's type.
    """
    if is_structured():
        _LOG.error("%s", error, extra=error_fields(error))
        return
    if sys.stderr is None:  # it was closed before the start
        return
    words = f"{type(error).__name__}: {error}" if with_type else str(error)
    sys.stderr.write(printable(f"bronze-copier: {words}", keep="\n\t") + "\n")


def _make_handler(format: str, stream: TextIO) -> logging.StreamHandler[TextIO]:
    if format == "gcp":
        from pipeline.telemetry.cloud_logs import make_handler  # takes longer to load than all else before a run

        return make_handler(stream)
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    return handler


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    _LOG.critical("uncaught error: %s", error, exc_info=(kind, error, trace), extra=error_fields(error))


def _log_uncaught_of_thread(args: threading.ExceptHookArgs) -> None:
    if args.exc_value is not None and not isinstance(args.exc_value, SystemExit):
        _log_uncaught(args.exc_type, args.exc_value, args.exc_traceback)


class OnceFilter(logging.Filter):
    """Drop a warning whose words were written within the last minute: what holds for every ledger is said once.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._clock = clock
        self._written: dict[tuple[str, str], float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is to be written."""
        if record.levelno != logging.WARNING:
            return True
        key, now = (record.name, _message(record)), self._clock()
        last = self._written.get(key)
        if last is not None and now - last < _REPEAT_INTERVAL_S:
            return False
        if len(self._written) >= _MAX_REMEMBERED:
            self._written.clear()
        self._written[key] = now
        return True


class RedactingFilter(logging.Filter):
    """Add the fields of `bronze.log_fields` to a record, mask secrets in all of it, and escape control characters.

    Every record passes.
    """

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        super().__init__()
        self._secrets = frozenset(secrets)

    def filter(self, record: logging.LogRecord) -> bool:
        """Change `record` in place."""
        for name, value in current_fields().items():
            record.__dict__.setdefault(name, value)
        record.msg, record.args = self._masked(_message(record)), None
        if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
            record.exc_text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if record.exc_text:
            record.exc_text = self._masked(record.exc_text)
        for name, value in extra_fields(record):
            setattr(record, name, self._masked_value(name, value))
        return True

    def mask(self, secrets: Iterable[str]) -> None:
        """Mask these too."""
        self._secrets = self._secrets.union(secrets)

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
    """One JSON object a line; the fields of a record are added to the fixed ones, which they cannot replace."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without a line end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="microseconds")
        fields: dict[str, Any] = {
            "time": time.replace("+00:00", "Z"),
            "level": _LEVEL_NAMES.get(record.levelno, record.levelname),
            "msg": record.getMessage(),
        }
        for name, value in extra_fields(record):
            fields.setdefault(name, value)
        fields |= {"logger": record.name, "source": f"{record.pathname}:{record.lineno}"}
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
