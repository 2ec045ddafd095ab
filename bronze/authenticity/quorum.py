"""Quorum sets, and how far the nodes that signed ledgers attest them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from bronze.authenticity.policy import CheckMode


@dataclass(frozen=True, slots=True, kw_only=True)
class QuorumSet:
    """So many of these nodes and inner sets have to agree, as stellar-core's SCPQuorumSet.

    Attributes:
        threshold: how many of `nodes` and `inner` together, at least 1.
        nodes: public keys, ``G...``.
        name: the organization that the nodes belong to; empty when the set only groups others.
    """

    threshold: int
    nodes: tuple[str, ...] = ()
    inner: tuple[QuorumSet, ...] = ()
    name: str = ""

    def is_satisfied_by(self, nodes: Collection[str]) -> bool:
        """Whether these nodes are enough.

        >>> QuorumSet(threshold=2, nodes=("GA", "GB", "GC")).is_satisfied_by({"GA", "GC"})
        True
        """
        agreeing = sum(node in nodes for node in self.nodes) + sum(one.is_satisfied_by(nodes) for one in self.inner)
        return agreeing >= self.threshold

    def all_nodes(self) -> Iterator[str]:
        """Every node of the set and of its inner sets."""
        yield from self.nodes
        for one in self.inner:
            yield from one.all_nodes()

    def organizations(self) -> Iterator[QuorumSet]:
        """The named sets; a node that belongs to none counts as an organization of its own."""
        if self.name and self.nodes:
            yield self
        else:
            yield from (QuorumSet(threshold=1, nodes=(node,), name=node) for node in self.nodes)
        for one in self.inner:
            yield from one.organizations()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttestationPolicy:
    """Who has to stand behind the ledgers of a chain.

    Attributes:
        quorum: the validators whose signatures count.
        mode: with ``require`` a partition is not committed while its ledgers are not attested; never ``off``.
        lag: how many of a chain's last ledgers may not be attested yet, at least 1.
        network_id: SHA-256 of the passphrase in hex; empty when it is not known.
        validators: the file that names them, for messages.
    """

    quorum: QuorumSet
    mode: CheckMode
    lag: int
    network_id: str
    validators: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attestation:
    """How far a chain is attested.

    Attributes:
        through: the last attested ledger: by its signers and the links, all before it are too; None when none is.
        organizations: how many organizations stand behind that ledger.
        out_of: how many there are.
    """

    through: int | None
    organizations: int
    out_of: int


def attested_through(quorum: QuorumSet, signers: Mapping[str, int]) -> int | None:
    """The last ledger that these signatures attest, and by the links all before it; None when there is none.

    Who signed ledger m built on ledger m - 1, so it is the highest n such that the nodes that signed any ledger above
    n satisfy the quorum set.

    Args:
        signers: of each node the last ledger that it signed and that names the one before.

    >>> attested_through(QuorumSet(threshold=2, nodes=("GA", "GB", "GC")), {"GA": 70, "GC": 64, "GX": 80})
    63
    """
    listed = {node: signers[node] for node in quorum.all_nodes() if node in signers}
    for ledger in sorted(set(listed.values()), reverse=True):
        if quorum.is_satisfied_by({node for node, last in listed.items() if last >= ledger}):
            return ledger - 1
    return None
