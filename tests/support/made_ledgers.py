"""Close metas made of chosen parts, and the real ledgers: for the tests of the XDR reader and of what reads with it.

Fixtures (the conftest of a room imports those that it needs):
    walker       a walker, once compiled and once interpreted
    ledgers      the real ledgers of ../shared: the lines of their index, and `load(line)` for the bytes

Builders: `Made(...).v0()` and `Made(...).v2()` make close meta bytes with chosen parts, `batch` and `chain` several;
`u32`, `i64` and `opaque` make XDR words.
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import zstandard

from bronze.errors import ConfigError
from bronze.xdr import load_walker

LEDGERS = Path(__file__).parents[2].parent / "shared" / "ledgers"


def u32(*words: int) -> bytes:
    return struct.pack(f">{len(words)}I", *words)


def i64(value: int) -> bytes:
    return struct.pack(">q", value)


def opaque(data: bytes) -> bytes:
    return u32(len(data)) + data + bytes(-len(data) % 4)


@dataclass(frozen=True)
class Made:
    """A consistent close meta, made of parts; every hash in it holds unless another is given."""

    sequence: int = 7
    previous: bytes = bytes(31) + b"\x01"
    value_ext: bytes = u32(0)
    upgrades: bytes = u32(0)
    tx_set_hash: bytes | None = None
    result_hash: bytes | None = None
    ledger_hash: bytes | None = None
    header_ext: bytes = u32(0)

    def entry(self, tx_set_material: bytes, pairs: bytes) -> bytes:
        """LedgerHeaderHistoryEntry."""
        head = u32(23) + self.previous
        head += sha256(tx_set_material).digest() if self.tx_set_hash is None else self.tx_set_hash
        head += struct.pack(">Q", 1_700_000_000) + self.upgrades + self.value_ext
        head += sha256(pairs).digest() if self.result_hash is None else self.result_hash
        head += bytes(32) + u32(self.sequence) + i64(10**18) + i64(-5) + bytes(4 + 8 + 4 + 4 + 4 + 128)
        head += self.header_ext
        stored = sha256(head).digest() if self.ledger_hash is None else self.ledger_hash
        return stored + head + u32(0)

    def v0(self, envelopes: list[bytes] = [], tail: bytes = u32(0, 0, 0)) -> bytes:  # noqa: B006
        """A V0; `tail` is txProcessing, upgradesProcessing and scpInfo."""
        txs = b"".join(envelopes)
        entry = self.entry(self.previous + txs, u32(0))
        return u32(0) + entry + self.previous + u32(len(envelopes)) + txs + tail

    def v2(
        self, phases: bytes = u32(0), processing: bytes = u32(0), pairs: bytes = u32(0), tail: bytes | None = None
    ) -> bytes:
        """A V2; `pairs` is what the result hash is taken over, `tail` what follows txProcessing."""
        tx_set = u32(1) + self.previous + phases
        tail = u32(0, 0) + i64(0) + u32(0) if tail is None else tail
        return u32(2, 0) + self.entry(tx_set, pairs) + tx_set + processing + tail


def batch(start: int, end: int, metas: list[bytes], count: int | None = None) -> bytes:
    return u32(start, end, len(metas) if count is None else count) + b"".join(metas)


def chain(start: int, count: int) -> list[bytes]:
    """Consecutive V2 ledgers that link to one another."""
    metas, previous = [], bytes(32)
    for sequence in range(start, start + count):
        made = Made(sequence=sequence, previous=previous)
        metas.append(made.v2())
        previous = metas[-1][8:40]
    return metas


def modules() -> list[Any]:
    """Parameters `compiled` and `interpreted`: the modules of the walker."""
    rows = [pytest.param(True, id="interpreted")]
    try:
        load_walker(interpreted=False)
    except ConfigError:
        if os.environ.get("BRONZE_REQUIRE_COMPILED") == "1":
            raise
        reason = "the reader is not compiled: run python setup.py build_ext --inplace"
        return [pytest.param(False, id="compiled", marks=pytest.mark.skip(reason=reason)), *rows]
    return [pytest.param(False, id="compiled"), *rows]


@pytest.fixture(params=modules())
def walker(request: pytest.FixtureRequest) -> Any:
    return load_walker(interpreted=request.param).Walker()


@lru_cache(maxsize=1)
def index() -> list[dict[str, Any]]:
    return [json.loads(line) for line in (LEDGERS / "index.jsonl").read_text().splitlines()]


def load(line: dict[str, Any]) -> bytes:
    packed = (LEDGERS / line["file"]).read_bytes()
    return zstandard.ZstdDecompressor().decompress(packed, max_output_size=line["size"])


@dataclass(frozen=True)
class RealLedgers:
    """The real ledgers: the lines of their index and how to load one's bytes."""

    lines: list[dict[str, Any]]
    load: Callable[[dict[str, Any]], bytes]


@pytest.fixture(scope="session")
def ledgers() -> RealLedgers:
    if not (LEDGERS / "index.jsonl").exists():
        pytest.skip(f"no real ledgers at {LEDGERS}")
    return RealLedgers(index(), load)
