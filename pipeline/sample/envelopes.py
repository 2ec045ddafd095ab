"""Transaction envelopes of a shape: hashed as the network hashes them, and really signed."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from stellar_sdk import Keypair, xdr

from pipeline.sample import entries
from pipeline.sample.shapes import BASE_FEE, RESOURCE_FEE, Shape, operations_of
from pipeline.sample.template import Template, key, number

_TYPES = xdr.EnvelopeType


@dataclass(frozen=True, slots=True)
class _Templates:
    """Of an envelope, and of what its signature, and that of a fee bump's inner transaction, are over."""

    envelope: Template
    payload: Template
    inner_payload: Template | None


def _memo(shape: Shape) -> xdr.Memo:
    if len(shape.kinds) > 1:
        return xdr.Memo(xdr.MemoType.MEMO_TEXT, text=b"sample")
    return xdr.Memo(xdr.MemoType.MEMO_NONE)


def _time_bounds() -> xdr.TimeBounds:
    never = xdr.TimePoint(xdr.Uint64(0))
    return xdr.TimeBounds(never, xdr.TimePoint(xdr.Uint64(number("close_time"))))


def _soroban_data() -> xdr.SorobanTransactionData:
    def balance_key(owner: str) -> xdr.LedgerKey:
        contract_data = xdr.LedgerKeyContractData(
            entries.contract_address(), entries.contract_balance_key(owner), xdr.ContractDataDurability.PERSISTENT
        )
        return xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=contract_data)

    code = xdr.LedgerKeyContractCode(xdr.Hash(key("code")))
    read_only = [xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_CODE, contract_code=code)]
    footprint = xdr.LedgerFootprint(read_only, [balance_key("source"), balance_key("destination0")])
    resources = xdr.SorobanResources(footprint, xdr.Uint32(1_300_000), xdr.Uint32(2_048), xdr.Uint32(512))
    return xdr.SorobanTransactionData(xdr.SorobanTransactionDataExt(0), resources, xdr.Int64(RESOURCE_FEE))


def _transaction(shape: Shape) -> xdr.Transaction:
    return xdr.Transaction(
        source_account=entries.muxed("source"),
        fee=xdr.Uint32(shape.fee_declared),
        seq_num=xdr.SequenceNumber(xdr.Int64(number("sequence"))),
        cond=xdr.Preconditions(xdr.PreconditionType.PRECOND_TIME, time_bounds=_time_bounds()),
        memo=_memo(shape),
        operations=[part.operation for part in operations_of(shape)],
        ext=xdr.TransactionExt(1, soroban_data=_soroban_data()) if shape.soroban else xdr.TransactionExt(0),
    )


def _signatures(slot: str, hint: str) -> list[xdr.DecoratedSignature]:
    return [xdr.DecoratedSignature(xdr.SignatureHint(key(hint)), xdr.Signature(key(slot)))]


def _payload(tagged: xdr.TransactionSignaturePayloadTaggedTransaction) -> Template:
    return Template(xdr.TransactionSignaturePayload(xdr.Hash(key("network")), tagged))


def _fee_bump(shape: Shape) -> xdr.FeeBumpTransaction:
    inner = xdr.TransactionV1Envelope(_transaction(shape), _signatures("inner_signature", "inner_hint"))
    return xdr.FeeBumpTransaction(
        entries.muxed("fee_source"),
        xdr.Int64(shape.fee_declared + BASE_FEE),
        xdr.FeeBumpTransactionInnerTx(_TYPES.ENVELOPE_TYPE_TX, v1=inner),
        xdr.FeeBumpTransactionExt(0),
    )


def _legacy(shape: Shape) -> xdr.TransactionV0Envelope:
    now = _transaction(shape)
    transaction = xdr.TransactionV0(
        xdr.Uint256(key("source")),
        now.fee,
        now.seq_num,
        _time_bounds(),
        now.memo,
        now.operations,
        xdr.TransactionV0Ext(0),
    )
    return xdr.TransactionV0Envelope(transaction, _signatures("signature", "hint"))


@functools.cache
def _templates(shape: Shape, legacy: bool) -> _Templates:
    # A legacy envelope is signed as if it were a newer one of the same content.
    tagged = xdr.TransactionSignaturePayloadTaggedTransaction
    payload = _payload(tagged(_TYPES.ENVELOPE_TYPE_TX, tx=_transaction(shape)))
    signatures = _signatures("signature", "hint")
    if shape.fee_bump:
        bump = _fee_bump(shape)
        envelope = xdr.TransactionEnvelope(
            _TYPES.ENVELOPE_TYPE_TX_FEE_BUMP, fee_bump=xdr.FeeBumpTransactionEnvelope(bump, signatures)
        )
        outer = _payload(tagged(_TYPES.ENVELOPE_TYPE_TX_FEE_BUMP, fee_bump=bump))
        return _Templates(Template(envelope), outer, payload)
    if legacy:
        envelope = xdr.TransactionEnvelope(_TYPES.ENVELOPE_TYPE_TX_V0, v0=_legacy(shape))
    else:
        v1 = xdr.TransactionV1Envelope(_transaction(shape), signatures)
        envelope = xdr.TransactionEnvelope(_TYPES.ENVELOPE_TYPE_TX, v1=v1)
    return _Templates(Template(envelope), payload, None)


def sign(
    shape: Shape, values: dict[str, bytes], source: Keypair, fee_source: Keypair, *, legacy: bool
) -> tuple[bytes, bytes]:
    """Make the envelope of a transaction of `shape`; returns its XDR and the transaction's hash.

    Args:
        values: the slots' values; the hash and the signature of a fee bump's inner transaction are added.
        source, fee_source: who signs; the second one only for a fee bump.
        legacy: an envelope of the type used until protocol 12 (no fee bumps then).
    """
    templates = _templates(shape, legacy)
    signer = source
    if templates.inner_payload is not None:
        inner_hash = hashlib.sha256(templates.inner_payload.fill(values)).digest()
        values["inner_hash"] = inner_hash
        values["inner_signature"], values["inner_hint"] = source.sign(inner_hash), source.signature_hint()
        signer = fee_source
    transaction_hash = hashlib.sha256(templates.payload.fill(values)).digest()
    signed = {**values, "signature": signer.sign(transaction_hash), "hint": signer.signature_hint()}
    return templates.envelope.fill(signed), transaction_hash
