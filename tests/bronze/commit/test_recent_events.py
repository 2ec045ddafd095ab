"""Which events are read after a recorded end of the chain, and when all of them have to be."""

from __future__ import annotations

import pytest

from bronze.audit.event_log import EventLog
from bronze.commit.chain_end import ChainEnd, end_of_events
from bronze.commit.checkpoint import Checkpoint
from bronze.commit.recent_events import check_names, events_since
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import StateError
from bronze.storage.memory import MemoryStore
from tests.bronze.conftest import ERA, PRODUCER, LayingSequencer
from tests.support.counting_store import CountingStore, nth


class Chain:
    """Three partitions are recorded, then others are committed."""

    def __init__(self) -> None:
        self.store = CountingStore("events")
        self.dataset = Dataset(MemoryStore("data"), "", PRIMARY_TABLE)
        self.commit(0, 1, 2)
        self.recorded = self.end()

    def sequencer(self) -> Sequencer:
        return LayingSequencer(ERA, self.dataset, PRODUCER, events=EventLog(self.store, ERA), checkpoint=None)

    def commit(self, *numbers: int) -> None:
        sequencer = self.sequencer()
        for number in numbers:
            sequencer.commit(nth(ERA, number))

    def end(self) -> ChainEnd:
        log = EventLog(self.store, ERA)
        end = end_of_events(log.load(), log.names())
        assert end is not None
        return end

    def since(self) -> tuple[list[int], ChainEnd | None] | None:
        self.store.requests.clear()
        found = events_since(EventLog(self.store, ERA), self.recorded, nth(ERA, 2).partition.end)
        return None if found is None else ([event.partition.start for event in found[0]], found[1])

    def lose(self, *numbers: int) -> None:
        for number in numbers:
            self.store.delete(EventLog(self.store, ERA).key(nth(ERA, number).partition))

    def check(self) -> ChainEnd | None:
        """Compare the names with what was recorded when three partitions were committed."""
        last = nth(ERA, 2).partition
        log = EventLog(self.store, ERA)
        names = log.names()
        self.store.requests.clear()
        return check_names(log, names, Checkpoint(last.end, last, chain=self.recorded))


@pytest.fixture
def chain() -> Chain:
    return Chain()


def test_events_since_are_read_alone(chain: Chain) -> None:
    chain.commit(3, 4)
    assert chain.since() == ([nth(ERA, 3).partition.start, nth(ERA, 4).partition.start], chain.end())
    chain.since()
    assert (chain.store.requests["listings"], chain.store.requests["read"]) == (1, 2)


def test_unchanged_chain_has_no_events_since(chain: Chain) -> None:
    assert chain.since() is None


def test_lost_event_before_asks_for_all(chain: Chain) -> None:
    chain.commit(3)
    chain.lose(1)
    assert chain.since() is None


def test_event_that_follows_another_asks_for_all(chain: Chain) -> None:
    """An event between was removed: what is left does not follow the recorded head."""
    chain.commit(3, 4)
    chain.lose(3)
    assert chain.since() is None


def test_damaged_event_asks_for_all(chain: Chain) -> None:
    chain.commit(3)
    chain.store.replace(EventLog(chain.store, ERA).key(nth(ERA, 3).partition), b"{}")
    assert chain.since() is None


@pytest.mark.parametrize("further", [(), (3, 4)], ids=["as recorded", "with later ones"])
def test_known_names_need_no_reading(chain: Chain, further: tuple[int, ...]) -> None:
    chain.commit(*further)
    assert chain.check() is None
    assert chain.store.requests == {}


@pytest.mark.parametrize("further", [(), (3,)], ids=["as recorded", "with a later one"])
def test_event_missing_between_is_an_error(chain: Chain, further: tuple[int, ...]) -> None:
    chain.commit(*further)
    chain.lose(1)
    with pytest.raises(StateError, match="is broken: 2-11 follows nothing, 22-31 follows sha256:"):
        chain.check()


@pytest.mark.parametrize("gone", [(0,), (0, 1), (0, 1, 2)])
def test_oldest_events_may_be_missing(chain: Chain, gone: tuple[int, ...]) -> None:
    """What is left is recorded, so that it is read once only."""
    chain.lose(*gone)
    found = chain.check()
    assert found is not None
    assert (found.head, found.events, found.ranges) == (chain.recorded.head, 3, chain.recorded.ranges)
    chain.recorded = found
    assert chain.check() is None
    assert chain.store.requests == {}


def test_missing_oldest_and_later_ones_record_nothing(chain: Chain) -> None:
    chain.commit(3)
    chain.lose(0)
    assert chain.check() is None


def test_names_without_record_are_not_compared(chain: Chain) -> None:
    chain.recorded = ChainEnd(chain.recorded.head, 3, "")
    chain.lose(1)
    assert chain.check() is None
