"""What is accepted and refused: every real ledger, and forgeries in which every hash and link holds."""

from __future__ import annotations

import dataclasses
import re

import pytest

from bronze.authenticity import authenticator as authenticator_module
from bronze.authenticity.authenticator import Authenticator
from bronze.authenticity.findings import PartitionAuthenticity, parse_authenticity
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.authenticity.quorum import QuorumSet, attested_through
from bronze.errors import AuthenticityError
from bronze.ledger.close_meta import VerifyLevel, read_close_meta
from bronze.ledger.hashes import check_hashes, check_link
from bronze.stellar import GENESIS_HASHES, PASSPHRASES
from tests.support.forged_ledgers import fee_pool_at, real_chain, rehashed, relinked
from tests.support.made_ledgers import Made, RealLedgers, u32

#: What the networks of the real ledgers sign under.
NETWORKS = {
    **PASSPHRASES,
    "core-test": "(V) (;,,;) (V)",
    "apply-load": "Apply Load",
    "loadtest": "load test network",
    "standalone": "Standalone Network ; February 2017",
}


def policy(network: str = "pubnet", **changes: object) -> AuthenticityPolicy:
    return AuthenticityPolicy(network=network, passphrase=NETWORKS.get(network), **changes)  # type: ignore[arg-type]


def check(ledgers: list[bytes], one: AuthenticityPolicy) -> PartitionAuthenticity:
    authenticator = Authenticator(one)
    previous = None
    for data in ledgers:
        meta = read_close_meta(data, 0, len(data))
        check_hashes(meta, VerifyLevel.FULL)
        if previous is not None:
            check_link(previous.ledger_hash, meta)
        authenticator.check(meta, data)
        previous = meta
    return authenticator.findings()


@pytest.mark.ledgers
def test_every_real_ledger_passes_under_its_network(ledgers: RealLedgers) -> None:
    unproven, counted = [], PartitionAuthenticity(network_id="")
    for line in ledgers.lines:
        data = ledgers.load(line)
        authenticator = Authenticator(policy(line["network"]))
        authenticator.check(read_close_meta(data, 0, len(data)), data)
        found = authenticator.findings()
        assert found.failed_signatures == found.failed_events == found.rewritten_events == 0, line["file"]
        assert found.signatures + found.transaction_proofs + found.unproven == 1
        counted = dataclasses.replace(
            counted,
            signatures=counted.signatures + found.signatures,
            transaction_proofs=counted.transaction_proofs + found.transaction_proofs,
            events=counted.events + found.events,
        )
        if found.unproven:
            unproven.append(line["file"][:8])
    assert unproven == ["00000011", "06154623"]  # no network is recorded; no transaction, protocol 2
    assert (counted.transaction_proofs, counted.events) == (3, 4167)
    assert counted.signatures == len(ledgers.lines) - 5


@pytest.mark.ledgers
def test_ledger_of_another_network_is_named(ledgers: RealLedgers) -> None:
    data = real_chain("testnet", 1410048, 1410048)
    message = (
        r"ledger 1410048 is not authentic: the signature of node G\w{55} does not hold .* it is a ledger of testnet"
    )
    with pytest.raises(AuthenticityError, match=message):
        check(data, policy("pubnet"))
    with pytest.raises(AuthenticityError, match=r"is a ledger of testnet, but era.network is 'mine'"):
        check(data, policy("mine"))
    found = check(data, policy("pubnet", signatures=CheckMode.REPORT))
    assert (found.signatures, found.failed_signatures, found.signers) == (0, 1, ())
    assert check(data, policy("pubnet", signatures=CheckMode.OFF)).failed_signatures == 0


@pytest.mark.ledgers
def test_unsigned_ledger_of_another_network_is_refused(ledgers: RealLedgers) -> None:
    data = real_chain("pubnet", 9652679, 9652679)
    assert check(data, policy("pubnet")).transaction_proofs == 1
    with pytest.raises(AuthenticityError, match=r"last transaction under the network .* it is a ledger of pubnet"):
        check(data, policy("testnet"))


