"""Ask the history archives about the committed partitions that they have not confirmed yet, and say how far they do.

One question a stretch of linked partitions is enough, about the newest ledger that an archive has.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from bronze.archives.checkpoint_files import checkpoint_of
from bronze.archives.witness import Answer, Question, Witness
from bronze.commit.anchoring import Anchoring, Standing, Witnessed, anchored_through, confirmed_in, find_stretches
from bronze.commit.archive_check import ask
from bronze.commit.archive_record import ArchiveRecord
from bronze.errors import ArchiveContradictionError, ArchiveError, ArchiveNetworkError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset

#: Seconds that the end of a run waits for all answers.
END_WAIT_SECONDS = 5.0
#: The stretches that are asked about in one run, the newest first.
_MAX_STRETCHES = 16


class ArchiveCatchUp:
    """What the archives confirm of one chain.

    Args:
        witnesses: of this chain, in the order of the settings.
        needed: how many have to agree, at least 1.
        partitions: those that are published and committed.
    """

    def __init__(
        self,
        era: Era,
        dataset: Dataset,
        witnesses: Sequence[Witness],
        record: ArchiveRecord,
        needed: int,
        partitions: Iterable[Partition],
    ) -> None:
        self._era = era
        self._dataset = dataset
        self._witnesses = witnesses
        self._record = record
        self._needed = needed
        self._ends = {partition.end: partition for partition in partitions}
        self._stretches = find_stretches(self._ends.values())
        self._hashes: dict[int, str | None] = {}
        self._failed: dict[str, BaseException] = {}

    def read(self) -> Anchoring:
        """How far the chain is confirmed, by what is recorded; asks nothing, writes nothing."""
        self._record.load()
        self._record.keep_believed(self._stretches, self._hash_of)
        return self._anchoring()

    def ask(self, seconds: float = END_WAIT_SECONDS) -> Anchoring:
        """Ask about what is not confirmed, record the answers, and say how far the chain is confirmed.

        Args:
            seconds: how long to wait for all answers; what comes later is lost, and asked again by the next run.
        """
        self._record.load()
        self._record.keep_believed(self._stretches, self._hash_of)
        for witness in self._witnesses:
            witness.take()  # the answers that no commit waited for: they are about some of what is asked now
        until = time.monotonic() + seconds
        for stretch in self._stretches[: -_MAX_STRETCHES - 1 : -1]:
            asked = [
                (witness, Question(ledgers, self._published_hash))
                for witness in self._witnesses
                if witness.url not in self._failed and (ledgers := self._open(witness, stretch))
            ]
            answers = dict(ask(asked, max(0.0, until - time.monotonic())))
            for witness, _ in asked:
                if (answer := answers.get(witness)) is None:
                    late = f"{witness.url} did not answer within {seconds:g} s; the next run asks again"
                    answer = Answer(Question((), self._published_hash), error=ArchiveError(late))
                self._record.add(witness.url, answer)
                if answer.error is not None:
                    self._failed[witness.url] = answer.error
        self._record.keep_believed(self._stretches, self._hash_of)
        self._record.save()
        return self._anchoring()

    def _anchoring(self) -> Anchoring:
        return Anchoring(archives=tuple(self._witnessed(one) for one in self._witnesses), needed=self._needed)

    def _open(self, witness: Witness, stretch: Sequence[int]) -> tuple[int, ...]:
        """The ledgers of `stretch` that the archive has not confirmed, and no later one of it."""
        found = confirmed_in(self._record.of(witness.url), stretch)
        return tuple(ledger for ledger in stretch if found is None or ledger > found)

    def _witnessed(self, witness: Witness) -> Witnessed:
        state = self._record.of(witness.url)
        error = str(self._failed.get(witness.url, state.error))
        return Witnessed(
            url=witness.url,
            standing=self._standing(witness),
            through=anchored_through(state, self._stretches),
            reaches=state.reaches,
            asked_at=state.asked_at,
            error=error,
        )

    def _standing(self, witness: Witness) -> Standing:
        state, failed = self._record.of(witness.url), self._failed.get(witness.url)
        if state.contradicts is not None or isinstance(failed, (ArchiveContradictionError, ArchiveNetworkError)):
            return Standing.CONTRADICTS
        if failed is not None or state.error:
            return Standing.FAILS
        left = [ledger for stretch in self._stretches for ledger in self._open(witness, stretch)[:1]]
        if not left:
            return Standing.CONFIRMS
        lags = state.reaches is not None and all(checkpoint_of(ledger) > state.reaches for ledger in left)
        return Standing.LAGS if lags else Standing.UNASKED

    def _published_hash(self, ledger: int) -> str:
        found = self._hash_of(ledger)
        if found is None:
            raise StateError(
                f"the partition {self._ends[ledger]} of {self._era.chain} has no manifest that can be used"
            )
        return found

    def _hash_of(self, ledger: int) -> str | None:
        """The hash in hex of the last ledger of a partition; None where its manifest cannot be used."""
        if ledger not in self._hashes:
            try:
                links = self._dataset.find_links(self._era, self._ends[ledger])
            except StateError:  # whoever reads partitions reports it
                links = None
            self._hashes[ledger] = links.last_hash if links else None
        return self._hashes[ledger]
