"""Waiting for stores: what is waited for, how long, how it is told, and that a request to stop ends it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from bronze import measurements as m
from bronze.errors import AccessDeniedError, OutageError, RunStoppedError, StoreError, UnreachableError
from bronze.job import outage
from bronze.job.outage import OutageWait
from bronze.waiting import stop_waits_when
from tests.bronze.conftest import Workspace

Answers = Callable[..., list[str]]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outage, "_SHORTEST_PAUSE_S", 0.001)


@pytest.fixture
def dataset_answers(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Answers:
    """Has the dataset's store answer as told, and then always; returns the requests to it."""

    def answer(*reasons: str, always: str = "") -> list[str]:
        left, asked = list(reasons), []
        dataset = workspace.job.target.location

        def reason(location: object) -> str:
            if location != dataset:
                return ""
            asked.append(left.pop(0) if left else always)
            return asked[-1]

        monkeypatch.setattr(outage, "unreachable_reason", reason)
        return asked

    return answer


@pytest.fixture
def told() -> Iterator[list[m.Measurement]]:
    found: list[m.Measurement] = []
    with m.observed_by(found.append):
        yield found


def failing(*errors: Exception) -> Callable[[], str]:
    left = list(errors)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return act


def wait(workspace: Workspace, limit_s: float = 60.0) -> OutageWait:
    return OutageWait(workspace.but(run={"outage_limit_s": limit_s}).job)


def test_unreachable_store_is_waited_for(
    workspace: Workspace, dataset_answers: Answers, told: list[m.Measurement], caplog: pytest.LogCaptureFixture
) -> None:
    asked = dataset_answers("refused", "refused", "refused")
    url = workspace.job.target.location.url
    assert wait(workspace).call("partition 2-11", failing(UnreachableError("no answer"))) == "done"
    assert len(asked) == 4
    assert [(one.name, one.fields["store"]) for one in told] == [
        (m.STORE_UNREACHABLE, url),
        (m.STORE_REACHABLE, url),
    ]
    said = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [line.split(" since ")[0] for line in said] == [
        f"{url} is unreachable",
        f"{url} answers again: the run goes on",
    ]


def test_second_outage_is_waited_for_too(workspace: Workspace, dataset_answers: Answers) -> None:
    asked = dataset_answers("refused", "", "refused", "")
    act = failing(UnreachableError("one"), UnreachableError("two"))
    assert wait(workspace).call("x", act) == "done"
    assert len(asked) == 4


def test_answering_store_leaves_the_error(workspace: Workspace, dataset_answers: Answers) -> None:
    """Only this object fails: that counts as an attempt."""
    dataset_answers()
    with pytest.raises(UnreachableError, match="503"):
        wait(workspace).call("x", failing(UnreachableError("503")))


@pytest.mark.parametrize("error", [AccessDeniedError("403"), StoreError("size differs"), ValueError("x")])
def test_other_errors_are_not_waited_for(error: Exception, workspace: Workspace, dataset_answers: Answers) -> None:
    asked = dataset_answers(always="refused")
    with pytest.raises(type(error)):
        wait(workspace).call("x", failing(error))
    assert asked == []


def test_wait_ends_at_the_limit(workspace: Workspace, dataset_answers: Answers) -> None:
    dataset_answers(always="connection refused")
    says = (
        r"is unreachable since \S+Z, for longer than perf.outage_limit_seconds \(0 s\): connection refused\. Run again"
    )
    with pytest.raises(OutageError, match=says):
        wait(workspace, 0.05).call("x", failing(UnreachableError("no answer")))


def test_limit_of_zero_waits_for_nothing(workspace: Workspace, dataset_answers: Answers) -> None:
    asked = dataset_answers(always="refused")
    with pytest.raises(UnreachableError):
        wait(workspace, 0).call("x", failing(UnreachableError("no answer")))
    assert asked == []


def test_request_to_stop_ends_wait(workspace: Workspace, dataset_answers: Answers) -> None:
    asked = dataset_answers(always="refused")
    with stop_waits_when(lambda: len(asked) > 2), pytest.raises(RunStoppedError, match="partition 2-11 was not"):
        wait(workspace).call("partition 2-11", failing(UnreachableError("no answer")))
