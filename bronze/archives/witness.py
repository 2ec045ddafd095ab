"""One archive as a run asks it: in the background, so that an archive that is slow or down delays no copy.

Each question is asked in a thread of its own, one at a time. A question that comes while another one is being asked
replaces the one that waits: ledgers are linked, so that an answer about a later ledger holds for those before.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bronze.archives.comparison import Agreement, ArchiveComparison
from bronze.errors import ArchiveError, ArchiveNetworkError, BronzeError
from bronze.log_fields import error_fields

_LOG = logging.getLogger(__name__)

#: Seconds that waits for answers that did not come in time may take in all, for each archive and process.
MAX_LOST_SECONDS = 6.0
#: An archive that failed is left alone for so many times as long as the failure took, and so many seconds at least.
_PAUSE_FACTOR, _MIN_PAUSE_SECONDS = 10.0, 30.0
#: Answers that nobody has taken yet.
_MAX_KEPT = 16


@dataclass(frozen=True, slots=True, eq=False)
class Question:
    """Whether an archive has the same hashes.

    Attributes:
        ledgers: linked ones, ascending; the archive is asked about the highest that it has.
        hash_of: the hash in hex of one of them; called in another thread.
    """

    ledgers: Sequence[int]
    hash_of: Callable[[int], str]


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question: an agreement or an error.

    Attributes:
        error: `ArchiveContradictionError`, `ArchiveNetworkError`, another `ArchiveError`, or what `hash_of` raised.
    """

    question: Question
    agreement: Agreement | None = None
    error: BronzeError | OSError | None = None


class Witness:
    """Asks one archive about one chain. For any threads."""

    def __init__(self, comparison: ArchiveComparison, clock: Callable[[], float] = time.monotonic) -> None:
        self._comparison = comparison
        self._clock = clock
        self._changed = threading.Condition()
        self._running: Question | None = None
        self._waiting: Question | None = None
        self._answers: deque[Answer] = deque(maxlen=_MAX_KEPT)
        self._lost = 0.0
        self._left_alone_until = float("-inf")
        self._failure: ArchiveError | None = None

    @property
    def url(self) -> str:
        """The archive's URL."""
        return self._comparison.url

    def begin(self, question: Question) -> None:
        """Ask in the background; an archive that failed a short while ago is not asked, that failure is the answer."""
        with self._changed:
            if self._failure is not None and self._clock() < self._left_alone_until:
                self._answers.append(Answer(question, error=self._failure))
            elif self._running is not None:
                self._waiting = question
            else:
                self._running = question
                threading.Thread(target=self._ask, args=(question,), name="archive", daemon=True).start()

    def wait(self, question: Question, seconds: float) -> Answer | None:
        """The answer to `question`, waiting for it up to `seconds`; None: it is not known in time.

        Waits that were in vain add up: once they took `MAX_LOST_SECONDS`, the archive is not waited for any more.
        """
        started = self._clock()
        until = started + min(seconds, max(0.0, MAX_LOST_SECONDS - self._lost))
        with self._changed:
            while True:
                answer = next((one for one in self._answers if one.question is question), None)
                if answer is not None:
                    self._answers.remove(answer)
                    return answer
                left = until - self._clock()
                if left <= 0 or (self._running is not question and self._waiting is not question):
                    self._lost += self._clock() - started
                    return None
                self._changed.wait(left)

    def take(self) -> list[Answer]:
        """The answers that nobody waited for, oldest first; each once."""
        with self._changed:
            found = list(self._answers)
            self._answers.clear()
            return found

    def _ask(self, question: Question) -> None:
        current: Question | None = question
        while current is not None:
            answer, seconds = self._answer(current)
            with self._changed:
                self._answers.append(answer)
                self._failure = answer.error if isinstance(answer.error, ArchiveError) else None
                if self._failure is not None:
                    pause = max(_MIN_PAUSE_SECONDS, _PAUSE_FACTOR * seconds)
                    is_final = isinstance(self._failure, ArchiveNetworkError)
                    self._left_alone_until = float("inf") if is_final else self._clock() + pause
                    self._waiting = None
                current = self._running = self._waiting
                self._waiting = None
                self._changed.notify_all()

    def _answer(self, question: Question) -> tuple[Answer, float]:
        started = self._clock()
        try:
            answer = Answer(question, self._comparison.compare_highest(question.ledgers, question.hash_of))
        except (BronzeError, OSError) as error:
            answer = Answer(question, error=error)
        except Exception as error:  # a thread that ends without an answer would leave its question open
            _LOG.exception("asking %s failed", self.url, extra=error_fields(error))
            answer = Answer(question, error=ArchiveError(f"asking {self.url} failed: {type(error).__name__}: {error}"))
        return answer, self._clock() - started
