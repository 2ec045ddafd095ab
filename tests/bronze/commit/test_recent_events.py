"""Which events are read after a recorded end of the chain, and when all of them have to be."""

from __future__ import annotations

import pytest

from bronze.audit.event_log import EventLog
from bronze.commit.chain_end import ChainEnd, end_of_events
from bronze.commit.recent_events import events_since
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.schema import PRIMARY_TABLE
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
    chain.store.delete(EventLog(chain.store, ERA).key(nth(ERA, 1).partition))
    assert chain.since() is None


def test_event_that_follows_another_asks_for_all(chain: Chain) -> None:
    """An event between was removed: what is left does not follow the recorded head."""
    chain.commit(3, 4)
    chain.store.delete(EventLog(chain.store, ERA).key(nth(ERA, 3).partition))
    assert chain.since() is None


def test_damaged_event_asks_for_all(chain: Chain) -> None:
    chain.commit(3)
    chain.store.replace(EventLog(chain.store, ERA).key(nth(ERA, 3).partition), b"{}")
    assert chain.since() is None
