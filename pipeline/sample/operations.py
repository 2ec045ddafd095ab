"""The operations of sample transactions: body, results, and the changes and events in the transaction meta."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from stellar_sdk import scval, xdr

from pipeline.sample import entries
from pipeline.sample.template import int_marker, opaque_marker

_TYPES = xdr.OperationType


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as templates.

    Attributes:
        body: the operation as the transaction contains it.
        success, failure: its result when the transaction succeeds, and one that makes it fail.
        changes: ledger entry changes of the success.
        events: contract events of the success (meta V4; in V3 only Soroban operations have any).
    """

    body: xdr.OperationBody
    success: xdr.OperationResult
    failure: xdr.OperationResult
    changes: list[xdr.LedgerEntryChange]
    events: list[xdr.ContractEvent]

    @property
    def operation(self) -> xdr.Operation:
        """The operation with the transaction's own source account."""
        return xdr.Operation(None, self.body)


def _inner(tr: xdr.OperationResultTr) -> xdr.OperationResult:
    return xdr.OperationResult(xdr.OperationResultCode.opINNER, tr=tr)


def _source_update(index: int) -> list[xdr.LedgerEntryChange]:
    return entries.updated(entries.account("source", "balance"), entries.account("source", f"balance{index}"))


def _payment_of(
    asset: xdr.Asset, index: int, changes: list[xdr.LedgerEntryChange], failed: xdr.PaymentResultCode
) -> Operation:
    def result(code: xdr.PaymentResultCode) -> xdr.OperationResult:
        return _inner(xdr.OperationResultTr(_TYPES.PAYMENT, payment_result=xdr.PaymentResult(code)))

    destination, amount = f"destination{index}", f"amount{index}"
    payment = xdr.PaymentOp(entries.muxed(destination), asset, xdr.Int64(int_marker(amount)))
    return Operation(
        xdr.OperationBody(_TYPES.PAYMENT, payment_op=payment),
        result(xdr.PaymentResultCode.PAYMENT_SUCCESS),
        result(failed),
        changes,
        [entries.transfer_event("source", destination, amount)],
    )


def payment(index: int) -> Operation:
    """A payment of lumens; fails as underfunded."""
    destination = f"destination{index}"
    changes = _source_update(index) + entries.updated(
        entries.account(destination, f"balance{index}"), entries.account(destination, f"amount{index}")
    )
    asset = xdr.Asset(xdr.AssetType.ASSET_TYPE_NATIVE)
    return _payment_of(asset, index, changes, xdr.PaymentResultCode.PAYMENT_UNDERFUNDED)


def credit_payment(index: int) -> Operation:
    """A payment of the sample's issued asset; fails because a trust line is missing."""
    changes = [
        change
        for slot in ("source", f"destination{index}")
        for change in entries.updated(
            entries.trust_line(slot, f"balance{index}"), entries.trust_line(slot, f"amount{index}")
        )
    ]
    asset = xdr.Asset(xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4, alpha_num4=entries.credit_asset())
    return _payment_of(asset, index, changes, xdr.PaymentResultCode.PAYMENT_NO_TRUST)


def create_account(index: int) -> Operation:
    """A new account; fails because the reserve is too low."""

    def result(code: xdr.CreateAccountResultCode) -> xdr.OperationResult:
        outcome = xdr.CreateAccountResult(code)
        return _inner(xdr.OperationResultTr(_TYPES.CREATE_ACCOUNT, create_account_result=outcome))

    # A key that no other transaction contains.
    account, amount = f"noise{index}", f"amount{index}"
    creation = xdr.CreateAccountOp(entries.account_id(account), xdr.Int64(int_marker(amount)))
    return Operation(
        xdr.OperationBody(_TYPES.CREATE_ACCOUNT, create_account_op=creation),
        result(xdr.CreateAccountResultCode.CREATE_ACCOUNT_SUCCESS),
        result(xdr.CreateAccountResultCode.CREATE_ACCOUNT_LOW_RESERVE),
        _source_update(index) + entries.created(entries.account(account, amount)),
        [entries.transfer_event("source", account, amount)],
    )


def manage_data(index: int) -> Operation:
    """A data entry of 32 bytes; fails because the reserve is too low."""

    def result(code: xdr.ManageDataResultCode) -> xdr.OperationResult:
        return _inner(xdr.OperationResultTr(_TYPES.MANAGE_DATA, manage_data_result=xdr.ManageDataResult(code)))

    name, value = xdr.String64(f"sample {index}".encode()), xdr.DataValue(opaque_marker(f"noise{index}"))
    entry = xdr.DataEntry(entries.account_id("source"), name, value, xdr.DataEntryExt(0))
    data = xdr.LedgerEntryData(xdr.LedgerEntryType.DATA, data=entry)
    return Operation(
        xdr.OperationBody(_TYPES.MANAGE_DATA, manage_data_op=xdr.ManageDataOp(name, value)),
        result(xdr.ManageDataResultCode.MANAGE_DATA_SUCCESS),
        result(xdr.ManageDataResultCode.MANAGE_DATA_LOW_RESERVE),
        _source_update(index) + entries.created(data),
        [],
    )


