"""Compare each partition with the history archives before it is committed.

An archive that is slow is waited for a moment only, and one that is behind not at all: what it has not confirmed is
pending, and the end of the run asks again (`bronze.commit.archive_catch_up`). What an archive contradicts is not
committed, nor anything behind it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bronze.archives.witness import Answer, Question, Witness
from bronze.commit.anchoring import agreed_through
from bronze.commit.archive_record import ArchiveRecord
from bronze.errors import ArchiveContradictionError
from bronze.log_fields import error_fields
from bronze.measurements import LEDGER_ANCHORED, report
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset

#: Seconds that a commit waits for answers; an archive that needs longer is asked in the background only.
COMMIT_WAIT_SECONDS = 3.0
#: Seconds that a chain which an archive contradicted waits to hear whether it still does.
_CONTRADICTION_WAIT_SECONDS = 20.0

_LOG = logging.getLogger(__name__)


def ask(questions: Sequence[tuple[Witness, Question]], seconds: float) -> list[tuple[Witness, Answer]]:
    """Ask all of them at once; the answers that came within `seconds`."""
    for witness, question in questions:
        witness.begin(question)
    until = time.monotonic() + seconds
    waited = [(one, one.wait(question, max(0.0, until - time.monotonic()))) for one, question in questions]
    return [(witness, answer) for witness, answer in waited if answer is not None]


class ArchiveCheck:
    """The history archives as witnesses of the commits to one chain.

    Args:
        witnesses: of this chain; at least one.
        needed: how many have to agree, at least 1.
    """

    def __init__(
        self, era: Era, dataset: Dataset, witnesses: Sequence[Witness], record: ArchiveRecord, needed: int
    ) -> None:
        self._era = era
        self._dataset = dataset
        self._witnesses = witnesses
        self._record = record
        self._needed = needed
        self._is_loaded = False
        self._warned: set[str] = set()
        #: By archive, the highest ledger that it confirmed to this object: what is measured trusts no file.
        self._heard: dict[str, int] = {}

    def check(self, summary: PartitionSummary) -> None:
        """Compare a published partition that is to be committed, and record what the archives say.

        Raises:
            ArchiveContradictionError: an archive has another hash of its last ledger, or of one that was committed
                before.
        """
        if not self._is_loaded:
            self._record.load()
            self._check_contradicted()
            self._is_loaded = True  # not earlier: a commit that a store failed meanwhile is tried again
        answers = [(witness, late) for witness in self._witnesses for late in witness.take()]
        ours = (summary.last, summary.last_hash)
        asked = [witness for witness in self._witnesses if ours not in self._record.of(witness.url).confirmed]
        question = Question((summary.last,), lambda _: summary.last_hash)
        answers += ask([(witness, question) for witness in asked], COMMIT_WAIT_SECONDS)
        self._take(answers)
        self._record.save()
        self._heard |= {witness.url: ours[0] for witness in self._witnesses if witness not in asked}
        through, _ = agreed_through(self._heard.values(), self._needed)
        if through is not None:
            report(LEDGER_ANCHORED, through)

    def _take(self, answers: Sequence[tuple[Witness, Answer]]) -> None:
        contradiction: ArchiveContradictionError | None = None
        for witness, answer in answers:
            self._record.add(witness.url, answer)
            if answer.agreement is not None and answer.agreement.ledger is not None:
                self._heard[witness.url] = max(self._heard.get(witness.url, 0), answer.agreement.ledger)
            if isinstance(answer.error, ArchiveContradictionError):
                contradiction = answer.error
            elif answer.error is not None and witness.url not in self._warned:
                self._warned.add(witness.url)
                _LOG.warning(
                    "%s; the copy continues, what this archive has not confirmed is asked again later",
                    answer.error,
                    extra=error_fields(answer.error),
                )
        if contradiction is not None:
            self._record.save()
            raise contradiction

    def _check_contradicted(self) -> None:
        """Ask again what an archive contradicted in an earlier run: the chain goes on only where it no longer does."""
        for witness in self._witnesses:
            state = self._record.of(witness.url)
            if state.contradicts is None:
                continue
            ours = self._last_hash(state.contradicts)
            if ours is None:
                self._record.change(witness.url, state.without_contradiction())
                continue
            question = Question((state.contradicts,), lambda _, ours=ours: ours)  # type: ignore[misc]
            answers = ask([(witness, question)], _CONTRADICTION_WAIT_SECONDS)
            self._take(answers)
            if self._record.of(witness.url).contradicts is not None:
                reason = f" ({answers[0][1].error})" if answers else ""
                raise ArchiveContradictionError(
                    f"{state.error}. That was said at {state.error_at}, and the archive cannot be asked now{reason}",
                    state.contradicts,
                )

    def _last_hash(self, ledger: int) -> str | None:
        """The hash of `ledger` in hex, if a published partition ends with it."""
        for partition in self._dataset.list_partitions(self._era):
            if partition.end == ledger:
                links = self._dataset.find_links(self._era, partition)
                return links.last_hash if links else None
        return None
