"""The lines of the log on a stream."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from bronze.log_fields import correlation_id, log_fields, partition_fields
from pipeline.telemetry import logs

LOG = logging.getLogger("bronze.test_logs")
SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    hooks = sys.excepthook, threading.excepthook
    yield
    root.handlers[:], root.level = handlers, level
    sys.excepthook, threading.excepthook = hooks


def set_up(format: str = "text", level: str = "info", **others: Any) -> io.StringIO:
    stream = io.StringIO()
    logs.configure(format, level, stream=stream, **others)
    return stream


def only_json(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    fields = json.loads(line)
    assert isinstance(fields, dict)
    return fields


def test_text_has_time_level_and_message() -> None:
    stream = set_up()
    LOG.info("published %d partitions", 3)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ INFO    published 3 partitions\n", stream.getvalue())


def test_json_line_has_the_collector_fields() -> None:
    stream = set_up("json")
    LOG.warning("two\nlines")
    fields = only_json(stream)
    assert list(fields)[:3] == ["time", "level", "msg"]
    assert fields["level"] == "WARN"
    assert fields["msg"] == "two\nlines"
    assert fields["logger"] == "bronze.test_logs"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", fields["time"])
    assert fields["source"].startswith(f"{__file__}:")


def test_extra_fields_never_replace_fixed_ones() -> None:
    stream = set_up("json")
    LOG.info("done", extra={"era": "pre_p23", "range": (0, 9), "ratio": 0.5, "none": None, "level": "forged"})
    fields = only_json(stream)
    assert (fields["era"], fields["range"], fields["ratio"], fields["none"]) == ("pre_p23", [0, 9], 0.5, None)
    assert fields["level"] == "INFO"


@pytest.mark.parametrize(
    ("level", "passed"),
    [
        ("debug", ["DEBUG", "INFO", "WARN", "ERROR"]),
        ("info", ["INFO", "WARN", "ERROR"]),
        ("warn", ["WARN", "ERROR"]),
        ("error", ["ERROR"]),
    ],
)
def test_level_drops_lower_records(level: str, passed: list[str]) -> None:
    stream = set_up("json", level)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOG.log(number, "x")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == passed


@pytest.mark.parametrize("format", ["text", "json"])
def test_secrets_are_masked(format: str) -> None:
    stream = set_up(format, secrets=[SECRET])
    LOG.info("in the message: %s", SECRET)
    LOG.info(
        "as an argument: %s", ["postgresql://u:other-secret@h/d"]
    )  # not a registered secret, but recognised by its form
    LOG.info("in an extra field", extra={"location": {"url": f"x{SECRET}x", SECRET: 1}, "error": ValueError(SECRET)})
    LOG.info("under a name that says so", extra={"db_password": "other-secret"})
    try:
        raise ValueError(SECRET)
    except ValueError as error:
        LOG.exception("in an exception: %s", error)
    assert SECRET not in stream.getvalue()
    assert "other-secret" not in stream.getvalue()
    assert stream.getvalue().count("***") >= 4


@pytest.mark.parametrize("format", ["text", "json"])
def test_exception_has_its_traceback(format: str) -> None:
    stream = set_up(format)
    try:
        raise ValueError("reason")
    except ValueError:
        LOG.exception("failed")
    text = only_json(stream)["stack_trace"] if format == "json" else stream.getvalue()
    assert "Traceback" in text
    assert "ValueError: reason" in text


def test_mismatched_arguments_are_still_logged() -> None:
    stream = io.StringIO()
    handler = logs.configure(stream=stream)
    handler.handle(LOG.makeRecord("x", logging.INFO, __file__, 1, "%d partitions", ("three",), None))
    assert stream.getvalue().endswith("%d partitions ('three',)\n")


def test_configure_replaces_only_its_own_handler() -> None:
    foreign = logging.NullHandler()
    logging.getLogger().addHandler(foreign)
    first = set_up()
    second = set_up()
    LOG.info("once")
    assert first.getvalue() == ""
    assert second.getvalue().count("once") == 1
    assert foreign in logging.getLogger().handlers


def test_logs_go_to_standard_error() -> None:
    program = "import logging; from pipeline.telemetry import logs; logs.configure(); logging.info('here')"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == ""
    assert done.stderr.endswith("INFO    here\n")


def test_request_signatures_are_never_logged() -> None:
    stream = set_up(level="debug")
    logging.getLogger("botocore.auth").debug("StringToSign: AWS4-HMAC-SHA256")
    LOG.debug("shown")
    assert "StringToSign" not in stream.getvalue()
    assert "shown" in stream.getvalue()


@pytest.mark.parametrize("format", ["text", "json"])
def test_control_characters_are_escaped(format: str) -> None:
    stream = set_up(format)
    LOG.warning("answered \x1b[2J\x9b31m\u202e", extra={"where": "a\x1bb"})
    assert stream.getvalue().rstrip("\n").isprintable()
    assert "x1b[2J" in stream.getvalue()


def test_records_carry_fields_of_their_work() -> None:
    stream = set_up("json")
    with log_fields(**partition_fields("r1", "net/e1/v1", 0, 9)):
        logging.getLogger("apache_beam.somewhere").warning("slow", extra={"attempt": 2})
    fields = only_json(stream)
    assert (fields["run_id"], fields["network"], fields["era_id"], fields["version_label"]) == (
        "r1", "net", "e1", "v1"
    )  # fmt: skip
    assert (fields["ledger_start"], fields["ledger_end"], fields["attempt"]) == (0, 9, 2)
    assert fields["correlation_id"] == correlation_id("r1", "net/e1/v1", 0, 9)


def test_repeated_warnings_are_written_once() -> None:
    stream = set_up()
    for _ in range(3):
        LOG.warning("ledgers are old")
        LOG.error("failed")
    assert stream.getvalue().count("ledgers are old") == 1
    assert stream.getvalue().count("failed") == 3


def test_repeated_warning_comes_again_after_minute() -> None:
    times = iter((0.0, 59.0, 60.0))
    once = logs.OnceFilter(lambda: next(times))
    record = logging.makeLogRecord({"levelno": logging.WARNING, "msg": "slow"})
    assert [once.filter(record) for _ in range(3)] == [True, False, True]


def test_gcp_lines_are_structured_for_cloud_logging(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GOOGLE_CLOUD_PROJECT", "p1")
    stream = set_up("gcp", secrets=[SECRET])
    with log_fields(**partition_fields("r1", "net/e1/v1", 0, 9)):
        try:
            raise ValueError(SECRET)
        except ValueError:
            LOG.exception("partition failed", extra={"error_type": "ValueError"})
    fields = only_json(stream)
    assert (fields["severity"], fields["message"], fields["error_type"]) == ("ERROR", "partition failed", "ValueError")
    assert fields["logging.googleapis.com/labels"]["era_id"] == "e1"
    trace = correlation_id("r1", "net/e1/v1", 0, 9)
    assert fields["logging.googleapis.com/trace"] == f"projects/p1/traces/{trace}"
    assert fields["stack_trace"].endswith("ValueError: ***")


@pytest.mark.parametrize("format", ["json", "gcp"])
def test_uncaught_errors_are_records(format: str) -> None:
    program = (
        "import threading; from pipeline.telemetry import logs;"
        f"logs.configure({format!r}); import warnings; warnings.warn('old');"
        "t = threading.Thread(target=lambda: 1 / 0); t.start(); t.join(); raise ValueError('end')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    assert [line.get("error_type") for line in lines] == [None, "ZeroDivisionError", "ValueError"]
    assert "Traceback" in lines[-1]["stack_trace"]


def test_error_before_start_follows_the_format() -> None:
    stream = set_up("json")
    logs.report_error(ValueError("reason"))
    assert only_json(stream)["error"] == "reason"
