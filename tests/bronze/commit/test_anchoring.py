"""How far archives confirm a chain: stretches, gaps, what is believed, and how many have to agree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.archives.state_file import ArchiveState
from bronze.commit.anchoring import Anchoring, Standing, Witnessed, agreed_through, anchored_through, believed
from bronze.commit.anchoring import find_stretches as stretches_of
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import hex_hash

#: Two stretches: 2-31, and 42-61 behind a gap.
PUBLISHED = [Partition(2, 11), Partition(12, 21), Partition(22, 31), Partition(42, 51), Partition(52, 61)]
STRETCHES = stretches_of(PUBLISHED)


def state(*ledgers: int) -> ArchiveState:
    return ArchiveState(confirmed=tuple((ledger, hex_hash(ledger)) for ledger in ledgers))


@pytest.mark.parametrize(
    ("confirmed", "through"),
    [
        ((), None),
        ((11,), 11),
        ((31,), 31),
        ((61,), None),  # nothing links what is behind a gap to what is before it
        ((21, 61), 21),
        ((31, 51), 51),
        ((31, 61), 61),
        ((25, 40, 99), None),  # no partition ends there
    ],
)
def test_later_ledgers_stand_for_their_stretch(confirmed: tuple[int, ...], through: int | None) -> None:
    assert STRETCHES == [[11, 21, 31], [51, 61]]
    assert anchored_through(state(*confirmed), STRETCHES) == through


def test_only_published_hashes_are_believed() -> None:
    kept = believed(state(11, 31, 61, 99), STRETCHES, lambda ledger: None if ledger == 61 else hex_hash(ledger))
    assert kept == state(31)  # 11 is superseded, 61 has no manifest, 99 ends no partition
    assert believed(state(31, 61), STRETCHES, lambda ledger: hex_hash("another")) == state()


@given(st.lists(st.none() | st.integers(0, 100), min_size=1, max_size=9), st.integers(1, 9))
def test_agreed_ledger_is_the_highest(through: list[int | None], needed: int) -> None:
    def count(ledger: int) -> int:
        return sum(one is not None and one >= ledger for one in through)

    found, agreeing = agreed_through(through, needed)
    expected = max((ledger for ledger in range(101) if count(ledger) >= needed), default=None)
    assert (found, agreeing) == (expected, 0 if expected is None else count(expected))


@pytest.mark.parametrize(
    ("standings", "lacks"),
    [
        ((Standing.CONFIRMS, Standing.CONFIRMS), False),
        ((Standing.CONFIRMS, Standing.LAGS), False),
        ((Standing.CONFIRMS, Standing.FAILS), True),
        ((Standing.LAGS, Standing.UNASKED), True),
        ((Standing.CONFIRMS, Standing.CONTRADICTS), True),
    ],
)
def test_archives_that_lag_lack_no_answer(standings: tuple[Standing, ...], lacks: bool) -> None:
    archives = tuple(Witnessed(url=f"http://{n}", standing=one) for n, one in enumerate(standings))
    assert Anchoring(archives=archives, needed=2).lacks_answers is lacks