@pytest.mark.ledgers
def test_relinked_history_fails_at_the_next_signature(ledgers: RealLedgers) -> None:
    real = real_chain("pubnet", 63092982, 63092991)
    at = fee_pool_at(read_close_meta(real[3], 0, len(real[3])), real[3])

    def change(buffer: bytearray) -> None:
        buffer[at + 7] ^= 1

    forged = relinked(real, 3, change)
    # The signature covers the set and the time, not the header: the forged ledger itself keeps a valid one.
    with pytest.raises(AuthenticityError, match="ledger 63092986 is not authentic: the signature of node"):
        check(forged, policy())
    found = check(forged, policy(signatures=CheckMode.REPORT))
    assert (found.signatures, found.failed_signatures) == (4, 6)
    # Nobody stands behind the forged ledger, nor behind any later one.
    anyone = QuorumSet(threshold=1, nodes=tuple(node for node, _ in found.signers))
    assert attested_through(anyone, dict(found.signers)) == 63092984


@pytest.mark.ledgers
def test_swapped_transaction_set_fails(ledgers: RealLedgers) -> None:
    one, other = real_chain("testnet", 1410100, 1410101)

    def body(data: bytes) -> slice:
        meta = read_close_meta(data, 0, len(data))
        at = data.index(meta.previous_ledger_hash, meta.value_ext_at)
        return slice(at + 32, None)

    forged = rehashed(one[: body(one).start] + other[body(other)])
    meta = read_close_meta(forged, 0, len(forged))
    check_hashes(meta, VerifyLevel.FULL)
    with pytest.raises(AuthenticityError, match="ledger 1410100 is not authentic"):
        check([forged], policy("testnet"))


