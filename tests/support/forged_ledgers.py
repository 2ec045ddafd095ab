"""Real ledgers changed so that every hash and link holds again: what a forger with the lake's bytes can do."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence

from bronze.ledger.close_meta import CloseMeta, read_close_meta
from tests.support.made_ledgers import index, load

#: From the header's start: the hash of the ledger before, and of the transaction set.
PREVIOUS_HASH, TX_SET_HASH = 4, 36


def real_chain(network: str, first: int, last: int) -> list[bytes]:
    """The close metas of consecutive real ledgers."""
    lines = {line["ledger_seq"]: line for line in index() if line["network"] == network and line["tier"] == "A"}
    return [load(lines[sequence]) for sequence in range(first, last + 1)]


def fee_pool_at(meta: CloseMeta, data: bytes) -> int:
    """Position of the header's fee pool."""
    at = meta.value_ext_at
    kind = struct.unpack_from(">I", data, at)[0]
    at += 4 + (68 if kind == 2 else 0) + (104 if kind else 0)
    return at + 32 + 32 + 4 + 8


def rehashed(data: bytes, previous_hash: bytes | None = None) -> bytes:
    """The ledger with its previous hash replaced, in header and set, and every hash computed anew (not its result)."""
    buffer = bytearray(data)
    meta = read_close_meta(data, 0, len(data))
    if previous_hash is not None:
        set_at = data.index(meta.previous_ledger_hash, meta.header_at + 300)
        for at in (meta.header_at + PREVIOUS_HASH, set_at):
            buffer[at : at + 32] = previous_hash
    meta = read_close_meta(bytes(buffer), 0, len(buffer))
    at = meta.header_at + TX_SET_HASH
    if not meta.empty_tx_set:
        assert meta.computed_tx_set_hash is not None
        buffer[at : at + 32] = meta.computed_tx_set_hash
    at = buffer.index(meta.result_hash, meta.value_ext_at)
    assert meta.computed_result_hash is not None
    buffer[at : at + 32] = meta.computed_result_hash
    meta = read_close_meta(bytes(buffer), 0, len(buffer))
    buffer[meta.header_at - 32 : meta.header_at] = meta.computed_ledger_hash
    return bytes(buffer)


def relinked(ledgers: Sequence[bytes], at: int, change: Callable[[bytearray], None]) -> list[bytes]:
    """The chain with ledger number `at` changed, and it and all behind it rehashed and linked again."""
    made = list(ledgers[:at])
    buffer = bytearray(ledgers[at])
    change(buffer)
    made.append(rehashed(bytes(buffer)))
    for data in ledgers[at + 1 :]:
        before = read_close_meta(made[-1], 0, len(made[-1]))
        made.append(rehashed(data, before.computed_ledger_hash))
    return made
