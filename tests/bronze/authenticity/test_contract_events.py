"""The events and return value of a contract invocation give the hash in its result."""

from __future__ import annotations

from hashlib import sha256

import pytest
from stellar_sdk import xdr

from bronze.authenticity.contract_events import check_events
from bronze.ledger.close_meta import INVOCATION_MARKS, read_close_meta
from tests.support.forged_ledgers import real_chain
from tests.support.made_ledgers import RealLedgers

#: What transaction 215 of pubnet's ledger 63092990 states: six events in a preimage of 1,404 bytes.
STATED = "4119b392b26ed5a5c49e16c365d75055734e8ac5fdd0ae0d9d1f3dc8be818ba4"


@pytest.mark.ledgers
def test_known_invocation_gives_its_hash(ledgers: RealLedgers) -> None:
    (data,) = real_chain("pubnet", 63092990, 63092990)
    closed = xdr.LedgerCloseMeta.from_xdr_bytes(data)
    processed = (closed.v1 or closed.v2).tx_processing[215]  # type: ignore[union-attr]
    applied = processed.tx_apply_processing.v4
    assert applied is not None
    assert applied.soroban_meta is not None
    assert applied.soroban_meta.return_value is not None
    events = [event for operation in applied.operations for event in operation.events]
    preimage = xdr.InvokeHostFunctionSuccessPreImage(applied.soroban_meta.return_value, events).to_xdr_bytes()
    assert (len(events), len(preimage), sha256(preimage).hexdigest()) == (6, 1404, STATED)

    meta = read_close_meta(data, 0, len(data))
    found = check_events(meta, data)
    assert (found.held, found.rewritten, found.wrong_count) == (len(meta.invocations) // INVOCATION_MARKS, 0, 0)
    stated = [data[at : at + 32].hex() for at in meta.invocations[::INVOCATION_MARKS]]
    at = stated.index(STATED) * INVOCATION_MARKS
    _, _, return_v4, return_end, events_at, events_end = meta.invocations[at : at + INVOCATION_MARKS]
    assert data[return_v4 + 4 : return_end] + data[events_at:events_end] == preimage
