"""The ledger headers of a checkpoint: all of them, linked, each with its own hash."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.archives.ledger_headers import read_headers
from bronze.errors import ArchiveError
from tests.support.made_archive import header_of, record
from tests.support.made_ledgers import Made, RealLedgers, ledgers, opaque, u32

__all__ = ["ledgers"]


def packed(headers: dict[int, bytes], first: int = 64, last: int = 127) -> list[bytes]:
    return [record(headers[number]) for number in range(first, last + 1)]


def test_hashes_are_those_of_the_headers(headers: dict[int, bytes]) -> None:
    found = read_headers(b"".join(packed(headers, 1, 63)), 63)
    assert found == {number: sha256(headers[number]).digest() for number in range(1, 64)}


def test_real_headers_of_every_form_are_read(ledgers: RealLedgers) -> None:
    by_form = {(line["protocol"], line["version"], line.get("value_ext")): line for line in ledgers.lines}
    for line in by_form.values():
        meta = ledgers.load(line)
        number, checkpoint = line["ledger_seq"], line["ledger_seq"] | 63
        with pytest.raises(ArchiveError) as refused:
            read_headers(record(header_of(meta)), checkpoint)
        first = max(1, checkpoint - 63)
        # Alone it is not a whole checkpoint: what the message says shows that its number was read.
        expected = f"ledger {number + 1}," if number == first else f"has ledger {number} where ledger {first}"
        assert expected in str(refused.value)


@pytest.mark.parametrize(
    "made",
    [
        Made(sequence=64, upgrades=u32(2) + opaque(bytes(5)) + opaque(bytes(128))),
        Made(sequence=64, value_ext=u32(1, 0) + bytes(32) + opaque(bytes(64))),
        Made(sequence=64, value_ext=u32(2) + bytes(68) + u32(0) + bytes(32) + opaque(bytes(63))),
    ],
    ids=["upgrades", "signed", "proposed-value"],
)
def test_variable_parts_are_skipped(made: Made) -> None:
    with pytest.raises(ArchiveError, match="ends before ledger 65"):
        read_headers(record(header_of(made.v2())), 127)


def test_incomplete_file_is_an_error(headers: dict[int, bytes]) -> None:
    with pytest.raises(ArchiveError, match="ends before ledger 127, expected ledgers up to 127"):
        read_headers(b"".join(packed(headers)[:-1]), 127)


def test_file_with_more_ledgers_is_an_error(headers: dict[int, bytes]) -> None:
    with pytest.raises(ArchiveError, match="records behind ledger 127"):
        read_headers(b"".join(packed(headers, 64, 128)), 127)


def test_file_of_another_checkpoint_is_an_error(headers: dict[int, bytes]) -> None:
    with pytest.raises(ArchiveError, match="has ledger 64 where ledger 128 is expected"):
        read_headers(b"".join(packed(headers)), 191)


def test_stored_hash_that_differs_is_an_error(headers: dict[int, bytes]) -> None:
    records = packed(headers)
    records[3] = record(headers[67], stored=bytes(32))
    with pytest.raises(ArchiveError, match=f"hash of ledger 67 is stored as {'00' * 32}"):
        read_headers(b"".join(records), 127)


def test_broken_link_is_an_error(headers: dict[int, bytes]) -> None:
    records = packed(headers)
    changed = bytearray(headers[67])
    changed[-1] ^= 1
    records[3] = record(bytes(changed))
    with pytest.raises(ArchiveError, match=r"ledger 68 names .* as the hash of the ledger before"):
        read_headers(b"".join(records), 127)


@given(st.data())
def test_changed_bytes_never_give_other_hashes(headers: dict[int, bytes], data: st.DataObject) -> None:
    whole = b"".join(packed(headers))
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(ArchiveError):
        read_headers(bytes(changed), 127)
    with pytest.raises(ArchiveError):
        read_headers(whole[:at], 127)
