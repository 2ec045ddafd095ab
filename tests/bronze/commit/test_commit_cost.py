"""What a commit costs does not depend on the chain's length, but for the pages of a listing; requests are counted."""

from __future__ import annotations

from collections import Counter

import pytest

from bronze.audit.event_log import EventLog
from bronze.authenticity.policy import CheckMode
from bronze.authenticity.quorum import AttestationPolicy, QuorumSet
from bronze.commit.attestation import ChainAttestation
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.recovery import restore
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.outcomes import PartitionSummary
from tests.bronze.conftest import ERA, PRODUCER, lay
from tests.support.counting_store import CountedStores, counted_stores, lay_chain, nth

SHORT, LONG = 10, 10_000
ATTESTED = AttestationPolicy(
    quorum=QuorumSet(threshold=1, nodes=("G" + "A" * 55,)), mode=CheckMode.REPORT, lag=10, network_id="", validators="v"
)


class Chain:
    """A chain of `length` partitions in counted stores."""

    def __init__(self, length: int, *, supports_locking: bool) -> None:
        self.length = length
        self.stores: CountedStores = counted_stores(supports_locking=supports_locking)
        self.dataset = Dataset(self.stores.dataset, "bronze", PRIMARY_TABLE)
        lay_chain(self.stores, self.dataset, ERA, "test", length)

    def publish(self, number: int) -> PartitionSummary:
        made = nth(ERA, number)
        lay(self.dataset, ERA, made)
        self.stores.taken()
        return made

    def log(self) -> EventLog:
        return EventLog(self.stores.events, ERA)

    def checkpoint(self) -> CheckpointFile:
        return CheckpointFile(self.stores.state, ERA, "test", single=True)

    def sequencer(self) -> Sequencer:
        """As the first of a wave: it knows nothing yet."""
        is_exclusive = self.stores.events.supports_locking
        log, checkpoint = self.log(), self.checkpoint()
        return Sequencer(ERA, self.dataset, PRODUCER, events=log, checkpoint=checkpoint, is_exclusive=is_exclusive)


@pytest.fixture(scope="module", params=[False, True], ids=["claims", "locks"])
def chains(request: pytest.FixtureRequest) -> tuple[Chain, Chain]:
    return tuple(Chain(length, supports_locking=request.param) for length in (SHORT, LONG))  # type: ignore[return-value]


def without_pages(requests: dict[str, Counter[str]]) -> dict[str, dict[str, int]]:
    return {store: {k: n for k, n in taken.items() if k != "further pages"} for store, taken in requests.items()}


def test_commits_cost_the_same_in_long_chains(chains: tuple[Chain, Chain]) -> None:
    first, second = [], []
    for chain in chains:
        sequencer = chain.sequencer()
        summaries = [chain.publish(chain.length), chain.publish(chain.length + 1)]
        assert sequencer.commit(summaries[0]).is_new
        first.append(chain.stores.taken())
        assert sequencer.commit(summaries[1]).is_new
        second.append(chain.stores.taken())
        chain.length += 2
    assert without_pages(first[0]) == without_pages(first[1])
    assert second[0] == second[1]
    listed = [sum(taken["listings"] for taken in requests.values()) for requests in (first[1], second[1])]
    assert listed == [2, 0]  # the published partitions and the event files, once for a sequencer


def test_resumption_costs_the_same_in_long_chains(chains: tuple[Chain, Chain]) -> None:
    requests = []
    for chain in chains:
        restore(ERA, chain.dataset, chain.log(), chain.checkpoint())
        requests.append(chain.stores.taken())
    assert requests[0] == requests[1]
    assert sum(sum(taken.values()) for taken in requests[1].values()) <= 7


def test_attested_commits_cost_the_same(chains: tuple[Chain, Chain]) -> None:
    """With the file of signers a commit reads and writes that; without it, the last manifest decides."""
    first, second = [], []
    for chain in chains:
        attestation = ChainAttestation(ATTESTED, ERA, chain.dataset, chain.stores.events)
        log, checkpoint = chain.log(), chain.checkpoint()
        sequencer = Sequencer(
            ERA, chain.dataset, PRODUCER, events=log, checkpoint=checkpoint, is_exclusive=True, attestation=attestation
        )
        summaries = [chain.publish(chain.length), chain.publish(chain.length + 1)]
        sequencer.commit(summaries[0])
        first.append(chain.stores.taken())
        sequencer.commit(summaries[1])
        second.append(chain.stores.taken())
        chain.length += 2
    assert without_pages(first[0]) == without_pages(first[1])
    assert second[0] == second[1]


@pytest.mark.parametrize("dies_before", ["set_head", "save"])
def test_interrupted_commit_costs_the_same(
    dies_before: str, chains: tuple[Chain, Chain], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a commit that ended behind its event, or between chain head and checkpoint, no other event is read."""
    place = EventLog if dies_before == "set_head" else CheckpointFile
    requests = []
    for chain in chains:
        summaries = [chain.publish(chain.length), chain.publish(chain.length + 1)]
        with monkeypatch.context() as patch:
            patch.setattr(place, dies_before, interrupted)
            with pytest.raises(KeyboardInterrupt):
                chain.sequencer().commit(summaries[0])
        chain.stores.taken()
        sequencer = chain.sequencer()
        assert not sequencer.commit(summaries[0]).is_new
        assert sequencer.commit(summaries[1]).is_new
        requests.append(chain.stores.taken())
        assert chain.log().load()[-1].partition == summaries[1].partition
        chain.stores.taken()
        chain.length += 2
    assert without_pages(requests[0]) == without_pages(requests[1])
    assert sum(sum(taken.values()) for taken in without_pages(requests[1]).values()) <= 50


def interrupted(*_: object, **__: object) -> None:
    raise KeyboardInterrupt
