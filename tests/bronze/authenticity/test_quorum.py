"""Quorum sets: when nodes are enough, and which ledger they attest."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.authenticity.quorum import QuorumSet, attested_through
from bronze.authenticity.validators_file import parse_validators_file
from tests.support.real_validators import PUBNET, configuration

PUBNET_QUORUM = parse_validators_file(configuration(PUBNET).encode(), "pubnet.cfg").quorum


def signed_by(organizations: int, each: int, ledger: int) -> dict[str, int]:
    return {key: ledger for keys in list(PUBNET.values())[:organizations] for key in keys[:each]}


@pytest.mark.parametrize(
    ("organizations", "each", "enough"),
    [
        (5, 2, True),  # 5 of 7 organizations, 2 of 3 nodes each
        (4, 3, False),
        (7, 1, False),
        (7, 3, True),
    ],
)
def test_real_quorum_needs_five_organizations(organizations: int, each: int, enough: bool) -> None:
    signers = signed_by(organizations, each, 100)
    assert PUBNET_QUORUM.is_satisfied_by(signers) is enough
    assert attested_through(PUBNET_QUORUM, signers) == (99 if enough else None)


def test_slowest_needed_signature_decides() -> None:
    signers = {**signed_by(4, 2, 100), **dict.fromkeys(PUBNET["blockdaemon"][:2], 90)}
    assert attested_through(PUBNET_QUORUM, signers) == 89
    signers[PUBNET["sdf"][0]] = signers[PUBNET["sdf"][1]] = 95
    assert attested_through(PUBNET_QUORUM, signers) == 94
    assert attested_through(PUBNET_QUORUM, {**signers, "GX": 10_000}) == 94  # signed by an unlisted key


NODES = ("A", "B", "C", "D")
SETS = st.recursive(
    st.sets(st.sampled_from(NODES), min_size=1).flatmap(
        lambda nodes: st.integers(1, len(nodes)).map(lambda n: QuorumSet(threshold=n, nodes=tuple(sorted(nodes))))
    ),
    lambda inner: st.lists(inner, min_size=1, max_size=3).flatmap(
        lambda sets: st.integers(1, len(sets)).map(lambda n: QuorumSet(threshold=n, inner=tuple(sets)))
    ),
    max_leaves=4,
)


@given(SETS, st.dictionaries(st.sampled_from(NODES), st.integers(3, 20)))
def test_attested_ledger_is_the_highest_with_quorum(quorum: QuorumSet, signers: dict[str, int]) -> None:
    holds = [n for n in range(25) if quorum.is_satisfied_by([node for node, last in signers.items() if last > n])]
    assert attested_through(quorum, signers) == (max(holds) if holds else None)


def test_named_sets_are_organizations() -> None:
    assert [one.name for one in PUBNET_QUORUM.organizations()] == sorted(PUBNET)
    flat = QuorumSet(threshold=1, nodes=("A", "B"), inner=(QuorumSet(threshold=1, nodes=("C", "D"), name="cd"),))
    assert [one.name for one in flat.organizations()] == ["A", "B", "cd"]
