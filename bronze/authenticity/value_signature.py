"""The signature of a ledger's StellarValue: a node of the network proposed this transaction set and close time.

The signed message is ``SHA-256(passphrase) || ENVELOPE_TYPE_SCPVALUE || txSetHash || closeTime``, so a signature that
holds proves the network too. Upgrades are not signed. Ed25519 by libsodium's rules, as stellar-core has them.
"""

from __future__ import annotations

import functools
import hashlib
import struct
from dataclasses import dataclass

from nacl.bindings import crypto_sign_open
from nacl.exceptions import BadSignatureError

from bronze.ledger.close_meta import Buffer, CloseMeta

#: Ledgers have been signed since this protocol.
FIRST_SIGNED_PROTOCOL = 14

_ENVELOPE_TYPE_SCPVALUE = struct.pack(">I", 4)
_WORD = struct.Struct(">I")
_CLOSE_TIME = struct.Struct(">Q")
_BASIC, _SIGNED, _EMPTY_TX_SET = range(3)
_SIGNATURE_BYTES = 64
_PROPOSED_VALUE_BYTES = 32 + 32 + 4
#: From the header's start to its StellarValue.
_VALUE = 36
#: From the header's start to the upgrades of its StellarValue.
_UPGRADES = 76
_LEDGER_UPGRADE_VERSION = 1


@dataclass(frozen=True, slots=True)
class ValueSignature:
    """A signed StellarValue.

    Attributes:
        node: the public key of the node that signed, 32 bytes.
        signature: 64 bytes in every honest ledger; at most 64.
        tx_set_hash: the hash that was signed: the header's, or the proposed one of a ledger without it (CAP-83).
        close_time: unix time in seconds, as signed.
        attests_previous: whether the signed transaction set names the ledger before, so that the signer stands behind
            that ledger too.
    """

    node: bytes
    signature: bytes
    tx_set_hash: bytes
    close_time: int
    attests_previous: bool

    def holds(self, network_id: bytes) -> bool:
        """Whether the signature is valid under the network whose id (SHA-256 of its passphrase) is given."""
        message = network_id + _ENVELOPE_TYPE_SCPVALUE + self.tx_set_hash + _CLOSE_TIME.pack(self.close_time)
        return signature_holds(self.node, self.signature, message)


def signature_holds(node: bytes, signature: bytes, message: bytes) -> bool:
    """Whether `signature` (of any length) is the one of `message` by the public key `node` (32 bytes)."""
    if len(signature) != _SIGNATURE_BYTES:
        return False
    try:
        crypto_sign_open(signature + message, node)
    except BadSignatureError:
        return False
    return True


def read_value_signature(meta: CloseMeta, data: Buffer) -> ValueSignature | None:
    """The signature of a ledger; None when its StellarValue has none.

    Args:
        data: the buffer that `meta` was read from.
    """
    at = meta.value_ext_at
    kind: int = _WORD.unpack_from(data, at)[0]
    if kind == _BASIC:
        return None
    at += 4
    tx_set_hash = meta.tx_set_hash
    if kind == _EMPTY_TX_SET:
        tx_set_hash = bytes(data[at : at + 32])
        at += _PROPOSED_VALUE_BYTES
    at += 4  # the key's type: Ed25519 is the only one
    node = bytes(data[at : at + 32])
    size: int = _WORD.unpack_from(data, at + 32)[0]
    signature = bytes(data[at + 36 : at + 36 + size])
    return ValueSignature(node, signature, tx_set_hash, meta.close_time, attests_previous=kind == _SIGNED)


def read_stellar_value(meta: CloseMeta, data: Buffer) -> bytes:
    """The XDR of a ledger's StellarValue: what its validators externalized.

    Args:
        data: the buffer that `meta` was read from.
    """
    return bytes(data[meta.header_at + _VALUE : meta.value_end])


def named_previous_hash(meta: CloseMeta, data: Buffer) -> bytes:
    """The hash of the ledger before, as the StellarValue binds it: in the transaction set, or by itself (CAP-83).

    Args:
        data: the buffer that `meta` was read from.
    """
    at = meta.value_ext_at
    if _WORD.unpack_from(data, at)[0] == _EMPTY_TX_SET:
        return bytes(data[at + 4 + 32 : at + 4 + 64])
    return meta.tx_set_previous_hash


def may_be_unsigned(meta: CloseMeta, data: Buffer) -> bool:
    """Whether an honest ledger may lack the signature: before protocol 14, and where its own upgrades set the version.

    Args:
        data: the buffer that `meta` was read from.
    """
    return meta.protocol_version < FIRST_SIGNED_PROTOCOL or _sets_version(meta, data)


def _sets_version(meta: CloseMeta, data: Buffer) -> bool:
    at = meta.header_at + _UPGRADES
    count: int = _WORD.unpack_from(data, at)[0]
    at += 4
    for _ in range(count):
        size, kind = struct.unpack_from(">II", data, at)
        if kind == _LEDGER_UPGRADE_VERSION:
            return True
        at += 4 + (size + 3 & ~3)
    return False


@functools.cache
def network_id(passphrase: str) -> bytes:
    """SHA-256 of a network's passphrase.

    >>> network_id("Public Global Stellar Network ; September 2015").hex()[:8]
    '7ac33997'
    """
    return hashlib.sha256(passphrase.encode()).digest()
