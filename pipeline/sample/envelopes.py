"""Transaction envelopes of a shape, with the hashes of the network and valid signatures."""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass

from stellar_sdk import Keypair, xdr

from pipeline.sample import entries
from pipeline.sample.shapes import BASE_FEE, RESOURCE_FEE, Shape, operations_of
from pipeline.sample.template import Template, int_marker, opaque_marker

_TYPES = xdr.EnvelopeType


@dataclass(frozen=True, slots=True)
class _Templates:
    """Templates of an envelope, of its signature payload, and of that of the inner transaction of a fee bump."""

    envelope: Template
    payload: Template
    inner_payload: Template | None


def _memo(shape: Shape) -> xdr.Memo:
    if len(shape.kinds) > 1:
        return xdr.Memo(xdr.MemoType.MEMO_TEXT, text=b"sample")
    return xdr.Memo(xdr.MemoType.MEMO_NONE)


def _time_bounds() -> xdr.TimeBounds:
    never = xdr.TimePoint(xdr.Uint64(0))
    return xdr.TimeBounds(never, xdr.TimePoint(xdr.Uint64(int_marker("close_time"))))


def _soroban_data() -> xdr.SorobanTransactionData:
    def balance_key(owner: str) -> xdr.LedgerKey:
        contract_data = xdr.LedgerKeyContractData(
            entries.contract_address(), entries.contract_balance_key(owner), xdr.ContractDataDurability.PERSISTENT
        )
        return xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=contract_data)

    code = xdr.LedgerKeyContractCode(xdr.Hash(opaque_marker("code")))
    read_only = [xdr.LedgerKey(xdr.LedgerEntryType.CONTRACT_CODE, contract_code=code)]
    footprint = xdr.LedgerFootprint(read_only, [balance_key("source"), balance_key("destination0")])
    resources = xdr.SorobanResources(footprint, xdr.Uint32(1_300_000), xdr.Uint32(2_048), xdr.Uint32(512))
    return xdr.SorobanTransactionData(xdr.SorobanTransactionDataExt(0), resources, xdr.Int64(RESOURCE_FEE))


def _transaction(shape: Shape) -> xdr.Transaction:
    return xdr.Transaction(
        source_account=entries.muxed("source"),
        fee=xdr.Uint32(shape.fee_declared),
        seq_num=xdr.SequenceNumber(xdr.Int64(int_marker("sequence"))),
        cond=xdr.Preconditions(xdr.PreconditionType.PRECOND_TIME, time_bounds=_time_bounds()),
        memo=_memo(shape),
        operations=[part.operation for part in operations_of(shape)],
        ext=xdr.TransactionExt(1, soroban_data=_soroban_data()) if shape.soroban else xdr.TransactionExt(0),
    )


def _signatures(slot: str, hint: str) -> list[xdr.DecoratedSignature]:
    return [xdr.DecoratedSignature(xdr.SignatureHint(opaque_marker(hint)), xdr.Signature(opaque_marker(slot)))]


def _payload(tagged: xdr.TransactionSignaturePayloadTaggedTransaction) -> Template:
    return Template(xdr.TransactionSignaturePayload(xdr.Hash(opaque_marker("network")), tagged))


def _fee_bump(shape: Shape) -> xdr.FeeBumpTransaction:
    inner = xdr.TransactionV1Envelope(_transaction(shape), _signatures("inner_signature", "inner_hint"))
    return xdr.FeeBumpTransaction(
        entries.muxed("fee_source"),
        xdr.Int64(shape.fee_declared + BASE_FEE),
        xdr.FeeBumpTransactionInnerTx(_TYPES.ENVELOPE_TYPE_TX, v1=inner),
        xdr.FeeBumpTransactionExt(0),
    )


def _legacy(shape: Shape) -> xdr.TransactionV0Envelope:
    current = _transaction(shape)
    transaction = xdr.TransactionV0(
        xdr.Uint256(opaque_marker("source")),
        current.fee,
        current.seq_num,
        _time_bounds(),
        current.memo,
        current.operations,
        xdr.TransactionV0Ext(0),
    )
    return xdr.TransactionV0Envelope(transaction, _signatures("signature", "hint"))


@functools.cache
def _templates(shape: Shape, legacy: bool) -> _Templates:
    # A legacy envelope is signed as a current one with the same content.
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
        values: the values of the slots; hash and signature of the inner transaction of a fee bump are added.
        source, fee_source: the signers; `fee_source` signs a fee bump only.
        legacy: make the envelope type that was used up to protocol 12, which had no fee bumps.
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
