"""How far a chain is attested: the same whether its partitions were committed one by one or are read again."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bronze.authenticity.findings import PartitionAuthenticity, node_name
from bronze.authenticity.policy import CheckMode
from bronze.authenticity.quorum import Attestation, AttestationPolicy, QuorumSet
from bronze.commit.attestation import ChainAttestation
from bronze.dataset.dataset import Dataset
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import AuthenticityError, StateError
from bronze.outcomes import PartitionSummary
from bronze.storage.local import LocalStore
from bronze.storage.store import Store
from tests.bronze.conftest import ERA, Workspace, lay, summary

NETWORK = "ab" * 32
A, B, C, D = (node_name(bytes([number]) * 32) for number in range(4))
#: Two of A, B and C; D is listed nowhere.
QUORUM = QuorumSet(threshold=2, inner=tuple(QuorumSet(threshold=1, nodes=(key,), name=key) for key in (A, B, C)))
POLICY = AttestationPolicy(
    quorum=QUORUM, mode=CheckMode.REQUIRE, lag=10, network_id=NETWORK, validators="validators.cfg"
)
REPORT = dataclasses.replace(POLICY, mode=CheckMode.REPORT)


def signed(start: int, end: int, network: str = NETWORK, **signers: int) -> PartitionSummary:
    """A partition whose nodes signed these ledgers: ``signed(2, 11, A=9)``."""
    named = {globals()[name]: ledger for name, ledger in signers.items()}
    found = PartitionAuthenticity(network_id=network, signatures=5, signers=tuple(sorted(named.items())))
    return summary(start, end, authenticity=found)


class Chain:
    """Partitions in a dataset, and the attestation of their chain."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.dataset = Dataset(LocalStore(root / "data"), "bronze", PRIMARY_TABLE)
        self.events = LocalStore(root / "events")

    def attestation(self, policy: AttestationPolicy = REPORT, *, kept: bool = True) -> ChainAttestation:
        store: Store | None = self.events if kept else None
        return ChainAttestation(policy, ERA, self.dataset, store)

    def publish(self, *summaries: PartitionSummary) -> None:
        for one in summaries:
            lay(self.dataset, ERA, one)

    @property
    def file(self) -> Path:
        return self.root / "events" / f"attested_{ERA.file_prefix}.json"


@pytest.fixture
def chain(tmp_path: Path) -> Chain:
    return Chain(tmp_path)


def through(found: Attestation) -> tuple[int | None, int, int]:
    return found.through, found.organizations, found.out_of


def test_signers_of_all_partitions_count_together(chain: Chain) -> None:
    attestation = chain.attestation()
    parts = signed(2, 11, A=9), signed(12, 21, B=15), signed(22, 31, D=30, A=23, B=25, C=29)
    chain.publish(*parts)
    seen = []
    for part in parts:
        attestation.add(part)
        seen.append(through(attestation.through(part.last)))
    assert seen == [(None, 0, 3), (8, 2, 3), (24, 2, 3)]
    assert through(chain.attestation().through(31)) == (24, 2, 3)
    assert through(chain.attestation(kept=False).through(31)) == (24, 2, 3)


signers_of = st.dictionaries(st.sampled_from(["A", "B", "C", "D"]), st.integers(0, 9), max_size=4)


@settings(max_examples=60)
@given(st.lists(st.one_of(st.none(), signers_of), min_size=1, max_size=6), st.data())
def test_rereading_gives_what_adding_gave(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[dict[str, int] | None], data: st.DataObject
) -> None:
    chain = Chain(tmp_path_factory.mktemp("chain"))
    parts = []
    for number, signers in enumerate(drawn):
        start = 2 + 10 * number
        if signers is None:  # its signatures were not checked
            parts.append(summary(start, start + 9))
        else:
            parts.append(signed(start, start + 9, **{name: start + at for name, at in signers.items()}))
    chain.publish(*parts)
    whole = chain.attestation()
    for part in parts:
        whole.add(part)
    recorded = chain.file.read_bytes()

    killed_at = data.draw(st.integers(0, len(parts) - 1))
    for content in (None, b"{", b'{"chain": 1}'):  # the file is gone, damaged, of something else
        chain.file.unlink()
        if content is not None:
            chain.file.write_bytes(content)
        for part in parts[killed_at:]:
            chain.attestation().add(part)
        assert chain.file.read_bytes() == recorded
    # A file that lags is brought up to date by the manifests behind it.
    lagging = chain.attestation()
    chain.file.unlink()
    for part in parts[: killed_at + 1]:
        lagging.add(part)
    assert chain.attestation().through(parts[-1].last) == whole.through(parts[-1].last)


def test_repeated_commit_changes_nothing(chain: Chain) -> None:
    parts = signed(2, 11, A=9, B=10), signed(12, 21, A=15, C=20)
    chain.publish(*parts)
    for part in parts:
        chain.attestation().add(part)
    recorded = chain.file.read_bytes()
    chain.attestation().add(parts[1])
    chain.attestation().add(parts[0])  # an older run that was slow
    assert chain.file.read_bytes() == recorded


