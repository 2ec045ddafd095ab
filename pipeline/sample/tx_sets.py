"""Transaction sets: legacy sets, and generalized sets with their phases."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from pipeline.sample.shapes import BASE_FEE
from pipeline.sample.template import array, i64, u32
from pipeline.sample.transactions import SampleTransaction

#: Most transactions in a cluster, and most clusters in a stage, of a parallel phase.
_MAX_CLUSTER, _MAX_STAGE = 3, 4


def _sorted(transactions: Sequence[SampleTransaction]) -> list[SampleTransaction]:
    return sorted(transactions, key=lambda transaction: transaction.envelope_hash)


def _envelopes(transactions: Sequence[SampleTransaction]) -> bytes:
    return array(transaction.envelope for transaction in transactions)


def legacy_set(previous_hash: bytes, transactions: Sequence[SampleTransaction]) -> tuple[bytes, bytes]:
    """The TransactionSet of close metas V0; returns its XDR and its hash."""
    envelopes = [transaction.envelope for transaction in _sorted(transactions)]
    return previous_hash + array(envelopes), hashlib.sha256(previous_hash + b"".join(envelopes)).digest()


def generalized_set(
    previous_hash: bytes, transactions: Sequence[SampleTransaction], *, parallel: bool
) -> tuple[bytes, bytes]:
    """The GeneralizedTransactionSet of close metas V1 and V2; returns its XDR and its hash.

    Args:
        previous_hash: hash of the previous ledger.
        transactions: in any order; the first phase contains the classic ones, the second the Soroban ones.
        parallel: whether the second phase is parallel, as since protocol 23.
    """
    ordered = _sorted(transactions)
    classic = [transaction for transaction in ordered if not transaction.shape.soroban]
    soroban = [transaction for transaction in ordered if transaction.shape.soroban]
    second = _parallel_phase(soroban) if parallel else _sequential_phase(soroban)
    encoded = u32(1) + previous_hash + array([_sequential_phase(classic), second])
    return encoded, hashlib.sha256(encoded).digest()


def _sequential_phase(transactions: Sequence[SampleTransaction]) -> bytes:
    # A component without a base fee contains those that pay their bid: here, the fee bumps.
    bidding = [transaction for transaction in transactions if transaction.shape.fee_bump]
    discounted = [transaction for transaction in transactions if not transaction.shape.fee_bump]
    components = []
    if bidding:
        components.append(u32(0) + u32(0) + _envelopes(bidding))
    if discounted:
        components.append(u32(0) + u32(1) + i64(BASE_FEE) + _envelopes(discounted))
    return u32(0) + array(components)


def _parallel_phase(transactions: Sequence[SampleTransaction]) -> bytes:
    clusters = [_envelopes(transactions[at : at + _MAX_CLUSTER]) for at in range(0, len(transactions), _MAX_CLUSTER)]
    stages = [array(clusters[at : at + _MAX_STAGE]) for at in range(0, len(clusters), _MAX_STAGE)]
    base_fee = u32(1) + i64(BASE_FEE) if transactions else u32(0)
    return u32(1) + base_fee + array(stages)
