"""Results and transaction meta (V1 to V4) of sample transactions."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from stellar_sdk import scval, xdr

from pipeline.sample import entries
from pipeline.sample.shapes import REFUND, Shape, operations_of
from pipeline.sample.template import Template, int_marker, opaque_marker

_CODES = xdr.TransactionResultCode
_EXT = xdr.ExtensionPoint(0)


def meta_version(protocol: int) -> int:
    """The version of the transaction meta of ledgers that begin to close under `protocol`."""
    return 1 if protocol < 13 else 2 if protocol < 20 else 3 if protocol < 23 else 4


@dataclass(frozen=True, slots=True)
class ProcessingTemplates:
    """The parts of a close meta that follow from applying a transaction.

    Attributes:
        result: the TransactionResult (the hash of the transaction precedes it).
        fee_changes, meta: the ledger entry changes of the fee, and the TransactionMeta.
        after: the postTxApplyFeeProcessing, which only close metas V2 have.
        success: the preimage whose hash is the result of a successful Soroban call.
    """

    result: Template
    fee_changes: Template
    meta: Template
    after: Template
    success: Template | None


def _operation_results(shape: Shape) -> list[xdr.OperationResult]:
    results = [part.success for part in operations_of(shape)]
    if shape.failed:
        results[-1] = operations_of(shape)[-1].failure
    return results


def _result(shape: Shape) -> xdr.TransactionResult:
    code = _CODES.txFAILED if shape.failed else _CODES.txSUCCESS
    results = _operation_results(shape)
    if not shape.fee_bump:
        outcome = xdr.TransactionResultResult(code, results=results)
    else:
        # Since protocol 13 the wrapper pays the fee; the inner result has none.
        inner = xdr.InnerTransactionResult(
            xdr.Int64(0), xdr.InnerTransactionResultResult(code, results=results), xdr.InnerTransactionResultExt(0)
        )
        outcome = xdr.TransactionResultResult(
            _CODES.txFEE_BUMP_INNER_FAILED if shape.failed else _CODES.txFEE_BUMP_INNER_SUCCESS,
            inner_result_pair=xdr.InnerTransactionResultPair(xdr.Hash(opaque_marker("inner_hash")), inner),
        )
    return xdr.TransactionResult(xdr.Int64(shape.fee_charged), outcome, xdr.TransactionResultExt(0))


def _payer(shape: Shape) -> str:
    return "fee_source" if shape.fee_bump else "source"


def _fee_changes(shape: Shape) -> xdr.LedgerEntryChanges:
    payer = _payer(shape)
    return xdr.LedgerEntryChanges(
        entries.updated(entries.account(payer, "balance"), entries.account(payer, "balance0"))
    )


def _refund_changes(shape: Shape) -> xdr.LedgerEntryChanges:
    return _fee_changes(shape) if shape.soroban else xdr.LedgerEntryChanges([])


def _fee_event(shape: Shape, amount: int, stage: xdr.TransactionEventStage) -> xdr.TransactionEvent:
    topics = [scval.to_symbol("fee"), scval.to_address(entries.address(_payer(shape)))]
    return xdr.TransactionEvent(stage, entries.event(topics, scval.to_int128(amount)))


def _diagnostics(shape: Shape) -> list[xdr.DiagnosticEvent]:
    """The trace of a call: that it was made, and, if it failed, that it trapped."""
    kind = xdr.ContractEventType.DIAGNOSTIC
    called = [scval.to_symbol("fn_call"), scval.to_bytes(opaque_marker("contract")), scval.to_symbol("transfer")]
    traced = [entries.event(called, scval.to_int128(int_marker("amount0")), kind)]
    if shape.failed:
        traced.append(entries.event([scval.to_symbol("host_fn_failed")], scval.to_void(), kind))
    return [xdr.DiagnosticEvent(not shape.failed, one) for one in traced]


def _soroban_ext() -> xdr.SorobanTransactionMetaExt:
    v1 = xdr.SorobanTransactionMetaExtV1(_EXT, xdr.Int64(61_021), xdr.Int64(12_310), xdr.Int64(11_900))
    return xdr.SorobanTransactionMetaExt(1, v1=v1)


def _soroban_meta(shape: Shape) -> xdr.SorobanTransactionMeta | None:
    if not shape.soroban:
        return None
    events = [] if shape.failed else operations_of(shape)[0].events
    return xdr.SorobanTransactionMeta(_soroban_ext(), events, scval.to_void(), _diagnostics(shape))


def _meta_v4(shape: Shape, before: xdr.LedgerEntryChanges, after: xdr.LedgerEntryChanges) -> xdr.TransactionMetaV4:
    stages = xdr.TransactionEventStage
    events = [_fee_event(shape, shape.fee_charged, stages.TRANSACTION_EVENT_STAGE_BEFORE_ALL_TXS)]
    soroban = None
    if shape.soroban:
        events.append(_fee_event(shape, -REFUND, stages.TRANSACTION_EVENT_STAGE_AFTER_ALL_TXS))
        soroban = xdr.SorobanTransactionMetaV2(_soroban_ext(), None if shape.failed else scval.to_void())
    # A failed transaction has no operation meta.
    done = [] if shape.failed else operations_of(shape)
    return xdr.TransactionMetaV4(
        _EXT,
        before,
        [xdr.OperationMetaV2(_EXT, xdr.LedgerEntryChanges(part.changes), part.events) for part in done],
        after,
        soroban,
        events,
        _diagnostics(shape) if shape.soroban else [],
    )


def _meta(shape: Shape, version: int) -> xdr.TransactionMeta:
    before = xdr.LedgerEntryChanges(
        entries.updated(entries.account(_payer(shape), "balance0"), entries.account(_payer(shape), "balance0"))
        + entries.updated(entries.account("source", "balance0"), entries.account("source", "balance0"))
    )
    after = xdr.LedgerEntryChanges([])
    if version == 4:
        return xdr.TransactionMeta(4, v4=_meta_v4(shape, before, after))
    done = [] if shape.failed else operations_of(shape)
    metas = [xdr.OperationMeta(xdr.LedgerEntryChanges(part.changes)) for part in done]
    if version == 3:
        # Close metas before V2 have no field for the refund of a Soroban fee: it is among these changes.
        v3 = xdr.TransactionMetaV3(_EXT, before, metas, _refund_changes(shape), _soroban_meta(shape))
        return xdr.TransactionMeta(3, v3=v3)
    if version == 2:
        return xdr.TransactionMeta(2, v2=xdr.TransactionMetaV2(before, metas, after))
    return xdr.TransactionMeta(1, v1=xdr.TransactionMetaV1(before, metas))


@functools.cache
def processing_templates(shape: Shape, version: int) -> ProcessingTemplates:
    """The templates of a transaction of `shape` in a ledger with transaction meta of `version` (1 to 4)."""
    success = None
    if shape.soroban:
        success = xdr.InvokeHostFunctionSuccessPreImage(scval.to_void(), operations_of(shape)[0].events)
    return ProcessingTemplates(
        result=Template(_result(shape)),
        fee_changes=Template(_fee_changes(shape)),
        meta=Template(_meta(shape, version)),
        after=Template(_refund_changes(shape)),
        success=Template(success) if success else None,
    )
