"""The lines of the log on a stream."""

from __future__ import annotations

import io
import json
import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from pipeline.telemetry import logs

LOG = logging.getLogger("bronze.test_logs")
SECRET = "correct-horse"


@pytest.fixture(autouse=True)
def _root_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


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
    assert fields["severity"] == "WARNING"
    assert fields["message"] == "two\nlines"
    assert fields["logger"] == "bronze.test_logs"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", fields["time"])
    assert fields["logging.googleapis.com/sourceLocation"]["file"] == __file__


def test_extra_fields_never_replace_fixed_ones() -> None:
    stream = set_up("json")
    LOG.info("done", extra={"era": "pre_p23", "range": (0, 9), "ratio": 0.5, "none": None, "severity": "forged"})
    fields = only_json(stream)
    assert (fields["era"], fields["range"], fields["ratio"], fields["none"]) == ("pre_p23", [0, 9], 0.5, None)
    assert fields["severity"] == "INFO"


@pytest.mark.parametrize(
    ("level", "passed"),
    [
        ("debug", ["DEBUG", "INFO", "WARNING", "ERROR"]),
        ("info", ["INFO", "WARNING", "ERROR"]),
        ("warn", ["WARNING", "ERROR"]),
        ("error", ["ERROR"]),
    ],
)
def test_level_drops_lower_records(level: str, passed: list[str]) -> None:
    stream = set_up("json", level)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR):
        LOG.log(number, "x")
    assert [json.loads(line)["severity"] for line in stream.getvalue().splitlines()] == passed


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
