"""Check that a ledger matches the hashes in its header, and that ledgers follow one another.

======================= ==================================================================
hash                    SHA-256 of
======================= ==================================================================
ledger hash             XDR of the LedgerHeader
txSetHash, V1 and V2    XDR of the GeneralizedTransactionSet
txSetHash, V0           previousLedgerHash, then the XDR of each envelope, without a count
txSetResultHash         u32 count, then the TransactionResultPairs in txProcessing order
======================= ==================================================================

``bronze.ledger.close_meta`` computes them while it reads, this module compares. Of a STELLAR_VALUE_EMPTY_TX_SET
ledger (CAP-83) the txSetHash is zero and the transaction set empty. No hash covers transaction meta,
evictions and SCP messages: those are checked for form only.
"""

from __future__ import annotations

from bronze.errors import VerificationError
from bronze.ledger.close_meta import CloseMeta, VerifyLevel

_ZERO_HASH = bytes(32)


def check_hashes(meta: CloseMeta, verify: VerifyLevel) -> None:
    """Check the hashes of a ledger that was read with the same `verify`, or with ``VerifyLevel.FULL``.

    Raises:
        VerificationError: a hash differs from the stored one, or a set declared empty holds transactions.
        ValueError: the ledger was read with ``VerifyLevel.HEADER`` and is to be checked in full.
    """
    _check("ledger hash", meta, meta.ledger_hash, meta.computed_ledger_hash)
    if verify is VerifyLevel.HEADER:
        return
    if meta.computed_tx_set_hash is None or meta.computed_result_hash is None:
        raise ValueError(f"ledger {meta.sequence} was read with {VerifyLevel.HEADER!r}: it cannot be checked in full")
    if not meta.empty_tx_set:
        _check("transaction set hash", meta, meta.tx_set_hash, meta.computed_tx_set_hash)
    else:
        _check("transaction set hash of an empty set", meta, meta.tx_set_hash, _ZERO_HASH)
        if meta.tx_count:
            raise VerificationError(
                f"ledger {meta.sequence}: its header declares the transaction set empty, it holds {meta.tx_count}"
            )
    _check("result hash", meta, meta.result_hash, meta.computed_result_hash)


def check_link(previous_hash: bytes, meta: CloseMeta) -> None:
    """Check that `meta` follows the ledger whose hash is `previous_hash` (32 bytes).

    Raises:
        VerificationError: it follows another.
    """
    if meta.previous_ledger_hash != previous_hash:
        raise VerificationError(
            f"ledger {meta.sequence} does not follow ledger {meta.sequence - 1}: "
            f"its previous ledger hash is {meta.previous_ledger_hash.hex()}, that ledger's is {previous_hash.hex()}"
        )


def _check(name: str, meta: CloseMeta, stored: bytes, computed: bytes) -> None:
    if stored != computed:
        raise VerificationError(
            f"ledger {meta.sequence}: {name} does not hold: stored {stored.hex()}, computed {computed.hex()}"
        )
