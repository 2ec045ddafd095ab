"""What is read of a Flink cluster, and what makes it unsafe; its REST service is a server on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from bronze.errors import ConfigError, RunnerError
from pipeline.launch.flink_cluster import FlinkCluster
from tests.support.scripted_server import Answer, Request, ScriptedServer, running_server

GOOD: dict[str, Any] = {
    "/overview": {"flink-version": "1.19.3", "slots-total": 4},
    "/jobmanager/config": [{"key": "restart-strategy.type", "value": "'fixed-delay'"}],
    "/jobs/overview": {"jobs": []},
}


@pytest.fixture
def answers() -> dict[str, Any]:
    """What the server says; tests change it."""
    return {path: json.loads(json.dumps(value)) for path, value in GOOD.items()}


@pytest.fixture
def server(answers: dict[str, Any]) -> Iterator[ScriptedServer]:
    def answer(request: Request) -> Answer:
        if request.method == "PATCH":
            return Answer(202, body=b"{}")
        said = answers.get(request.path)
        if said is None:
            return Answer(404)
        return Answer(body=said if isinstance(said, bytes) else json.dumps(said).encode())

    with running_server(answer) as running:
        yield running


@pytest.fixture
def cluster(server: ScriptedServer) -> FlinkCluster:
    return FlinkCluster(server.url.removeprefix("http://"))


def configured(answers: dict[str, Any], **settings: str) -> None:
    answers["/jobmanager/config"] = [{"key": key, "value": value} for key, value in settings.items()]


def test_safe_cluster_tells_its_version(cluster: FlinkCluster) -> None:
    assert cluster.check(4) == "1.19.3"


def test_too_few_slots_are_refused(cluster: FlinkCluster) -> None:
    with pytest.raises(ConfigError, match=r"has 4 slots, but --parallelism \(perf.workers\) is 5"):
        cluster.check(5)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="unset"),
        pytest.param({"restart-strategy.type": "none"}, id="none"),
        pytest.param({"restart-strategy.type": "disable"}, id="disabled"),
    ],
)
def test_cluster_that_restarts_nothing_is_refused(
    settings: dict[str, str], cluster: FlinkCluster, answers: dict[str, Any]
) -> None:
    configured(answers, **settings)
    with pytest.raises(ConfigError, match=r"restart-strategy\.type"):
        cluster.check(1)


FEW = "fixed-delay.attempts is 1: a job fails"
TOGETHER = "all work may lie on one of its 2 TaskManagers"


@pytest.mark.parametrize(
    ("settings", "advice"),
    [
        pytest.param({}, [FEW, TOGETHER], id="Flink's defaults"),
        pytest.param({"restart-strategy.fixed-delay.attempts": "10"}, [TOGETHER], id="attempts"),
        pytest.param({"taskmanager.load-balance.mode": "SLOTS"}, [FEW], id="spread"),
        pytest.param({"cluster.evenly-spread-out-slots": "true"}, [FEW], id="spread as before"),
        pytest.param({"restart-strategy.type": "exponential-delay"}, [TOGETHER], id="no attempts to count"),
    ],
)
def test_settings_that_serve_less_are_told(
    settings: dict[str, str], advice: list[str], cluster: FlinkCluster, answers: dict[str, Any],
    caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    answers["/overview"]["taskmanagers"] = 2
    configured(answers, **{"restart-strategy.type": "fixed-delay", **settings})
    cluster.check(4)
    told = [record.message for record in caplog.records]
    assert [any(one in message for message in told) for one in advice] == [True] * len(advice)
    assert len(told) == len(advice)


@pytest.mark.parametrize(("interval", "is_fine"), [("0 ms", True), ("-1", True), ("10 s", False)])
def test_checkpoints_of_all_jobs_are_refused(
    interval: str, is_fine: bool, cluster: FlinkCluster, answers: dict[str, Any]
) -> None:
    configured(answers, **{"restart-strategy.type": "exponential-delay", "execution.checkpointing.interval": interval})
    if is_fine:
        cluster.check(1)
        return
    with pytest.raises(ConfigError, match=r"execution\.checkpointing\.interval 10 s"):
        cluster.check(1)


@pytest.mark.parametrize(
    ("path", "answer", "message"),
    [
        ("/overview", None, "answers with status 404"),
        ("/overview", b"<html>", "the answer is not JSON"),
        ("/overview", {"status": "ok"}, "names no slots-total"),
        ("/overview", ["ok"], "names no slots-total"),
        ("/jobmanager/config", {"a": "b"}, "is not the list that Flink gives"),
        ("/overview", b" " * ((4 << 20) + 1), "answers with status 200, 4194305 bytes"),
    ],
)
def test_answers_that_are_not_flinks_are_errors(
    path: str, answer: Any, message: str, cluster: FlinkCluster, answers: dict[str, Any]
) -> None:
    answers[path] = answer
    with pytest.raises(RunnerError, match=message):
        cluster.check(1)


def test_absent_cluster_is_an_error() -> None:
    with pytest.raises(RunnerError, match=r"Flink at 127.0.0.1:1 does not answer"):
        FlinkCluster("127.0.0.1:1").check(1)


def test_newest_job_of_a_name_is_found(cluster: FlinkCluster, answers: dict[str, Any]) -> None:
    assert cluster.job_state("mine") is None
    answers["/jobs/overview"]["jobs"] = [
        {"jid": "a", "name": "mine", "state": "FAILED", "start-time": 1},
        {"jid": "c", "name": "other", "state": "RUNNING", "start-time": 3},
        {"jid": "b", "name": "mine", "state": "RUNNING", "start-time": 2},
    ]
    assert cluster.job_state("mine") == ("b", "RUNNING")


def test_cancel_names_the_job(cluster: FlinkCluster, server: ScriptedServer) -> None:
    cluster.cancel("abc")
    assert [(one.method, one.path) for one in server.requests] == [("PATCH", "/jobs/abc?mode=cancel")]
