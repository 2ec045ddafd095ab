"""The network's proof in ledgers from before signatures: the hash of a transaction is taken over the network's id.

``SHA-256(network id || ENVELOPE_TYPE_TX || transaction)`` must stand in the ledger's results, which are under the
ledger hash. One transaction a ledger is enough: the ledger hash binds the others to it.
"""

from __future__ import annotations

import struct
from hashlib import sha256

from bronze.ledger.close_meta import Buffer, CloseMeta

_ENVELOPE_TYPE_TX = struct.pack(">I", 2)
#: Envelopes of version 0 name their source by the key alone; hashed, they have the key's type before it.
_KEY_TYPE_ED25519 = struct.pack(">I", 0)
_WORD = struct.Struct(">I")


def has_transaction(meta: CloseMeta) -> bool:
    """Whether there is a transaction to prove the network by."""
    return meta.last_tx is not None


def transaction_is_of(meta: CloseMeta, data: Buffer, network_id: bytes) -> bool:
    """Whether the last transaction of the set is of the network with this id, and has a result under that hash.

    Args:
        meta: a ledger of a protocol without signatures that `has_transaction`.
        data: the buffer that `meta` was read from.
    """
    assert meta.last_tx is not None
    start, end = meta.last_tx
    digest = sha256(network_id + _ENVELOPE_TYPE_TX)
    if _WORD.unpack_from(data, start - 4)[0] == 0:
        digest.update(_KEY_TYPE_ED25519)
    digest.update(data[start:end])
    return digest.digest() in meta.unsigned_results
