"""Hashes and links: what passes, and the message when one does not hold."""

from __future__ import annotations

from typing import Any

import pytest

from bronze.errors import VerificationError
from bronze.ledger.close_meta import CloseMeta, VerifyLevel, read_close_meta
from bronze.ledger.hashes import check_hashes, check_link
from tests.support.made_ledgers import Made, RealLedgers, chain, u32

WRONG = b"\x5a" * 32
#: StellarValue ext of an empty set: the proposed value (hash, hash, version) and its signature.
EMPTY = u32(2) + bytes(68) + u32(0) + bytes(32) + u32(0)
ENVELOPE = u32(0) + bytes(44) + u32(0, 0, 0, 0, 0)


def read(data: bytes, verify: VerifyLevel = VerifyLevel.FULL) -> CloseMeta:
    return read_close_meta(data, 0, len(data), verify)


@pytest.mark.parametrize(
    "data",
    [
        Made().v0(),
        Made().v0([ENVELOPE, ENVELOPE]),
        Made().v2(),
        Made(value_ext=EMPTY, tx_set_hash=bytes(32)).v2(),
    ],
    ids=["V0", "V0 with envelopes", "V2", "empty set"],
)
def test_valid_ledgers_pass_at_every_level(data: bytes) -> None:
    for verify in VerifyLevel:
        check_hashes(read(data), verify)
    check_hashes(read(data, VerifyLevel.HEADER), VerifyLevel.HEADER)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (Made(ledger_hash=WRONG).v2(), "ledger 7: ledger hash does not hold: stored 5a5a.*, computed [0-9a-f]{64}$"),
        (Made(tx_set_hash=WRONG).v2(), "ledger 7: transaction set hash does not hold: stored 5a5a.*, computed"),
        (Made(tx_set_hash=WRONG).v0(), "ledger 7: transaction set hash does not hold: stored 5a5a.*, computed"),
        (Made(result_hash=WRONG).v2(), "ledger 7: result hash does not hold: stored 5a5a.*, computed"),
        (Made(result_hash=WRONG).v0(), "ledger 7: result hash does not hold: stored 5a5a.*, computed"),
        (Made(value_ext=EMPTY).v2(), "hash of an empty set does not hold: stored .*, computed 0{64}"),
        (Made(value_ext=EMPTY, tx_set_hash=bytes(32)).v0([ENVELOPE]), "declares the transaction set empty, it holds 1"),
        (Made(tx_set_hash=bytes(32)).v2(), "transaction set hash does not hold: stored 0{64}"),
    ],
)
def test_wrong_hash_is_refused_with_both_values(data: bytes, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        check_hashes(read(data), VerifyLevel.FULL)


def test_header_level_checks_only_the_ledger_hash() -> None:
    check_hashes(read(Made(tx_set_hash=WRONG, result_hash=WRONG).v2()), VerifyLevel.HEADER)
    with pytest.raises(VerificationError, match="ledger hash"):
        check_hashes(read(Made(ledger_hash=WRONG).v2()), VerifyLevel.HEADER)


def test_uncomputed_hashes_cannot_be_checked() -> None:
    with pytest.raises(ValueError, match="cannot be checked in full"):
        check_hashes(read(Made().v2(), VerifyLevel.HEADER), VerifyLevel.FULL)


def test_broken_link_names_both_hashes() -> None:
    first, second = (read(data) for data in chain(7, 2))
    check_link(first.ledger_hash, second)
    with pytest.raises(VerificationError, match=r"ledger 8 does not follow ledger 7: .* is [0-9a-f]{64}, .* is 5a5a"):
        check_link(WRONG, second)


@pytest.mark.parametrize("verify", ["full", "header"])
def test_levels_are_named_as_in_settings(verify: str) -> None:
    assert VerifyLevel(verify) == verify


@pytest.mark.ledgers
def test_real_ledgers_get_expected_verdicts(ledgers: RealLedgers, walker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the index; only that a zero hash is right for a set declared empty."""
    monkeypatch.setattr("bronze.ledger.close_meta._walker", lambda: walker)
    for line in ledgers.lines:
        meta = read(ledgers.load(line))
        found = {
            "header": meta.computed_ledger_hash == meta.ledger_hash,
            "txset": meta.computed_tx_set_hash == meta.tx_set_hash,
            "results": meta.computed_result_hash == meta.result_hash,
        }
        assert found == {name: line["checks"][name] for name in found}, line["file"]
        if line["tier"] == "A" or meta.empty_tx_set:
            check_hashes(meta, VerifyLevel.FULL)
        else:
            check_hashes(meta, VerifyLevel.HEADER)
            with pytest.raises(VerificationError, match=f"ledger {meta.sequence}: transaction set hash"):
                check_hashes(meta, VerifyLevel.FULL)
