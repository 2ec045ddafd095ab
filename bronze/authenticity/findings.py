"""What was proven of the ledgers of one partition: it stands in the partition's summary and manifest."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from typing import Any

_COUNTS = (
    "signatures", "failed_signatures", "transaction_proofs", "unproven", "events", "rewritten_events", "failed_events",
)  # fmt: skip
#: The first of them are about signatures.
_SIGNATURE_COUNTS = 4
_NETWORK_ID = re.compile(r"[0-9a-f]{64}")
_NODE = re.compile(r"G[A-Z2-7]{55}")
#: Most signers that are named of one partition: anybody can make keys, and a manifest must stay small.
MAX_SIGNERS = 1000
_ACCOUNT_VERSION = bytes([6 << 3])


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionAuthenticity:
    """What was checked of one partition. The same ledgers and policy give the same values in every run.

    Attributes:
        network_id: SHA-256 of the passphrase that signatures were checked under, in hex; empty when it is not known.
        signatures: ledgers whose signature holds.
        failed_signatures: ledgers whose signature or transaction proof does not hold (reported, not required).
        transaction_proofs: ledgers from before signatures whose network a transaction proves.
        unproven: ledgers that have no signature and no transaction, or whose network is not known.
        signers: of each node that signed a ledger which names the one before: ``G...`` and the last such ledger,
            in the order of nodes; of more than `MAX_SIGNERS` those that signed last. None where transaction sets were
            not verified.
        events: contract invocations whose events and return value hold.
        rewritten_events: invocations whose events a backfilled lake rewrote (CAP-67).
        failed_events: invocations whose events do not hold (reported, not required).
    """

    network_id: str
    signatures: int = 0
    failed_signatures: int = 0
    transaction_proofs: int = 0
    unproven: int = 0
    signers: tuple[tuple[str, int], ...] = ()
    events: int = 0
    rewritten_events: int = 0
    failed_events: int = 0

    @property
    def has_checked_signatures(self) -> bool:
        """Whether the signatures of its ledgers were checked under a network."""
        ledgers = self.signatures + self.failed_signatures + self.transaction_proofs + self.unproven
        return bool(self.network_id) and ledgers > 0

    def signature_findings(self) -> dict[str, Any]:
        """What was found of signatures alone, by name: the network, counts, signers."""
        counts = {name: getattr(self, name) for name in _COUNTS[:_SIGNATURE_COUNTS]}
        return {"network_id": self.network_id, **counts, "signers": dict(self.signers)}

    def counts(self) -> dict[str, int]:
        """The counts by name."""
        return {name: getattr(self, name) for name in _COUNTS}

    def as_json(self) -> dict[str, Any]:
        """The value of the manifest's key ``authenticity``."""
        return {
            "network_id": self.network_id,
            **self.counts(),
            "signers": dict(self.signers),
        }


def parse_authenticity(entry: dict[str, Any]) -> PartitionAuthenticity:
    """Make the findings of the manifest's key ``authenticity``.

    Raises:
        KeyError, TypeError, ValueError: a field is missing, or its value cannot be right.
    """
    network = entry["network_id"]
    if not isinstance(network, str) or (network and not _NETWORK_ID.fullmatch(network)):
        raise ValueError(f"network_id is {network!r}, expected 64 hex digits or nothing")
    signers = entry["signers"]
    if not isinstance(signers, dict):
        raise TypeError(f"signers is {signers!r}, expected nodes and ledgers")
    for node, ledger in signers.items():
        if not _NODE.fullmatch(node):
            raise ValueError(f"signers has the node {node!r}, expected G and 55 characters")
        _natural(f"signers: {node}", ledger)
    counts = {name: _natural(name, entry[name]) for name in _COUNTS}
    return PartitionAuthenticity(network_id=network, signers=tuple(sorted(signers.items())), **counts)


def node_name(key: bytes) -> str:
    """A node's public key (32 bytes) as people write it (SEP-23).

    >>> node_name(bytes(32))
    'GAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAWHF'
    """
    payload = _ACCOUNT_VERSION + key
    return base64.b32encode(payload + binascii.crc_hqx(payload, 0).to_bytes(2, "little")).decode()


def _natural(name: str, value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"{name} is {value!r}, expected a whole number")
    return value