@pytest.mark.ledgers
def test_changed_contract_event_is_refused(ledgers: RealLedgers) -> None:
    (data,) = real_chain("pubnet", 63092990, 63092990)
    meta = read_close_meta(data, 0, len(data))
    events_end = meta.invocations[5]
    forged = bytearray(data)
    forged[events_end - 1] ^= 1  # the last byte of a value in the last event
    message = (
        r"ledger 63092990: the events and the return value .* the result states [0-9a-f]{64}, they give [0-9a-f]{64}"
    )
    with pytest.raises(AuthenticityError, match=message):
        check([bytes(forged)], policy())
    found = check([bytes(forged)], policy(events=CheckMode.REPORT))
    assert (found.failed_events, found.events) == (1, len(meta.invocations) // 6 - 1)
    assert check([bytes(forged)], policy(events=CheckMode.OFF)).failed_events == 0


@pytest.mark.ledgers
def test_events_of_older_protocols_may_be_rewritten(ledgers: RealLedgers) -> None:
    (data,) = real_chain("pubnet", 63092990, 63092990)
    forged = bytearray(data)
    meta = read_close_meta(data, 0, len(data))
    forged[meta.invocations[5] - 1] ^= 1
    changed = read_close_meta(bytes(forged), 0, len(forged))
    authenticator = Authenticator(policy(signatures=CheckMode.OFF))
    authenticator.check(dataclasses.replace(changed, protocol_version=22), bytes(forged))
    assert (authenticator.findings().rewritten_events, authenticator.findings().failed_events) == (1, 0)


def test_missing_signature_is_refused() -> None:
    data = Made().v2()
    with pytest.raises(
        AuthenticityError, match="ledger 7 is not authentic: it has no signature, which every ledger of"
    ):
        check([data], policy())
    assert check([data], policy("mine")).unproven == 1


def test_upgrade_of_the_version_excuses_its_own_ledger() -> None:
    data = Made(upgrades=u32(1, 8, 1, 23)).v2()
    assert check([data], policy()).unproven == 1


def test_anchors_are_compared_in_either_place() -> None:
    ledger = Made(sequence=9, upgrades=u32(1, 8, 1, 23)).v2()
    meta = read_close_meta(ledger, 0, len(ledger))
    right = ((8, meta.previous_ledger_hash.hex()), (9, meta.ledger_hash.hex()))
    assert check([ledger], policy(anchors=right)).unproven == 1
    for at, found in right:
        with pytest.raises(AuthenticityError, match=rf"ledger 9: the hash of ledger {at} is {found} .* {'ab' * 32}"):
            check([ledger], policy(anchors=((at, "ab" * 32),)))


def test_second_ledger_must_follow_the_genesis() -> None:
    ledger = Made(sequence=2, upgrades=u32(1, 8, 1, 23)).v2()
    genesis = ((1, GENESIS_HASHES[PASSPHRASES["pubnet"]]),)
    with pytest.raises(AuthenticityError, match="genesis, which follows from the passphrase, says 39c2a3cd"):
        check([ledger], policy(anchors=genesis))


@pytest.mark.ledgers
def test_signers_have_their_last_ledger(ledgers: RealLedgers) -> None:
    found = check(real_chain("testnet", 1410048, 1410067), policy("testnet"))
    assert found.signatures == 20
    assert max(ledger for _, ledger in found.signers) == 1410067
    assert [node for node, _ in found.signers] == sorted(node for node, _ in found.signers)
    assert parse_authenticity(found.as_json()) == found


@pytest.mark.ledgers
def test_unverified_sets_name_no_signers(ledgers: RealLedgers) -> None:
    found = check(real_chain("testnet", 1410048, 1410057), policy("testnet", sets_are_verified=False))
    assert (found.signatures, found.signers) == (10, ())


@pytest.mark.ledgers
def test_signers_of_a_manifest_are_bounded(ledgers: RealLedgers, monkeypatch: pytest.MonkeyPatch) -> None:
    """Anybody can make a key for each ledger: the manifest must stay readable."""
    real = real_chain("testnet", 1410048, 1410057)
    whole = dict(check(real, policy("testnet")).signers)
    monkeypatch.setattr(authenticator_module, "MAX_SIGNERS", 2)
    last = sorted(whole, key=lambda node: -whole[node])[:2]
    assert check(real, policy("testnet")).signers == tuple(sorted((node, whole[node]) for node in last))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"network_id": "xyz"}, "network_id is 'xyz'"),
        ({"signatures": -1}, "signatures is -1"),
        ({"events": True}, "events is True"),
        ({"signers": []}, r"signers is \[\]"),
        ({"signers": {"GA": 2}}, "the node 'GA'"),
        ({"signers": {"G" + "A" * 55: "2"}}, "is '2', expected a whole number"),
    ],
)
def test_damaged_findings_are_refused(change: dict[str, object], message: str) -> None:
    good = PartitionAuthenticity(network_id="ab" * 32).as_json()
    with pytest.raises((TypeError, ValueError), match=message):
        parse_authenticity({**good, **change})
    for name in good:
        with pytest.raises(KeyError, match=re.escape(name)):
            parse_authenticity({key: value for key, value in good.items() if key != name})


@pytest.mark.ledgers
def test_set_that_follows_another_ledger_is_refused(ledgers: RealLedgers) -> None:
    (data,) = real_chain("testnet", 1410100, 1410100)
    meta = dataclasses.replace(read_close_meta(data, 0, len(data)), tx_set_previous_hash=bytes(32))
    with pytest.raises(AuthenticityError, match=f"follows the ledger {'00' * 32}, its header {'[0-9a-f]' * 8}"):
        Authenticator(policy("testnet")).check(meta, data)
    counted = Authenticator(policy("testnet", signatures=CheckMode.REPORT))
    counted.check(meta, data)
    assert (counted.findings().signatures, counted.findings().failed_signatures) == (0, 1)
