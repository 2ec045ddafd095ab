"""One archive in the background: it is waited for briefly, left alone after failures, and asked about the newest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest

from bronze.archives.comparison import Agreement, ArchiveComparison
from bronze.archives.opening import open_witness
from bronze.archives.witness import MAX_LOST_SECONDS, Question, Witness
from bronze.errors import ArchiveError, ArchiveNetworkError

WAIT = 20.0


class Asked:
    """Answers as a test says; a question is answered once the test allows it."""

    url = "http://a"

    def __init__(self, answer: Callable[[list[int]], Agreement]) -> None:
        self._answer = answer
        self.begun, self.allowed = threading.Event(), threading.Event()
        self.ledgers: list[list[int]] = []

    def compare_highest(self, ledgers: Any, hash_of: Callable[[int], str]) -> Agreement:
        self.ledgers.append(list(ledgers))
        self.begun.set()
        assert self.allowed.wait(WAIT)
        return self._answer(list(ledgers))


def witness(asked: Asked, clock: Callable[[], float] | None = None) -> Witness:
    made = cast("ArchiveComparison", asked)
    return Witness(made, clock) if clock else Witness(made)


def question(*ledgers: int) -> Question:
    return Question(ledgers, str)


def agree(ledgers: list[int]) -> Agreement:
    return Agreement(ledgers[-1], "ab" * 32, ledgers[-1])


def test_answer_in_time_is_given() -> None:
    asked, one = Asked(agree), question(5)
    asked.allowed.set()
    made = witness(asked)
    made.begin(one)
    answer = made.wait(one, WAIT)
    assert answer is not None
    assert answer.agreement == agree([5])
    assert made.take() == []


def test_newer_question_replaces_the_waiting_one() -> None:
    asked, first, second, third = Asked(agree), question(1), question(2), question(3)
    made = witness(asked)
    made.begin(first)
    assert asked.begun.wait(WAIT)
    made.begin(second)
    made.begin(third)
    assert made.wait(second, WAIT) is None  # at once: nobody will ask it
    asked.allowed.set()
    answer = made.wait(third, WAIT)
    assert answer is not None
    assert asked.ledgers == [[1], [3]]
    assert [late.question for late in made.take()] == [first]


def test_waits_in_vain_are_bounded_in_all(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def clock() -> float:
        now[0] += 0.75  # whatever is waited for, time goes by
        return now[0]

    asked = Asked(agree)
    made = witness(asked, clock)
    for ledger in range(20):
        one = question(ledger)
        made.begin(one)
        assert made.wait(one, 0.01) is None
    assert now[0] > MAX_LOST_SECONDS
    one = question(99)
    made.begin(one)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Condition, "wait", None)  # whoever waits now fails
        assert made.wait(one, 1000.0) is None
    asked.allowed.set()


@pytest.mark.parametrize(
    ("error", "is_asked_again"),
    [(ArchiveError("it is down"), True), (ArchiveNetworkError("of another network"), False)],
)
def test_archive_that_failed_is_left_alone(error: ArchiveError, is_asked_again: bool) -> None:
    now = [100.0]

    def fail(ledgers: list[int]) -> Agreement:
        raise error

    asked = Asked(fail)
    asked.allowed.set()
    made = witness(asked, lambda: now[0])
    for _ in range(3):
        one = question(7)
        made.begin(one)
        answer = made.wait(one, WAIT)
        assert answer is not None
        assert answer.error is error
    assert len(asked.ledgers) == 1
    now[0] += 31.0
    one = question(8)
    made.begin(one)
    assert made.wait(one, WAIT) is not None
    assert len(asked.ledgers) == (2 if is_asked_again else 1)


def test_unexpected_error_is_an_answer_too() -> None:
    def fail(ledgers: list[int]) -> Agreement:
        raise KeyError(ledgers[0])

    asked, one = Asked(fail), question(7)
    asked.allowed.set()
    made = witness(asked)
    made.begin(one)
    answer = made.wait(one, WAIT)
    assert answer is not None
    assert str(answer.error) == "asking http://a failed: KeyError: 7"


def test_threads_of_a_run_share_a_witness(tmp_path: Path) -> None:
    url = f"file://{tmp_path}"
    one = open_witness(url, "a/b/c", None, "run-1")
    assert open_witness(url, "a/b/c", None, "run-1") is one
    others = [open_witness(url, "a/b/d", None, "run-1"), open_witness(url, "a/b/c", None, "run-2")]
    assert one not in others