def test_other_validators_read_the_manifests_again(chain: Chain) -> None:
    part = signed(2, 11, A=9, B=10)
    chain.publish(part)
    chain.attestation().add(part)
    other = dataclasses.replace(REPORT, quorum=QuorumSet(threshold=1, nodes=(D, A)))
    assert through(chain.attestation(other).through(11)) == (8, 1, 2)
    all_needed = dataclasses.replace(REPORT, quorum=dataclasses.replace(QUORUM, threshold=3))
    assert through(chain.attestation(all_needed).through(11)) == (None, 0, 3)
    one_is_enough = dataclasses.replace(REPORT, quorum=dataclasses.replace(QUORUM, threshold=1))
    assert through(chain.attestation(one_is_enough).through(11)) == (9, 1, 3)


def test_gap_ends_what_signers_attest(chain: Chain) -> None:
    before, behind = signed(2, 11, A=9, B=9), signed(22, 31, A=23)
    chain.publish(before, behind)
    attestation = chain.attestation()
    attestation.add(before)
    attestation.add(behind)
    assert attestation.through(31).through is None  # B signed before the gap only
    assert chain.attestation(kept=False).through(31).through is None


@pytest.mark.parametrize(
    ("parts", "refused"),
    [
        # as many ledgers as may lag behind
        ([signed(2, 11)], False),
        ([signed(2, 12)], True),
        ([signed(2, 11), signed(12, 21, A=20, B=21)], False),
        # one organization of three is not enough, and unlisted keys are none
        ([signed(2, 40, A=40, D=40)], True),
        ([signed(2, 40, A=40, C=30)], True),
        ([signed(2, 40, A=40, C=31)], False),
        # checked under another network, or not at all
        ([signed(2, 9, "cd" * 32, A=9, B=9)], True),
        ([summary(2, 9)], True),
        ([summary(2, 9, authenticity=PartitionAuthenticity(network_id=NETWORK))], True),
    ],
)
def test_required_attestation_refuses_what_lags(chain: Chain, parts: list[PartitionSummary], refused: bool) -> None:
    attestation = chain.attestation(POLICY)
    chain.publish(*parts)
    for part in parts[:-1]:
        attestation.check(part)
        attestation.add(part)
    chain.attestation(REPORT).check(parts[-1])
    if not refused:
        attestation.check(parts[-1])
        return
    message = (
        r"is not attested: the (validators of validators.cfg stand behind .*, expected ledger \d+ or a later one"
        r" \(authenticity.attestation_lag is 10\); \d nodes|signatures of its ledgers were not checked under the)"
    )
    with pytest.raises(AuthenticityError, match=message):
        attestation.check(parts[-1])


def test_chain_begun_without_attestation_goes_on(chain: Chain) -> None:
    old = [summary(start, start + 9) for start in range(2, 52, 10)]
    chain.publish(*old)
    attestation = chain.attestation(POLICY)
    new = signed(52, 61, A=58, B=59)
    chain.publish(new)
    attestation.check(new)
    attestation.add(new)
    assert attestation.through(61).through == 57
    with pytest.raises(AuthenticityError, match="stand behind ledger 57 and those before it, expected ledger 61"):
        attestation.check(signed(62, 71))


def test_manifest_with_foreign_ledger_is_damaged(chain: Chain) -> None:
    chain.publish(signed(2, 11, A=900, B=900))
    with pytest.raises(StateError, match=f"signers: {A} has ledger 900, which is not in the partition 2-11"):
        chain.attestation().through(11)


@pytest.mark.parametrize(
    "change",
    [
        {"attested_through": 10},
        {"signers": {}},
        {"signers": {A: 9, B: 99}},
        {"signers": {D: 9, B: 10}},
        {"last": "11"},
        {"first": 13},
        {"quorum": "ab"},
        {"chain": "other/e1/v1"},
    ],
)
def test_damaged_file_is_not_believed(chain: Chain, change: dict[str, Any]) -> None:
    part = signed(2, 11, A=9, B=10)
    chain.publish(part)
    chain.attestation().add(part)
    recorded = chain.file.read_bytes()
    chain.file.write_text(json.dumps({**json.loads(recorded), **change}))
    assert chain.attestation().through(11).through == 8
    chain.attestation().add(part)
    assert chain.file.read_bytes() == recorded


def test_sequencer_refuses_and_resumes(workspace: Workspace) -> None:
    policy = dataclasses.replace(POLICY, lag=1)
    job = workspace.but(chain={"attestation": policy})
    sequencer = job.connections.sequencer(workspace.era)
    parts = signed(2, 11, A=10, B=11), signed(12, 21, A=21)
    for part in parts:
        lay(workspace.dataset, workspace.era, part)
    with pytest.raises(AuthenticityError, match="2-11 is not attested"):
        sequencer.commit(parts[0])
    assert sequencer.position().next_ledger == 2
    assert workspace.log.load() == []

    reporting = workspace.but(chain={"attestation": dataclasses.replace(policy, mode=CheckMode.REPORT)})
    committed = [reporting.connections.sequencer(workspace.era).commit(part) for part in parts]
    assert [one.attested_through for one in committed] == [9, 10]
    assert reporting.connections.attestation(workspace.era).through(21).through == 10  # type: ignore[union-attr]
