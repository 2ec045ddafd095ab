"""Signatures of real ledgers, and everything that must make one fail."""

from __future__ import annotations

import dataclasses

import pytest

from bronze.authenticity.findings import node_name
from bronze.authenticity.value_signature import may_be_unsigned, network_id, read_value_signature
from bronze.ledger.close_meta import read_close_meta
from bronze.stellar import PASSPHRASES
from tests.support.made_ledgers import Made, RealLedgers, opaque, u32

PUBNET, TESTNET = (network_id(PASSPHRASES[name]) for name in ("pubnet", "testnet"))
#: Network, ledger, key and signature, from the public ledgers.
VECTORS = [
    pytest.param(
        "pubnet",
        53312000,
        "015d18552adadeeb4e8d305aef64ffaaf16b44fea5fe821e6063daf3b9e8ed57",
        "f96aad6aead4cbdb3f966588ca3235f975d381bbf1064f2f3e8cb90954695cc5"
        "fa823f4e81bce6a9e512f518aa295e5260874e80bfbed846ecd72fdf0e1b3605",
        id="pubnet",
    ),
    pytest.param(
        "testnet",
        1410048,
        "d57269d96250f7496d079be2e8351236efffe8d39c2e06bfabb1421f17fc671c",
        "bb9b1f3cf932801fe4a3bba9317794ade5edbf93a08a6486913a1cc792830583"
        "b158d669c0f524aea9af66eb6cf55b7c4a8d80a04863b26b1d901326045f290d",
        id="testnet",
    ),
]


@pytest.mark.ledgers
@pytest.mark.parametrize(("network", "ledger", "key", "signature"), VECTORS)
def test_vectors_hold_under_their_network_only(
    ledgers: RealLedgers, network: str, ledger: int, key: str, signature: str
) -> None:
    line = next(one for one in ledgers.lines if (one["network"], one["ledger_seq"]) == (network, ledger))
    data = ledgers.load(line)
    found = read_value_signature(read_close_meta(data, 0, len(data)), data)
    assert found is not None
    assert (found.node.hex(), found.signature.hex()) == (key, signature)
    assert found.attests_previous
    assert [found.holds(one) for one in (PUBNET, TESTNET)] == [network == "pubnet", network == "testnet"]
    changes = [
        {"close_time": found.close_time + 1},
        {"tx_set_hash": bytes([found.tx_set_hash[0] ^ 1]) + found.tx_set_hash[1:]},
        {"node": bytes([found.node[0] ^ 1]) + found.node[1:]},
        {"signature": found.signature[:63]},
        {"signature": b""},
        {"signature": found.signature[:63] + bytes([found.signature[63] ^ 1])},
        {"node": bytes(32)},
    ]
    for change in changes:
        assert not dataclasses.replace(found, **change).holds(network_id(PASSPHRASES[network])), change


def test_signature_of_any_size_is_read_not_believed() -> None:
    for size in (0, 1, 63, 64):
        data = Made(value_ext=u32(1, 0) + bytes(range(32)) + opaque(bytes(size))).v2()
        found = read_value_signature(read_close_meta(data, 0, len(data)), data)
        assert found is not None
        assert (found.node, len(found.signature), found.holds(PUBNET)) == (bytes(range(32)), size, False)


def test_empty_set_ledger_signs_the_proposed_hash() -> None:
    proposed = bytes([7]) * 32
    ext = u32(2) + proposed + bytes(32) + u32(27) + u32(0) + bytes(32) + opaque(bytes(64))
    data = Made(value_ext=ext, tx_set_hash=bytes(32)).v2()
    found = read_value_signature(read_close_meta(data, 0, len(data)), data)
    assert found is not None
    assert found.tx_set_hash == proposed
    assert not found.attests_previous


@pytest.mark.parametrize(
    ("upgrades", "honest"),
    [
        (u32(0), False),
        (u32(1) + opaque(u32(1, 23)), True),
        (u32(1) + opaque(u32(2, 100)), False),
        (u32(2) + opaque(u32(4, 5)) + opaque(u32(1, 23)), True),
        (u32(1) + opaque(b""), False),
    ],
)
def test_only_a_version_upgrade_excuses_its_absence(upgrades: bytes, honest: bool) -> None:
    data = Made(upgrades=upgrades).v2()
    meta = read_close_meta(data, 0, len(data))
    assert read_value_signature(meta, data) is None
    assert may_be_unsigned(meta, data) is honest
    assert may_be_unsigned(dataclasses.replace(meta, protocol_version=13), data)


def test_node_names_are_strkeys() -> None:
    from stellar_sdk import StrKey

    for key in (bytes(32), bytes(range(32)), bytes([255]) * 32):
        assert node_name(key) == StrKey.encode_ed25519_public_key(key)
