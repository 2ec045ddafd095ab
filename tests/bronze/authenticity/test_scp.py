"""SCP messages: which value a quorum externalized. The real archives of ../shared are the vectors."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from stellar_sdk import Keypair, xdr

from bronze.archives.checkpoint_files import records
from bronze.authenticity.quorum import QuorumSet
from bronze.authenticity.scp import ScpEnvelope, externalized, read_envelopes
from bronze.authenticity.validators_file import parse_validators_file
from bronze.errors import ArchiveError
from pipeline.sample.consensus import scp_history
from tests.support.real_validators import PASSPHRASES, PUBNET, TESTNET, configuration
from tests.support.scp_archive import network_id, sample_validators

ARCHIVES = Path(__file__).parents[3].parent / "shared" / "archives"
PHRASE = "Standalone Network ; February 2017"
NODES = sample_validators()
VALUE = xdr.StellarValue(
    xdr.Hash(b"t" * 32), xdr.TimePoint(xdr.Uint64(9)), [], xdr.StellarValueExt(xdr.StellarValueType.STELLAR_VALUE_BASIC)
)
OTHER = xdr.StellarValue(VALUE.tx_set_hash, xdr.TimePoint(xdr.Uint64(10)), [], VALUE.ext)


def history(nodes: list[Keypair], ledger: int = 7, value: xdr.StellarValue = VALUE) -> xdr.SCPHistoryEntry:
    return scp_history(network_id(PHRASE), nodes, ledger, value)


def read(entry: xdr.SCPHistoryEntry | bytes, ledger: int = 7) -> list[ScpEnvelope]:
    data = entry if isinstance(entry, bytes) else entry.to_xdr_bytes()
    return read_envelopes([memoryview(data)], ledger)


def names(nodes: list[Keypair]) -> set[str]:
    return {node.public_key for node in nodes}


def real_files(network: str, category: str) -> Iterator[bytes]:
    paths = sorted((ARCHIVES / network / category).rglob("*.gz"))
    assert paths
    return (gzip.decompress(path.read_bytes()) for path in paths)


@pytest.mark.ledgers
@pytest.mark.parametrize(
    ("network", "quorum", "count"),
    [
        ("testnet", parse_validators_file(configuration(TESTNET).encode(), "t").quorum, 2622),
        # SDF's own three were pubnet's quorum in these archives' time, protocol 8.
        ("pubnet", QuorumSet(threshold=2, nodes=tuple(PUBNET["sdf"])), 1088),
    ],
)
def test_quorum_stands_behind_every_archived_ledger(network: str, quorum: QuorumSet, count: int) -> None:
    if not ARCHIVES.exists():
        pytest.skip(f"no archives in {ARCHIVES}")
    of = network_id(PASSPHRASES[network])
    values = {}
    for content in real_files(network, "ledger"):
        for one in records(content):
            header = xdr.LedgerHeaderHistoryEntry.from_xdr_bytes(bytes(one)).header
            values[header.ledger_seq.uint32] = header.scp_value.to_xdr_bytes()
    proven = 0
    for content in real_files(network, "scp"):
        for one in records(content):
            count_of_sets = int.from_bytes(one[4:8], "big")
            assert count_of_sets
            parsed = xdr.SCPHistoryEntry.from_xdr_bytes(bytes(one)).v0
            assert parsed is not None
            ledger = parsed.ledger_messages.ledger_seq.uint32
            found = read_envelopes([one], ledger)
            assert [each.signature for each in found] == [
                m.signature.signature for m in parsed.ledger_messages.messages
            ]
            taken = externalized(found, of, set(quorum.all_nodes()))
            assert taken.keys() <= {values.get(ledger)}
            proven += quorum.is_satisfied_by(taken.get(values[ledger], ()))
    assert proven == count
    today = parse_validators_file(configuration(PUBNET).encode(), "p").quorum
    assert network == "testnet" or not today.is_satisfied_by(PUBNET["sdf"])


def test_valid_messages_of_named_nodes_count() -> None:
    found = read(history(NODES))
    assert [one.node for one in found] == [node.raw_public_key() for node in NODES]
    value = VALUE.to_xdr_bytes()
    assert externalized(found, network_id(PHRASE), names(NODES)) == {value: names(NODES)}
    assert externalized(found, network_id(PHRASE), names(NODES[:1])) == {value: names(NODES[:1])}
    assert externalized(found, network_id("another network"), names(NODES)) == {}
    assert read(history(NODES), ledger=8) == []


def test_changed_messages_do_not_count() -> None:
    data = history(NODES[:1]).to_xdr_bytes()
    at = data.index(VALUE.to_xdr_bytes())
    forged = data[:at] + OTHER.to_xdr_bytes() + data[at + len(OTHER.to_xdr_bytes()) :]
    assert externalized(read(forged), network_id(PHRASE), names(NODES)) == {}
    short = history(NODES[:1])
    assert short.v0
    short.v0.ledger_messages.messages[0].signature = xdr.Signature(b"short")
    assert externalized(read(short), network_id(PHRASE), names(NODES)) == {}


def signed(node: Keypair, pledges: xdr.SCPStatementPledges, slot: int = 7) -> xdr.SCPEnvelope:
    statement = xdr.SCPStatement(xdr.NodeID(node.xdr_public_key()), xdr.Uint64(slot), pledges)
    payload = network_id(PHRASE) + (1).to_bytes(4, "big") + statement.to_xdr_bytes()
    return xdr.SCPEnvelope(statement, xdr.Signature(node.sign(payload)))


def with_messages(*messages: xdr.SCPEnvelope) -> xdr.SCPHistoryEntry:
    entry = history(NODES)
    assert entry.v0
    entry.v0.ledger_messages.messages = list(messages)
    return entry


def test_only_confirm_and_externalize_take_a_value() -> None:
    types, nothing = xdr.SCPStatementType, xdr.Hash(bytes(32))
    value = xdr.Value(VALUE.to_xdr_bytes())
    ballot, number = xdr.SCPBallot(xdr.Uint32(3), value), xdr.Uint32(1)
    confirm = xdr.SCPStatementConfirm(ballot, number, number, number, nothing)
    prepare = xdr.SCPStatementPrepare(nothing, ballot, ballot, None, number, number)
    nominate = xdr.SCPNomination(nothing, [value, value], [value])
    entry = with_messages(
        signed(NODES[0], xdr.SCPStatementPledges(types.SCP_ST_CONFIRM, confirm=confirm)),
        signed(NODES[1], xdr.SCPStatementPledges(types.SCP_ST_PREPARE, prepare=prepare)),
        signed(NODES[2], xdr.SCPStatementPledges(types.SCP_ST_NOMINATE, nominate=nominate)),
        # Another slot's message says nothing of this ledger.
        signed(NODES[2], xdr.SCPStatementPledges(types.SCP_ST_CONFIRM, confirm=confirm), slot=8),
    )
    taken = externalized(read(entry), network_id(PHRASE), names(NODES))
    assert taken == {VALUE.to_xdr_bytes(): names(NODES[:1])}


def test_cut_off_records_are_damaged() -> None:
    data = history(NODES).to_xdr_bytes()
    for size in range(0, len(data), 4):
        with pytest.raises(ArchiveError, match="record 1 of its SCP messages is damaged"):
            read(data[:size])
    with pytest.raises(ArchiveError, match="4 bytes follow its messages"):
        read(data + bytes(4))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ((1).to_bytes(4, "big"), "its version is 1, expected 0"),
        (bytes(4) + b"\xff" * 4, "a count is 4294967295"),
        # A quorum set within a quorum set, without end.
        (bytes(4) + (1).to_bytes(4, "big") + (bytes(8) + (1).to_bytes(4, "big")) * 2000, "nested too deeply"),
        (bytes(8) + (7).to_bytes(4, "big") + (1).to_bytes(4, "big") + b"\0\0\0\1", "a key has the unknown type 1"),
        (
            bytes(8) + (7).to_bytes(4, "big") + (1).to_bytes(4, "big") + bytes(36) + bytes(8) + b"\0\0\0\7",
            "a statement has the unknown type 7",
        ),
    ],
)
def test_hostile_records_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(ArchiveError, match=message):
        read(data)
