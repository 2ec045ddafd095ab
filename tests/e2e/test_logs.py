"""The log of a run with failures: every line is JSON, and one id tells the story of one partition."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from bronze.xdr import is_compiled
from tests.e2e.conftest import Copier, LakeFiles, RunResult, finish, wait_until
from tests.e2e.test_workers import worker_processes

compiled = pytest.param(
    "compiled", marks=pytest.mark.skipif(not is_compiled(), reason="the reader is not compiled"), id="threads"
)


#: What every record of a partition that failed says of it.
LABELS = ("run_id", "network", "era_id", "version_label", "worker")
FIELDS = {*LABELS, "correlation_id", "ledger_start", "ledger_end", "duration_ms", "attempt", "error", "error_type"}


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """Eight partitions, of which one fails, and two workers."""
    lake = sample(first=8, ledgers=32)
    lake.remove(29)
    settings = {"perf": {"workers": 2}, "logging": {"level": "debug"}}
    return copier(lake.root, ledger_start=8, ledger_end=39, partition_size=4, settings=settings)


def records(ran: RunResult) -> list[dict[str, Any]]:
    """Every line of standard error."""
    return [json.loads(line) for line in ran.log.splitlines()]


@pytest.mark.parametrize("format", ["json", "gcp"])
@pytest.mark.parametrize("reader", [compiled, pytest.param("interpreted", id="processes")])
def test_one_id_tells_story_of_partition(reader: str, format: str, copy: Copier) -> None:
    ran = copy.process(BRONZE_READER=reader, LOG_FORMAT=format)

    lines = records(ran)
    text = "msg" if format == "json" else "message"
    (failed,) = [line for line in lines if line.get("error_type")]
    assert (ran.status, failed["error_type"], failed["ledger_start"], failed["ledger_end"]) == (1, "LakeError", 28, 31)
    assert failed["level" if format == "json" else "severity"] == "ERROR"
    assert failed["attempt"] == 1
    assert failed.keys() >= FIELDS
    assert (failed["network"], failed["era_id"], failed["version_label"]) == ("standalone", "e1", "v1")
    if format == "json":
        assert list(failed)[:3] == ["time", "level", "msg"]
        assert datetime.fromisoformat(failed["time"]).utcoffset() == timedelta(0)
    else:
        labels = failed["logging.googleapis.com/labels"]
        assert {name: labels[name] for name in LABELS} == {name: failed[name] for name in LABELS}
        assert failed["logging.googleapis.com/trace"].endswith(failed["correlation_id"])
    stories: dict[str, list[str]] = {}
    for line in lines:
        if "correlation_id" in line:
            stories.setdefault(line["correlation_id"], []).append(line[text].rpartition(": ")[2].partition(",")[0])
    assert len(stories) == 8
    assert sorted(len(story) for story in stories.values()) == [3, 3, 3, 4, 4, 4, 4, 4]
    assert ["planned", "begun", "written", "committed"] in stories.values()
    assert stories[failed["correlation_id"]][:2] == ["planned", "begun"]
    assert len({line["run_id"] for line in lines if "correlation_id" in line}) == 1


def test_killed_worker_process_is_in_story(copy: Copier) -> None:
    program = copy.start(BRONZE_READER="interpreted", LOG_FORMAT="json")
    wait_until(lambda: bool(worker_processes(program)), "a worker process")
    os.kill(worker_processes(program)[0], signal.SIGKILL)
    lines = records(finish(program))
    (again,) = [line for line in lines if "retrying in" in line["msg"]]
    story = [line for line in lines if line.get("correlation_id") == again["correlation_id"]]
    assert (again["error_type"], again["attempt"]) == ("WorkerError", 1)
    assert [line["attempt"] for line in story if "written" in line["msg"]] == [2]


@pytest.mark.parametrize("format", ["json", "gcp"])
def test_errors_before_start_follow_format(format: str, copy: Copier) -> None:
    copy.settings["logging"]["format"] = format
    copy.settings["source"]["local_path"] = "/nowhere"
    (missing,) = records(copy.process())
    assert (missing["error_type"], "/nowhere" in missing["error"]) == ("ConfigError", True)
    copy.settings["perf"]["wokers"] = 3
    (misspelt,) = records(copy.process())
    assert "did you mean perf.workers" in misspelt["error"]
