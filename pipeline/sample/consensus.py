"""The parts of a ledger that come from consensus: the signed value, and the SCP messages."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from stellar_sdk import Keypair, xdr

from pipeline.sample.template import i64, u32

_VALUES = xdr.StellarValueType


def _node(keypair: Keypair) -> xdr.NodeID:
    return xdr.NodeID(keypair.xdr_public_key())


def _value_signature(
    network_id: bytes, validator: Keypair, tx_set_hash: bytes, close_time: int
) -> xdr.LedgerCloseValueSignature:
    payload = network_id + u32(xdr.EnvelopeType.ENVELOPE_TYPE_SCPVALUE) + tx_set_hash + i64(close_time)
    return xdr.LedgerCloseValueSignature(_node(validator), xdr.Signature(validator.sign(payload)))


def stellar_value(
    tx_set_hash: bytes, close_time: int, upgrades: Sequence[xdr.LedgerUpgrade], ext: xdr.StellarValueExt
) -> xdr.StellarValue:
    """The StellarValue of a ledger; `close_time` in seconds since the epoch."""
    encoded = [xdr.UpgradeType(upgrade.to_xdr_bytes()) for upgrade in upgrades]
    return xdr.StellarValue(xdr.Hash(tx_set_hash), xdr.TimePoint(xdr.Uint64(close_time)), encoded, ext)


def basic() -> xdr.StellarValueExt:
    """The extension of the value in the first protocols: none."""
    return xdr.StellarValueExt(_VALUES.STELLAR_VALUE_BASIC)


def signed(network_id: bytes, validator: Keypair, tx_set_hash: bytes, close_time: int) -> xdr.StellarValueExt:
    """The extension of the value with the signature of the validator that proposed it."""
    signature = _value_signature(network_id, validator, tx_set_hash, close_time)
    return xdr.StellarValueExt(_VALUES.STELLAR_VALUE_SIGNED, lc_value_signature=signature)


def empty_tx_set(
    network_id: bytes, validator: Keypair, proposed_hash: bytes, close_time: int, previous: tuple[bytes, int]
) -> xdr.StellarValueExt:
    """The extension of the value when an empty set replaces a set that no node could provide (CAP-83).

    Args:
        network_id: SHA-256 of the passphrase.
        validator: the proposer of the set.
        proposed_hash: hash of that set; the hash in the value is zero.
        close_time: when the ledger closes, in seconds since the epoch.
        previous: hash and protocol of the previous ledger.
    """
    proposed = xdr.StellarValueProposedValue(
        xdr.Hash(proposed_hash),
        xdr.Hash(previous[0]),
        xdr.Uint32(previous[1]),
        _value_signature(network_id, validator, proposed_hash, close_time),
    )
    return xdr.StellarValueExt(_VALUES.STELLAR_VALUE_EMPTY_TX_SET, proposed_value=proposed)


def scp_history(
    network_id: bytes, validators: Sequence[Keypair], ledger: int, value: xdr.StellarValue
) -> xdr.SCPHistoryEntry:
    """The messages with which `validators` externalized `value` for `ledger`."""
    quorum = xdr.SCPQuorumSet(xdr.Uint32(len(validators) - 1), [_node(validator) for validator in validators], [])
    quorum_hash = xdr.Hash(hashlib.sha256(quorum.to_xdr_bytes()).digest())
    ballot = xdr.SCPBallot(xdr.Uint32(1), xdr.Value(value.to_xdr_bytes()))
    externalize = xdr.SCPStatementExternalize(ballot, xdr.Uint32(1), quorum_hash)
    pledges = xdr.SCPStatementPledges(xdr.SCPStatementType.SCP_ST_EXTERNALIZE, externalize=externalize)
    messages = []
    for validator in validators:
        statement = xdr.SCPStatement(_node(validator), xdr.Uint64(ledger), pledges)
        payload = network_id + u32(xdr.EnvelopeType.ENVELOPE_TYPE_SCP) + statement.to_xdr_bytes()
        messages.append(xdr.SCPEnvelope(statement, xdr.Signature(validator.sign(payload))))
    history = xdr.SCPHistoryEntryV0([quorum], xdr.LedgerSCPMessages(xdr.Uint32(ledger), messages))
    return xdr.SCPHistoryEntry(0, v0=history)
