"""The walker: what it accepts, and for each class of error the place that it names."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from bronze.errors import ConfigError, XdrError
from bronze.xdr import load_walker, new_walker, table
from tests.support.made_ledgers import Made, RealLedgers, opaque, u32

V0, V2 = Made().v0(), Made().v2()
#: Positions in V2: version, ext and hash come before the header; behind the set lie 24 bytes.
HEADER = 4 + 4 + 32
UPGRADES = HEADER + 76
PROCESSING = len(V2) - 24
PHASES = PROCESSING - 4
#: In V0: behind the envelopes lie 12 bytes.
ENVELOPES = len(V0) - 12


def refused(walker: Any, data: bytes, end: int | None = None) -> tuple[int, str, str]:
    with pytest.raises(XdrError) as caught:
        walker.walk(data, 0, len(data) if end is None else end)
    return caught.value.offset, caught.value.path, caught.value.reason


def test_marks_are_positions_of_parts(walker: Any) -> None:
    data = Made(sequence=9).v2()
    marks = walker.walk(data, 0, len(data))
    assert marks[table.END] == len(data)
    assert marks[table.HEADER] == HEADER
    assert marks[table.VALUE_EXT] == UPGRADES + 4
    assert marks[table.VALUE_END] == UPGRADES + 8
    assert marks[table.HEADER_END] == UPGRADES + 8 + 64 + 4 + 16 + 24 + 128 + 4
    assert marks[table.TX_SET] == marks[table.HEADER_END] + 4
    assert marks[table.TX_SET_END] == marks[table.TX_SET] + 4 + 32 + 4
    assert marks[table.TX_COUNT] == marks[table.OPERATION_COUNT] == marks[table.RESULT_COUNT] == 0
    assert bytes(walker.results()) == u32(0)


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_is_walked_at_any_offset(walker: Any, kind: type) -> None:
    first, second = Made(sequence=9).v2(), Made(sequence=10).v0()
    data = kind(b"\xff" * 3 + first + second + b"\xff")
    middle = 3 + len(first)
    assert walker.walk(data, 3, len(data))[table.END] == middle
    assert walker.walk(data, middle, len(data))[table.END] == middle + len(second)


@pytest.mark.parametrize(("start", "end"), [(-1, 4), (0, 5), (3, 2)])
def test_span_outside_the_buffer_is_refused(walker: Any, start: int, end: int) -> None:
    with pytest.raises(ValueError, match="is not inside 4 bytes"):
        walker.walk(bytes(4), start, end)


def test_result_pairs_follow_their_count(walker: Any) -> None:
    pairs = [bytes([n]) * 32 + bytes(8) + u32(0xFFFFFFFB, 0) for n in (1, 2, 3)]  # -5: txBAD_SEQ
    metas = [u32(0) + pair + u32(0) + u32(0, 0) + u32(0) for pair in pairs]
    data = Made().v2(processing=u32(3) + b"".join(metas))
    assert walker.walk(data, 0, len(data))[table.RESULT_COUNT] == 3
    assert bytes(walker.results()) == u32(3) + b"".join(pairs)


def test_scratch_grows_and_is_reused(walker: Any) -> None:
    pair = bytes(40) + u32(0xFFFFFFFB, 0)
    data = Made().v2(processing=u32(5000) + 5000 * (u32(0) + pair + u32(0, 0, 0, 0)))
    for _ in range(2):
        walker.walk(data, 0, len(data))
        assert bytes(walker.results()) == u32(5000) + 5000 * pair
    small = Made().v2()
    walker.walk(small, 0, len(small))
    assert bytes(walker.results()) == u32(0)


def with_word(data: bytes, at: int, word: int) -> bytes:
    return data[:at] + u32(word) + data[at + 4 :]


@pytest.mark.parametrize(
    ("data", "offset", "path", "reason"),
    [
        # union discriminants
        (u32(3), 0, "LedgerCloseMeta", "3 is not a value of union LedgerCloseMeta"),
        (u32(0xFFFFFFFF), 0, "LedgerCloseMeta", "-1 is not a value"),
        (with_word(V2, 4, 2), 4, "LedgerCloseMeta.v2.ext", "2 is not a value of union LedgerCloseMetaExt"),
        (with_word(V2, UPGRADES + 4, 3), UPGRADES + 4, "LedgerCloseMeta.v2.ledgerHeader.header.scpValue.ext", "3 is"),
        # limits of counts, and counts beyond what is left
        (with_word(V2, UPGRADES, 7), UPGRADES, "LedgerCloseMeta.v2.ledgerHeader.header.scpValue.upgrades", "at most 6"),
        (
            with_word(V2, PHASES, 0xFFFFFFFF),
            PHASES,
            "LedgerCloseMeta.v2.txSet.v1TxSet.phases",
            "4294967295 elements of TransactionPhase need",
        ),
        (with_word(V2, PROCESSING, 0x40000000), PROCESSING, "LedgerCloseMeta.v2.txProcessing", "are left"),
        # lengths: the second word of upgrades
        (
            with_word(V2[:UPGRADES] + u32(1) + opaque(b"x") + V2[UPGRADES + 4 :], UPGRADES + 4, 129),
            UPGRADES + 4,
            "LedgerCloseMeta.v2.ledgerHeader.header.scpValue.upgrades[0]",
            "129 bytes, at most 128",
        ),
        # padding
        (
            V2[:UPGRADES] + u32(2) + opaque(b"ab") + u32(1) + b"c\0\1\0" + V2[UPGRADES + 4 :],
            UPGRADES + 4 + 8 + 4 + 2,
            "LedgerCloseMeta.v2.ledgerHeader.header.scpValue.upgrades[1]",
            "padding byte is 0x01",
        ),
        # an index within an array, an arm within a union
        (
            Made().v0([u32(0) + bytes(44) + u32(2) + bytes(20)]),
            ENVELOPES + 48,
            "LedgerCloseMeta.v0.txSet.txs[0].v0.tx.timeBounds",
            "2 is not a value of optional flag",
        ),
        (
            Made().v0([u32(0) + bytes(44) + u32(0, 5) + bytes(20)]),
            ENVELOPES + 52,
            "LedgerCloseMeta.v0.txSet.txs[0].v0.tx.memo",
            "5 is not a value of union Memo",
        ),
        (
            Made().v0([u32(0) + bytes(44) + u32(0, 0, 101) + bytes(20)]),
            ENVELOPES + 56,
            "LedgerCloseMeta.v0.txSet.txs[0].v0.tx.operations",
            "at most 100",
        ),
    ],
)  # fmt: skip
def test_error_names_offset_path_and_reason(walker: Any, data: bytes, offset: int, path: str, reason: str) -> None:
    found = refused(walker, data)
    assert found[:2] == (offset, path)
    assert reason in found[2]


def test_invalid_bool_and_enum_are_refused(walker: Any) -> None:
    result = bytes(40) + u32(0xFFFFFFFB, 0)
    head = u32(1, 0) + result + u32(0)  # one TransactionResultMetaV1 up to its meta
    meta = u32(4, 0, 0, 0, 0, 0)  # V4: ext, changes before, operations, changes after, no Soroban meta
    stage = Made().v2(processing=head + meta + u32(1, 3) + bytes(40))
    at = PROCESSING + len(head + meta) + 4
    assert refused(walker, stage) == (
        at,
        "LedgerCloseMeta.v2.txProcessing[0].txApplyProcessing.v4.events[0].stage",
        "3 is not a value of enum TransactionEventStage",
    )
    flag = Made().v2(processing=head + meta + u32(0, 1, 2) + bytes(40))
    assert refused(walker, flag) == (
        at + 4,
        "LedgerCloseMeta.v2.txProcessing[0].txApplyProcessing.v4.diagnosticEvents[0].inSuccessfulContractCall",
        "2 is not a value of bool",
    )


@pytest.mark.parametrize("made", [V0, V2], ids=["V0", "V2"])
def test_truncation_error_names_the_cut_field(walker: Any, made: bytes) -> None:
    for size in range(len(made)):
        offset, path, reason = refused(walker, made, size)
        assert size - 128 < offset <= size  # the longest field is 32 bytes, skipList 128
        assert path.startswith("LedgerCloseMeta")
        assert "left" in reason


def test_truncation_names_the_field(walker: Any) -> None:
    """A run of fixed-size fields is skipped at once, yet the one that is cut is named."""
    name = "LedgerCloseMeta.v2.ledgerHeader.header."
    assert refused(walker, V2, HEADER + 3)[:2] == (HEADER, f"{name}ledgerVersion")
    assert refused(walker, V2, HEADER + 4)[:2] == (HEADER + 4, f"{name}previousLedgerHash")
    assert refused(walker, V2, HEADER + 75)[:2] == (HEADER + 68, f"{name}scpValue.closeTime")
    assert refused(walker, V2, UPGRADES + 3)[:2] == (UPGRADES, f"{name}scpValue.upgrades")
    assert refused(walker, u32(2, 1, 0) + bytes(7))[:2] == (12, "LedgerCloseMeta.v2.ext.v1.sorobanFeeWrite1KB")
    assert refused(walker, u32(1, 1) + bytes(3))[:2] == (8, "LedgerCloseMeta.v1.ext.v1.ext")


def bomb(depth: int) -> bytes:
    """A V2 whose last diagnostic event holds a value of `depth` vectors within one another."""
    head = u32(1, 0) + bytes(40) + u32(0xFFFFFFFB, 0) + u32(0)
    meta = u32(4, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0)  # bool, ext, no contract, SYSTEM, body v 0, no topics
    return Made().v2(processing=head + meta + u32(16, 1, 1) * depth + u32(1) + u32(0))


def test_nesting_depth_is_bounded(walker: Any) -> None:
    frames = 6  # v2, txProcessing[0], v4, diagnosticEvents[0], body, and the value itself takes none
    deepest = (load_walker(interpreted=True).MAX_DEPTH - frames + 1) // 3
    walker.walk(bomb(deepest), 0, len(bomb(deepest)))
    for depth in (deepest + 1, 100_000):
        offset, path, reason = refused(walker, bomb(depth))
        assert "nested deeper than 1500 levels" in reason
        assert path.endswith(("vec[0].vec[0].vec", "vec[0].vec[0]"))
        assert len(path) < 15_000
        assert 0 < offset < 12 * 510 + 500


def test_error_survives_pickling(walker: Any) -> None:
    with pytest.raises(XdrError) as caught:
        walker.walk(u32(3), 0, 4)
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.offset, again.path) == (str(caught.value), 0, "LedgerCloseMeta")


def test_walker_is_usable_after_an_error(walker: Any) -> None:
    refused(walker, V2[:-1])
    assert walker.walk(V2, 0, len(V2))[table.END] == len(V2)


def test_compiled_and_interpreted_load_side_by_side() -> None:
    interpreted = load_walker(interpreted=True)
    assert not interpreted.COMPILED
    assert interpreted is load_walker(interpreted=True)
    try:
        compiled = load_walker(interpreted=False)
    except ConfigError:
        assert os.environ.get("BRONZE_REQUIRE_COMPILED") != "1"
        return
    assert compiled.COMPILED
    assert compiled is not interpreted


@pytest.mark.parametrize(("choice", "compiled"), [("interpreted", "False"), ("", None), ("both", "ConfigError")])
def test_environment_chooses_the_reader_on_use(choice: str, compiled: str | None) -> None:
    root = Path(__file__).parents[3]
    done = subprocess.run(
        [sys.executable, "-c", "import bronze.xdr; print(bronze.xdr.is_compiled())"],
        env={**os.environ, "BRONZE_READER": choice, "PYTHONPATH": str(root)},
        capture_output=True,
        text=True,
        check=False,
    )
    if compiled is None:
        assert done.stdout.strip() in ("True", "False")
    else:
        assert compiled in done.stdout + done.stderr


def test_walker_runs_without_cython() -> None:
    root = Path(__file__).parents[3]
    code = (
        "import sys; sys.modules['cython'] = None\n"
        "from bronze.xdr import is_compiled, new_walker, table\n"
        f"data = bytes.fromhex('{V2.hex()}')\n"
        "assert not is_compiled() and new_walker().walk(data, 0, len(data))[table.END] == len(data)\n"
    )
    environment = {**os.environ, "BRONZE_READER": "interpreted", "PYTHONPATH": str(root)}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)


@pytest.mark.ledgers
def test_threads_walk_concurrently(ledgers: RealLedgers) -> None:
    """Each with its own walker; the marks stay apart."""
    lines = [line for line in ledgers.lines if line["size"] > 50_000][:4]
    failed = []

    def run(data: bytes, expected: int) -> None:
        walker = new_walker()
        for _ in range(20):
            if walker.walk(data, 0, len(data))[table.TX_COUNT] != expected:
                failed.append(expected)

    threads = [threading.Thread(target=run, args=(ledgers.load(line), line["tx_count"])) for line in lines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
