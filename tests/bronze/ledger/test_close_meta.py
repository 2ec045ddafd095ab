"""The fields read of a ledger, and how an object's bytes are split into ledgers."""

from __future__ import annotations

import re
from hashlib import sha256
from typing import Any

import pytest

import bronze.ledger.close_meta
from bronze.errors import NewerFormatError, VerificationError, XdrError
from bronze.ledger.close_meta import (
    BATCH_HEADER_BYTES,
    BatchHeader,
    VerifyLevel,
    read_batch_header,
    read_close_meta,
    read_object,
)
from tests.support.made_ledgers import Made, RealLedgers, batch, chain, u32


@pytest.fixture(autouse=True)
def reader(walker: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test of this file runs with both walkers."""
    monkeypatch.setattr(bronze.ledger.close_meta, "_walker", lambda: walker)


@pytest.mark.parametrize("name", ["v0", "v2"])
def test_fields_of_a_ledger_are_read(name: str) -> None:
    made = Made(sequence=4_000_000_000, upgrades=u32(1, 3) + b"abc\0")
    data = b"\xff" * 5 + getattr(made, name)()
    meta = read_close_meta(data, 5, len(data))
    assert (meta.start, meta.end, meta.version) == (5, len(data), int(name[1]))
    assert (meta.sequence, meta.protocol_version, meta.close_time) == (4_000_000_000, 23, 1_700_000_000)
    assert (meta.total_coins, meta.fee_pool) == (10**18, -5)
    assert (meta.tx_count, meta.operation_count, meta.empty_tx_set) == (0, 0, False)
    assert meta.previous_ledger_hash == made.previous
    assert meta.ledger_hash == meta.computed_ledger_hash
    assert meta.tx_set_hash == meta.computed_tx_set_hash
    assert meta.result_hash == meta.computed_result_hash == sha256(u32(0)).digest()
    assert all(type(value) is bytes for value in (meta.ledger_hash, meta.previous_ledger_hash, meta.tx_set_hash))


def test_header_level_computes_only_the_ledger_hash() -> None:
    data = Made().v2()
    meta = read_close_meta(data, 0, len(data), VerifyLevel.HEADER)
    assert meta.computed_ledger_hash == meta.ledger_hash
    assert meta.computed_tx_set_hash is None
    assert meta.computed_result_hash is None


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ((0, 0, 0), None),  # versions of a bare LedgerCloseMeta
        ((1, 0, 0), None),
        ((1, 5, 5), None),
        ((2, 0, 9), None),  # V2, its extension's version 0
        ((2, 1, 9), None),  # V2, its extension's version 1
        ((2, 2, 1), BatchHeader(2, 2, 1)),  # the first batch of a network
        ((2, 63, 62), BatchHeader(2, 63, 62)),
        ((3, 3, 1), BatchHeader(3, 3, 1)),
        ((0xFFFFFFFF, 0xFFFFFFFF, 1), BatchHeader(0xFFFFFFFF, 0xFFFFFFFF, 1)),
    ],
)
def test_batches_and_bare_ledgers_are_distinguished(words: tuple[int, ...], expected: BatchHeader | None) -> None:
    assert read_batch_header(b"?" + u32(*words), 1, 13) == expected


@pytest.mark.parametrize(
    ("data", "offset", "path", "reason"),
    [
        (b"", 0, "LedgerCloseMetaBatch", "12 bytes are needed, 0 are left"),
        (bytes(11), 0, "LedgerCloseMetaBatch", "12 bytes are needed, 11 are left"),
        (u32(9, 8, 0), 4, "LedgerCloseMetaBatch.endSequence", "from ledger 9 to 8"),
        (u32(11, 0, 0), 4, "LedgerCloseMetaBatch.endSequence", "from ledger 11 to 0"),
        (Made().v2() + b"\0", len(Made().v2()), "LedgerCloseMeta", "1 bytes follow the last ledger, 7, expected 0"),
        (
            batch(7, 7, [Made().v2()]) + bytes(4),
            12 + len(Made().v2()),
            "LedgerCloseMetaBatch",
            "4 bytes follow the last ledger, 7, expected 0",
        ),
        (
            batch(7, 8, [Made().v2()], count=2),
            12 + len(Made().v2()),
            "LedgerCloseMetaBatch.ledgerCloseMetas[1]",
            "4 bytes are needed, 0 are left",
        ),
        (
            batch(7, 8, [Made().v2(), u32(2, 3)]),
            12 + len(Made().v2()) + 4,
            "LedgerCloseMetaBatch.ledgerCloseMetas[1].v2.ext",
            "3 is not a value of union LedgerCloseMetaExt",
        ),
    ],
)  # fmt: skip
def test_malformed_object_error_names_the_place(data: bytes, offset: int, path: str, reason: str) -> None:
    """Offsets are counted from the object's first byte, wherever it lies in the buffer."""
    buffer = b"\xff" * 100 + data
    with pytest.raises(XdrError, match=reason) as caught:
        read_object(buffer, 100, len(buffer))
    assert (caught.value.offset, caught.value.path) == (offset, path)


def with_word(data: bytes, at: int, word: int) -> bytes:
    return data[:at] + u32(word) + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "offset", "path", "reason"),
    [
        # the close meta itself: in a batch, the second of a batch, without a batch
        (batch(7, 7, [with_word(Made().v2(), 0, 3)]), 12, "LedgerCloseMetaBatch.ledgerCloseMetas[0]",
         "3 is not a value of union LedgerCloseMeta"),
        (batch(7, 8, [Made().v2(), with_word(Made().v2(), 0, 10)]), 12 + len(Made().v2()),
         "LedgerCloseMetaBatch.ledgerCloseMetas[1]", "10 is not a value of union LedgerCloseMeta"),
        (with_word(Made().v2(), 0, 3), 0, "LedgerCloseMeta", "a LedgerCloseMeta of version 3, or a batch from"),
        (u32(10, 1, 9), 0, "LedgerCloseMeta", "a LedgerCloseMeta of version 10, or a batch from ledger 10 to 1"),
        # its extension
        (batch(7, 7, [with_word(Made().v2(), 4, 2)]), 16, "LedgerCloseMetaBatch.ledgerCloseMetas[0].v2.ext",
         "2 is not a value of union LedgerCloseMetaExt"),
    ],
)  # fmt: skip
def test_newer_version_asks_for_an_upgrade(data: bytes, offset: int, path: str, reason: str) -> None:
    with pytest.raises(NewerFormatError) as caught:
        read_object(b"\xff" * 9 + data, 9, 9 + len(data))
    assert (caught.value.offset, caught.value.path) == (offset, path)
    assert reason in caught.value.reason
    assert re.fullmatch(r"newer than this program reads: .*: upgrade bronze-copier", str(caught.value))


