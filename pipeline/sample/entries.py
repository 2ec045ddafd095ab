"""Ledger entries, their changes, and contract events, with markers for the variable values."""

from __future__ import annotations

from stellar_sdk import Address, Keypair, StrKey, scval, xdr

from pipeline.sample.template import int_marker, opaque_marker

#: The asset code of the sample's credit payments; its issuer is one of the sample's accounts.
ASSET_CODE = b"USDX"


def public_key(slot: str) -> xdr.PublicKey:
    """The ed25519 key in a slot."""
    return xdr.PublicKey(xdr.PublicKeyType.PUBLIC_KEY_TYPE_ED25519, ed25519=xdr.Uint256(opaque_marker(slot)))


def account_id(slot: str) -> xdr.AccountID:
    """The account in a slot."""
    return xdr.AccountID(public_key(slot))


def address(slot: str) -> str:
    """The account in a slot as an address (``G…``), which helpers of the SDK take."""
    return StrKey.encode_ed25519_public_key(opaque_marker(slot))


def muxed(slot: str) -> xdr.MuxedAccount:
    """The account in a slot, for a field that may be a multiplexed account."""
    return Keypair.from_public_key(address(slot)).xdr_muxed_account()


def credit_asset() -> xdr.AlphaNum4:
    """The one issued asset of the sample."""
    return xdr.AlphaNum4(xdr.AssetCode4(ASSET_CODE), account_id("issuer"))


def _account_ext() -> xdr.AccountEntryExt:
    # The protocol nests them: each extension contains the next one.
    v3 = xdr.AccountEntryExtensionV3(
        xdr.ExtensionPoint(0),
        xdr.Uint32(int_marker("ledger")),
        xdr.TimePoint(xdr.Uint64(int_marker("close_time"))),
    )
    v2 = xdr.AccountEntryExtensionV2(xdr.Uint32(0), xdr.Uint32(0), [], xdr.AccountEntryExtensionV2Ext(3, v3=v3))
    v1 = xdr.AccountEntryExtensionV1(
        xdr.Liabilities(xdr.Int64(0), xdr.Int64(0)), xdr.AccountEntryExtensionV1Ext(2, v2=v2)
    )
    return xdr.AccountEntryExt(1, v1=v1)


def account(slot: str, balance: str) -> xdr.LedgerEntryData:
    """The entry of the account of `slot`, with the balance of the number slot `balance`."""
    entry = xdr.AccountEntry(
        account_id=account_id(slot),
        balance=xdr.Int64(int_marker(balance)),
        seq_num=xdr.SequenceNumber(xdr.Int64(int_marker("sequence"))),
        num_sub_entries=xdr.Uint32(1),
        inflation_dest=None,
        flags=xdr.Uint32(0),
        home_domain=xdr.String32(b""),
        thresholds=xdr.Thresholds(b"\1\0\0\0"),
        signers=[],
        ext=_account_ext(),
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.ACCOUNT, account=entry)


def trust_line(slot: str, balance: str) -> xdr.LedgerEntryData:
    """A trust line of the account of `slot` for the sample's asset."""
    asset = xdr.TrustLineAsset(xdr.AssetType.ASSET_TYPE_CREDIT_ALPHANUM4, alpha_num4=credit_asset())
    entry = xdr.TrustLineEntry(
        account_id(slot),
        asset,
        xdr.Int64(int_marker(balance)),
        xdr.Int64(2**63 - 1),
        xdr.Uint32(1),
        xdr.TrustLineEntryExt(0),
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.TRUSTLINE, trust_line=entry)


def contract_balance(owner: str, amount: str) -> xdr.LedgerEntryData:
    """The balance of `owner` in the token contract of the sample."""
    value = scval.to_map(
        {
            scval.to_symbol("amount"): scval.to_int128(int_marker(amount)),
            scval.to_symbol("authorized"): scval.to_bool(True),
            scval.to_symbol("clawback"): scval.to_bool(False),
        }
    )
    entry = xdr.ContractDataEntry(
        xdr.ExtensionPoint(0),
        contract_address(),
        contract_balance_key(owner),
        xdr.ContractDataDurability.PERSISTENT,
        value,
    )
    return xdr.LedgerEntryData(xdr.LedgerEntryType.CONTRACT_DATA, contract_data=entry)


def contract_balance_key(owner: str) -> xdr.SCVal:
    """The key under which the token contract keeps the balance of `owner`."""
    return scval.to_vec([scval.to_symbol("Balance"), scval.to_address(address(owner))])


def contract_address() -> xdr.SCAddress:
    """The token contract of the sample."""
    return Address(StrKey.encode_contract(opaque_marker("contract"))).to_xdr_sc_address()


def ttl(key_hash: str) -> xdr.LedgerEntryData:
    """The time to live of a contract entry."""
    entry = xdr.TTLEntry(xdr.Hash(opaque_marker(key_hash)), xdr.Uint32(int_marker("live_until")))
    return xdr.LedgerEntryData(xdr.LedgerEntryType.TTL, ttl=entry)


def _entry(data: xdr.LedgerEntryData) -> xdr.LedgerEntry:
    return xdr.LedgerEntry(xdr.Uint32(int_marker("ledger")), data, xdr.LedgerEntryExt(0))


def created(data: xdr.LedgerEntryData) -> list[xdr.LedgerEntryChange]:
    """The change of a created entry."""
    kind = xdr.LedgerEntryChangeType.LEDGER_ENTRY_CREATED
    return [xdr.LedgerEntryChange(kind, created=_entry(data))]


def updated(before: xdr.LedgerEntryData, after: xdr.LedgerEntryData) -> list[xdr.LedgerEntryChange]:
    """The two changes of an updated entry: the state before, and the entry after."""
    kinds = xdr.LedgerEntryChangeType
    return [
        xdr.LedgerEntryChange(kinds.LEDGER_ENTRY_STATE, state=_entry(before)),
        xdr.LedgerEntryChange(kinds.LEDGER_ENTRY_UPDATED, updated=_entry(after)),
    ]


def event(
    topics: list[xdr.SCVal],
    data: xdr.SCVal,
    kind: xdr.ContractEventType = xdr.ContractEventType.CONTRACT,
) -> xdr.ContractEvent:
    """An event of the sample's token contract."""
    contract = xdr.ContractID(xdr.Hash(opaque_marker("contract")))
    body = xdr.ContractEventBody(0, v0=xdr.ContractEventV0(topics, data))
    return xdr.ContractEvent(xdr.ExtensionPoint(0), contract, kind, body)


def transfer_event(sender: str, receiver: str, amount: str) -> xdr.ContractEvent:
    """The event of a transfer between two accounts (SEP-41)."""
    topics = [scval.to_symbol("transfer"), scval.to_address(address(sender)), scval.to_address(address(receiver))]
    return event(topics, scval.to_int128(int_marker(amount)))
