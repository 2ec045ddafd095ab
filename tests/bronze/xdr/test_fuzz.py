"""Damaged ledgers: the reader takes exactly the bytes that stellar-sdk decodes and encodes again to the same.

Every mutant that the compiled reader takes is checked with stellar-sdk, and one in `REFUSED_SAMPLE` of those
it refuses (all would take minutes: stellar-sdk is some 400 times slower). The interpreted reader has to agree
with the compiled one, down to offset, path and reason, on one in `INTERPRETED_SAMPLE`. Known to differ, and
not reached by mutation: the reader allows deeper nesting than stellar-sdk (see MAX_DEPTH).

BRONZE_FUZZ_SCALE multiplies the number of mutants (default 1: 105,000 in about a minute); the seed is fixed.
"""

from __future__ import annotations

import os
import random
import struct
import tracemalloc
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest
from stellar_sdk import xdr

from bronze.errors import VerificationError, XdrError
from bronze.ledger.close_meta import read_object
from bronze.xdr import load_walker, table
from tests.support.made_ledgers import Made, RealLedgers, batch, chain, modules, u32

SCALE = float(os.environ.get("BRONZE_FUZZ_SCALE", "1"))
SEED = 20_150_930  # the day of ledger 1
REFUSED_SAMPLE, INTERPRETED_SAMPLE = 10, 10
WORDS = (0, 1, 2, 3, 5, 0x100, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFE)

Bases = list[bytes]
Mutation = Callable[[random.Random, bytes, Bases], bytes]


