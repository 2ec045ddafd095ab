"""The wait for a job on Flink: its end, its failure, and a cluster that forgets it."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from bronze.errors import RunnerError
from pipeline.launch.flink_cluster import FlinkCluster
from pipeline.launch.flink_job_watch import JobWatch
from tests.support.scripted_server import Answer, Request, ScriptedServer, running_server

RUNNING = {"jid": "abc", "name": "mine", "state": "RUNNING", "start-time": 1}


class Result:
    """A job that ends when it is told to."""

    def __init__(self, end: threading.Event, error: Exception | None = None) -> None:
        self._end, self._error = end, error

    def wait_until_finish(self) -> str:
        assert self._end.wait(60)
        if self._error is not None:
            raise self._error
        return "DONE"


@pytest.fixture
def jobs() -> list[dict[str, Any]]:
    """What the cluster knows."""
    return [RUNNING]


@pytest.fixture
def server(jobs: list[dict[str, Any]]) -> Iterator[ScriptedServer]:
    def answer(request: Request) -> Answer:
        return Answer(202 if request.method == "PATCH" else 200, body=json.dumps({"jobs": jobs}).encode())

    with running_server(answer) as running:
        yield running


@pytest.fixture
def watch(server: ScriptedServer) -> Callable[..., JobWatch]:
    def make(alive: Callable[[], None] = lambda: None) -> JobWatch:
        return JobWatch(FlinkCluster(server.url.removeprefix("http://")), "mine", alive, look_s=0.01, lost_s=0.2)

    return make


def test_wait_tells_that_the_job_lives(watch: Callable[..., JobWatch]) -> None:
    end, told = threading.Event(), list[int]()

    def alive() -> None:
        told.append(1)
        if len(told) == 3:
            end.set()

    assert watch(alive).wait(lambda: Result(end)) == "DONE"
    assert len(told) >= 3


def test_embedded_job_is_not_asked_for() -> None:
    end = threading.Event()
    assert JobWatch(None, "mine", end.set, look_s=0.01).wait(lambda: Result(end)) == "DONE"


def test_failure_of_the_job_is_raised(watch: Callable[..., JobWatch]) -> None:
    end = threading.Event()
    end.set()
    with pytest.raises(ValueError, match="broken"):
        watch().wait(lambda: Result(end, ValueError("broken")))


def test_forgotten_job_is_given_up(watch: Callable[..., JobWatch], jobs: list[dict[str, Any]]) -> None:
    """As after a new start of a JobManager."""
    end = threading.Event()
    with pytest.raises(RunnerError, match="lost the job mine: it is not known there"):
        watch(jobs.clear).wait(lambda: Result(end))
    end.set()


def test_missed_end_of_the_job_is_an_error(watch: Callable[..., JobWatch], jobs: list[dict[str, Any]]) -> None:
    end = threading.Event()

    def finish() -> None:
        jobs[0] = {**RUNNING, "state": "FINISHED"}

    with pytest.raises(RunnerError, match="lost the job mine: it is FINISHED there for 0 s"):
        watch(finish).wait(lambda: Result(end))
    end.set()


def test_cancel_asks_for_the_running_job(watch: Callable[..., JobWatch], server: ScriptedServer) -> None:
    watch().cancel()
    assert [one.path for one in server.requests] == ["/jobs/overview", "/jobs/abc?mode=cancel"]


def test_cancel_of_an_unknown_job_does_nothing(
    watch: Callable[..., JobWatch], server: ScriptedServer, jobs: list[dict[str, Any]]
) -> None:
    jobs.clear()
    watch().cancel()
    assert [one.path for one in server.requests] == ["/jobs/overview"]