@pytest.mark.parametrize("version", [11, 0x7F, 0x02000000, 0xFFFFFFFF])
def test_impossible_version_is_damage(version: int) -> None:
    data = batch(7, 7, [with_word(Made().v2(), 0, version)])
    with pytest.raises(XdrError, match="malformed XDR at byte 12") as caught:
        read_object(data, 0, len(data))
    assert not isinstance(caught.value, NewerFormatError)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (batch(7, 7, [], count=0), "ledgers 7-7 holds 0, expected 1"),
        (batch(7, 8, chain(7, 1)), "ledgers 7-8 holds 1, expected 2"),
        (batch(7, 7, chain(7, 1), count=0xFFFFFFFF), "ledgers 7-7 holds 4294967295, expected 1"),
        (batch(8, 8, chain(7, 1)), "ledgers 8-8 holds ledger 7 where ledger 8 is expected"),
        (batch(7, 8, chain(7, 1) * 2), "ledgers 7-8 holds ledger 7 where ledger 8 is expected"),
    ],
)
def test_contradictory_batches_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        read_object(data, 0, len(data))


@pytest.mark.parametrize("count", [1, 3, 64])
def test_every_ledger_of_a_batch_is_read(count: int) -> None:
    ledgers = chain(2, count)
    data = b"\xff" + batch(2, count + 1, ledgers)
    header, metas = read_object(data, 1, len(data))
    assert header == BatchHeader(2, count + 1, count)
    assert [meta.sequence for meta in metas] == list(range(2, count + 2))
    assert [data[meta.start : meta.end] for meta in metas] == ledgers
    assert metas[0].start == 1 + BATCH_HEADER_BYTES


def test_bare_ledger_two_is_not_a_batch() -> None:
    data = Made(sequence=2).v2()
    header, metas = read_object(data, 0, len(data))
    assert header is None
    assert [meta.sequence for meta in metas] == [2]


@pytest.mark.ledgers
def test_real_ledgers_match_their_index(ledgers: RealLedgers) -> None:
    for line in ledgers.lines:
        data = ledgers.load(line)
        header, (meta,) = read_object(data, 0, len(data), VerifyLevel.HEADER)
        assert header is None
        found = {
            "version": meta.version,
            "ledger_seq": meta.sequence,
            "protocol": meta.protocol_version,
            "ledger_hash": meta.ledger_hash.hex(),
            "prev_hash": meta.previous_ledger_hash.hex(),
            "close_time": meta.close_time,
            "tx_count": meta.tx_count,
            "op_count": meta.operation_count,
            "size": meta.end,
        }
        assert found == {name: line[name] for name in found}, line["file"]
        assert meta.empty_tx_set == (line["value_ext"] == 2)