def position(rng: random.Random, data: bytes) -> int:
    """Of a word."""
    return rng.randrange(len(data) // 4) * 4


def flip_bit(rng: random.Random, data: bytes, _: Bases) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def set_byte(rng: random.Random, data: bytes, _: Bases) -> bytes:
    at = rng.randrange(len(data))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def set_word(rng: random.Random, data: bytes, _: Bases) -> bytes:
    at = position(rng, data)
    return data[:at] + u32(rng.choice(WORDS)) + data[at + 4 :]


def nudge_word(rng: random.Random, data: bytes, _: Bases) -> bytes:
    """Discriminants, counts and lengths off by little."""
    small = [at for at in range(0, len(data) - 3, 4) if data[at : at + 3] == b"\0\0\0"]
    at = rng.choice(small or [0])
    word = struct.unpack_from(">i", data, at)[0] + rng.choice((-2, -1, 1, 2, 3, 4))
    return data[:at] + struct.pack(">i", word) + data[at + 4 :]


def length_attack(rng: random.Random, data: bytes, _: Bases) -> bytes:
    """A word that claims as many bytes or elements as could just be left, or a bit more."""
    at = position(rng, data)
    left = len(data) - at - 4
    return data[:at] + u32(max(0, left // rng.choice((1, 4, 8, 12)) + rng.randrange(-1, 3))) + data[at + 4 :]


def truncate(rng: random.Random, data: bytes, _: Bases) -> bytes:
    return data[: rng.randrange(len(data))]


def insert(rng: random.Random, data: bytes, _: Bases) -> bytes:
    at = position(rng, data)
    return data[:at] + rng.choice((u32(0), u32(1), rng.randbytes(rng.randrange(1, 40)))) + data[at:]


def delete(rng: random.Random, data: bytes, _: Bases) -> bytes:
    at = position(rng, data)
    return data[:at] + data[at + rng.choice((1, 4, 8, 32)) :]


def splice(rng: random.Random, data: bytes, bases: Bases) -> bytes:
    """The head of one ledger and the tail of another."""
    other = rng.choice(bases)
    return data[: position(rng, data)] + other[position(rng, other) :]


def move(rng: random.Random, data: bytes, bases: Bases) -> bytes:
    """A stretch of one ledger over one of the same size in another."""
    other, size = rng.choice(bases), rng.choice((4, 8, 16, 64))
    source, at = position(rng, other), position(rng, data)
    piece = other[source : source + size]
    return data[:at] + piece + data[at + len(piece) :]


MUTATIONS: tuple[Mutation, ...] = (
    flip_bit, set_byte, set_word, nudge_word, length_attack, truncate, insert, delete, splice, move,
)  # fmt: skip


def outcome(walker: Any, data: bytes) -> tuple[Any, ...]:
    """Marks and results of a ledger that ends with the data; else offset, path and reason."""
    try:
        marks = walker.walk(data, 0, len(data))
    except XdrError as error:
        return error.offset, error.path, error.reason
    return marks, bytes(walker.results())


def taken(result: tuple[Any, ...], data: bytes) -> bool:
    return len(result) == 2 and result[0][table.END] == len(data)


def sdk_takes(data: bytes) -> bool:
    try:
        return xdr.LedgerCloseMeta.from_xdr_bytes(data).to_xdr_bytes() == data
    except Exception:  # whatever it raises is a refusal
        return False


def fuzz(bases: Bases, count: int, compiled: Any) -> Counter[bool]:
    rng, interpreted = random.Random(SEED), load_walker(interpreted=True).Walker()
    verdicts: Counter[bool] = Counter()
    for number in range(count):
        base = rng.choice(bases)
        data = rng.choice(MUTATIONS)(rng, base, bases)
        if rng.random() < 0.2 and len(data) > 64:
            data = rng.choice(MUTATIONS)(rng, data, bases)
        result = outcome(compiled, data)
        verdict = taken(result, data)
        verdicts[verdict] += 1
        assert len(result) == 2 or 0 <= result[0] <= len(data)
        if number % INTERPRETED_SAMPLE == 0:
            assert outcome(interpreted, data) == result, data.hex()
        if data != base and (verdict or number % REFUSED_SAMPLE == 0):
            assert sdk_takes(data) == verdict, f"reader: {result[:3]}, stellar-sdk: {not verdict}: {data.hex()}"
    return verdicts


@pytest.fixture(params=[row for row in modules() if row.id == "compiled"])
def compiled(request: pytest.FixtureRequest) -> Any:
    return load_walker(interpreted=request.param).Walker()


@pytest.fixture
def small(ledgers: RealLedgers) -> Bases:
    """Real ledgers of up to 4 KB: at most four of each version and set of transaction metas, eldest first."""
    rows: dict[tuple[object, ...], list[dict[str, Any]]] = {}
    for line in sorted(ledgers.lines, key=lambda line: line["size"]):
        kind = (line["version"], line["lcm_ext"], line["value_ext"], *line["meta_versions"], line["soroban_txs"] > 0)
        rows.setdefault((*kind, line["feebumps"] > 0, line["upgrades"] > 0), []).append(line)
    lines = [line for group in rows.values() for line in group[:4] if line["size"] <= 4096]
    assert {line["version"] for line in lines} == {0, 1, 2}
    return [ledgers.load(line) for line in lines]


def test_made_ledgers_match_stellar_sdk(compiled: Any) -> None:
    verdicts = fuzz([Made().v0(), Made().v2()], int(5_000 * SCALE), compiled)
    assert min(verdicts.values()) > 0.05 * verdicts.total()


@pytest.mark.ledgers
def test_real_ledgers_match_stellar_sdk(small: Bases, compiled: Any) -> None:
    verdicts = fuzz(small, int(100_000 * SCALE), compiled)
    assert min(verdicts.values()) > 0.05 * verdicts.total()  # both outcomes are exercised


def test_damaged_objects_raise_typed_errors() -> None:
    """Batches and bare ledgers through the whole of ``read_object``."""
    rng, bases = random.Random(SEED), [batch(9, 11, chain(9, 3)), batch(2, 2, chain(2, 1)), Made().v0()]
    for _ in range(int(10_000 * SCALE)):
        data = rng.choice(MUTATIONS)(rng, rng.choice(bases), bases)
        try:
            header, metas = read_object(data, 0, len(data))
        except (XdrError, VerificationError):
            continue
        assert metas[-1].end == len(data)
        assert header is None or len(metas) == header.count


@pytest.mark.ledgers
def test_no_word_makes_the_walker_allocate(small: Bases, compiled: Any) -> None:
    """Whatever a word claims: beyond the scratch, at most some times the input's size is allocated."""
    for data in small[::6]:
        outcome(compiled, data)
        tracemalloc.start()
        try:
            for at in range(0, len(data), 4):
                for word in (0x7FFFFFFF, 0xFFFFFFFF, (len(data) - at) // 4):
                    outcome(compiled, data[:at] + u32(word) + data[at + 4 :])
            assert tracemalloc.get_traced_memory()[1] < 8 * len(data) + 65536
        finally:
            tracemalloc.stop()
