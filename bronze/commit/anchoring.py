"""How far the committed partitions of a chain are confirmed by history archives, by what is recorded of these.

A partition's links prove its ledgers up to its last one, and the links between partitions all those before: so one
ledger that an archive confirms stands for everything before it that is published without a gap (a *stretch*).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from bronze.archives.state_file import ArchiveState
from bronze.partitioning.partition import Partition


class Standing(enum.StrEnum):
    """What is known of one archive at the end of a run."""

    CONFIRMS = "confirms"
    """It confirms every committed ledger."""
    LAGS = "lags"
    """It has not come to the ledgers that it does not confirm yet."""
    CONTRADICTS = "contradicts"
    """It has another hash, or is an archive of another network."""
    FAILS = "fails"
    """It could not be asked, or what it answered is damaged."""
    UNASKED = "unasked"
    """It was not asked, or has not answered yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Witnessed:
    """What one archive says of a chain.

    Attributes:
        url: of the archive.
        through: every committed ledger up to this one is confirmed by it; None: none is.
        reaches: the newest ledger that it had when it answered last; None when it never has.
        asked_at: when that was, RFC 3339; empty when it never has.
        error: why it could not be asked, or what it contradicts; empty when nothing is wrong.
    """

    url: str
    standing: Standing
    through: int | None = None
    reaches: int | None = None
    asked_at: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchoring:
    """How far archives confirm a chain.

    Attributes:
        archives: what each of them says, in the order of the settings.
        needed: how many of them have to agree, at least 1.
    """

    archives: tuple[Witnessed, ...]
    needed: int

    @property
    def through(self) -> int | None:
        """Every committed ledger up to this one is confirmed by `needed` archives; None: none is."""
        return agreed_through((one.through for one in self.archives), self.needed)[0]

    @property
    def agreeing(self) -> int:
        """Number of archives that confirm all up to `through`; 0 when that is None."""
        return agreed_through((one.through for one in self.archives), self.needed)[1]

    def of(self, *standings: Standing) -> list[Witnessed]:
        """The archives of these standings."""
        return [one for one in self.archives if one.standing in standings]

    @property
    def lacks_answers(self) -> bool:
        """Whether fewer than `needed` archives confirm the chain as far as they reach."""
        return len(self.of(Standing.CONFIRMS, Standing.LAGS)) < self.needed


def find_stretches(partitions: Iterable[Partition]) -> list[list[int]]:
    """The last ledgers of partitions that follow each other without a gap, ascending; a list for each such run.

    >>> find_stretches([Partition(2, 9), Partition(10, 19), Partition(30, 39)])
    [[9, 19], [39]]
    """
    stretches: list[list[int]] = []
    for partition in sorted(partitions):
        if stretches and partition.start <= stretches[-1][-1] + 1:
            stretches[-1].append(partition.end)
        else:
            stretches.append([partition.end])
    return stretches


def confirmed_in(state: ArchiveState, stretch: Sequence[int]) -> int | None:
    """The highest ledger of `stretch` that the archive confirmed; None: none."""
    known = {ledger for ledger, _ in state.confirmed}
    return max(known.intersection(stretch), default=None)


def believed(
    state: ArchiveState, stretches: Sequence[Sequence[int]], hash_of: Callable[[int], str | None]
) -> ArchiveState:
    """The state without confirmations that are superseded, or are not of a partition as it is published.

    Args:
        hash_of: the hash in hex of the last ledger of a partition, as published; None where there is none.
    """
    kept = []
    for stretch in stretches:
        of_stretch = set(stretch)
        for ledger, ledger_hash in sorted(state.confirmed, reverse=True):
            if ledger in of_stretch and hash_of(ledger) == ledger_hash:
                kept.append((ledger, ledger_hash))
                break
    return replace(state, confirmed=tuple(sorted(kept)))


def anchored_through(state: ArchiveState, stretches: Sequence[Sequence[int]]) -> int | None:
    """Every published ledger up to this one is confirmed by the archive; None: none is."""
    through = None
    for stretch in stretches:
        found = confirmed_in(state, stretch)
        through = through if found is None else found
        if found != stretch[-1]:
            break
    return through


def agreed_through(through: Iterable[int | None], needed: int) -> tuple[int | None, int]:
    """The ledger that `needed` archives have come to, and how many have.

    >>> agreed_through([100, 80, None], 2), agreed_through([100, 80, None], 1), agreed_through([None], 1)
    ((80, 2), (100, 1), (None, 0))

    Args:
        through: of each archive.
        needed: at least 1.
    """
    known = sorted((one for one in through if one is not None), reverse=True)
    if len(known) < needed:
        return None, 0
    ledger = known[needed - 1]
    return ledger, sum(one >= ledger for one in known)