def sell_offer(index: int) -> Operation:
    """An offer that stays in the order book; fails as underfunded."""
    native = xdr.Asset(xdr.AssetType.ASSET_TYPE_NATIVE)
    credit = xdr.Asset(xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4, alpha_num4=entries.credit_asset())
    amount, price = xdr.Int64(int_marker(f"amount{index}")), xdr.Price(xdr.Int32(1 + index), xdr.Int32(10_000_000))
    asked = xdr.ManageSellOfferOp(native, credit, amount, price, xdr.Int64(0))
    offer = xdr.OfferEntry(
        entries.account_id("source"),
        xdr.Int64(int_marker(f"balance{index}")),
        native,
        credit,
        amount,
        price,
        xdr.Uint32(0),
        xdr.OfferEntryExt(0),
    )
    codes = xdr.ManageSellOfferResultCode
    created = xdr.ManageOfferSuccessResultOffer(xdr.ManageOfferEffect.MANAGE_OFFER_CREATED, offer=offer)
    success = xdr.ManageSellOfferResult(
        codes.MANAGE_SELL_OFFER_SUCCESS, success=xdr.ManageOfferSuccessResult([], created)
    )
    failure = xdr.ManageSellOfferResult(codes.MANAGE_SELL_OFFER_UNDERFUNDED)
    data = xdr.LedgerEntryData(xdr.LedgerEntryType.OFFER, offer=offer)
    return Operation(
        xdr.OperationBody(_TYPES.MANAGE_SELL_OFFER, manage_sell_offer_op=asked),
        _inner(xdr.OperationResultTr(_TYPES.MANAGE_SELL_OFFER, manage_sell_offer_result=success)),
        _inner(xdr.OperationResultTr(_TYPES.MANAGE_SELL_OFFER, manage_sell_offer_result=failure)),
        _source_update(index) + entries.created(data),
        [],
    )


def invoke_contract(index: int) -> Operation:
    """A call of ``transfer`` of the token contract; fails as trapped."""
    receiver, amount = f"destination{index}", f"amount{index}"
    arguments = [
        scval.to_address(entries.address("source")),
        scval.to_address(entries.address(receiver)),
        scval.to_int128(int_marker(amount)),
    ]
    call = xdr.InvokeContractArgs(entries.contract_address(), xdr.SCSymbol(b"transfer"), arguments)
    function = xdr.HostFunction(xdr.HostFunctionType.HOST_FUNCTION_TYPE_INVOKE_CONTRACT, invoke_contract=call)
    authorized = xdr.SorobanAuthorizedFunction(
        xdr.SorobanAuthorizedFunctionType.SOROBAN_AUTHORIZED_FUNCTION_TYPE_CONTRACT_FN, contract_fn=call
    )
    authorization = xdr.SorobanAuthorizationEntry(
        xdr.SorobanCredentials(xdr.SorobanCredentialsType.SOROBAN_CREDENTIALS_SOURCE_ACCOUNT),
        xdr.SorobanAuthorizedInvocation(authorized, []),
    )
    codes = xdr.InvokeHostFunctionResultCode
    success = xdr.InvokeHostFunctionResult(
        codes.INVOKE_HOST_FUNCTION_SUCCESS, success=xdr.Hash(opaque_marker("success"))
    )
    failure = xdr.InvokeHostFunctionResult(codes.INVOKE_HOST_FUNCTION_TRAPPED)
    changes = [
        *entries.updated(entries.ttl("noise0"), entries.ttl("noise0")),
        *entries.updated(entries.contract_balance("source", "balance"), entries.contract_balance("source", "balance0")),
        *entries.created(entries.ttl("noise1")),
        *entries.created(entries.contract_balance(receiver, amount)),
    ]
    return Operation(
        xdr.OperationBody(
            _TYPES.INVOKE_HOST_FUNCTION, invoke_host_function_op=xdr.InvokeHostFunctionOp(function, [authorization])
        ),
        _inner(xdr.OperationResultTr(_TYPES.INVOKE_HOST_FUNCTION, invoke_host_function_result=success)),
        _inner(xdr.OperationResultTr(_TYPES.INVOKE_HOST_FUNCTION, invoke_host_function_result=failure)),
        changes,
        [entries.transfer_event("source", receiver, amount)],
    )


#: Kind of operation, to the function that makes the operation with a given index in its transaction.
KINDS: dict[str, Callable[[int], Operation]] = {
    "payment": payment,
    "credit_payment": credit_payment,
    "create_account": create_account,
    "manage_data": manage_data,
    "sell_offer": sell_offer,
    "invoke_contract": invoke_contract,
}
