"""Object keys of a Galexie lake, against SEP-54 worked out by hand."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bronze.lake.layout import LakeLayout, ParsedName, parse_directory, parse_object
from bronze.stellar import MAX_LEDGER


@pytest.mark.parametrize(
    ("layout", "ledger", "key"),
    [
        # pubnet's public lake: K = 1, P = 64000
        (LakeLayout(1, 64000), 2, "FFFFFFFF--0-63999/FFFFFFFD--2.xdr.zst"),
        (LakeLayout(1, 64000), 63999, "FFFFFFFF--0-63999/FFFF0600--63999.xdr.zst"),
        (LakeLayout(1, 64000), 64000, "FFFF05FF--64000-127999/FFFF05FF--64000.xdr.zst"),
        (LakeLayout(1, 64000, "zstd"), 64001, "FFFF05FF--64000-127999/FFFF05FE--64001.xdr.zstd"),
        # K = 64, P = 10: a directory holds 640 ledgers
        (LakeLayout(64, 10), 2, "FFFFFFFF--0-639/FFFFFFFF--0-63.xdr.zst"),
        (LakeLayout(64, 10), 64, "FFFFFFFF--0-639/FFFFFFBF--64-127.xdr.zst"),
        (LakeLayout(64, 10), 700, "FFFFFD7F--640-1279/FFFFFD7F--640-703.xdr.zst"),
        # P = 1: no directories, whatever K is
        (LakeLayout(1, 1), 5, "FFFFFFFA--5.xdr.zst"),
        (LakeLayout(10, 1), 15, "FFFFFFF5--10-19.xdr.zst"),
        # the last ledger there can be: ends are clamped at 2^32 - 1
        (LakeLayout(1, 64000), MAX_LEDGER, "0000D7FF--4294912000-4294967295/00000000--4294967295.xdr.zst"),
        (LakeLayout(10, 1), MAX_LEDGER, "00000005--4294967290-4294967295.xdr.zst"),
        # whose file may hold it alone: then its name has no end, whatever K is
        (LakeLayout(3, 1), MAX_LEDGER, "00000000--4294967295.xdr.zst"),
        (LakeLayout(3, 1), MAX_LEDGER - 1, "00000003--4294967292-4294967294.xdr.zst"),
        (LakeLayout(5, 10), MAX_LEDGER, "0000002D--4294967250-4294967295/00000000--4294967295.xdr.zst"),
    ],
)
def test_key_of_a_ledger(layout: LakeLayout, ledger: int, key: str) -> None:
    assert layout.key(ledger) == key


layouts = st.builds(
    LakeLayout,
    st.sampled_from([1, 2, 3, 10, 64, 1000]),
    st.sampled_from([1, 2, 10, 64000]),
    st.sampled_from(["zst", "zstd"]),
)
ledgers = st.integers(0, MAX_LEDGER) | st.integers(0, 200_000) | st.integers(MAX_LEDGER - 200_000, MAX_LEDGER)


@given(layouts, ledgers)
def test_key_parses_back_to_its_file(layout: LakeLayout, ledger: int) -> None:
    *directory, name = layout.key(ledger).split("/")
    parsed = parse_object(name)
    assert parsed is not None
    assert parsed == ParsedName(layout.file_start(ledger), layout.file_end(ledger), layout.extension)
    assert parsed.start <= ledger <= parsed.end
    for part in directory:
        holder = parse_directory(part)
        assert holder is not None
        assert holder.start <= parsed.start <= parsed.end <= holder.end
    assert bool(directory) == (layout.files_per_directory > 1)


@given(layouts, ledgers, ledgers)
def test_newer_objects_sort_first(layout: LakeLayout, one: int, other: int) -> None:
    older, newer = sorted((one, other))
    assert layout.key(newer) <= layout.key(older)


@given(layouts, ledgers)
def test_files_cover_every_ledger_once(layout: LakeLayout, ledger: int) -> None:
    start, end = layout.file_start(ledger), layout.file_end(ledger)
    assert {layout.key(inside) for inside in (start, ledger, end)} == {layout.key(ledger)}
    if start:
        assert layout.file_end(start - 1) == start - 1
    if end < MAX_LEDGER:
        assert layout.file_start(end + 1) == end + 1


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".config.json",
        "FFFFFFFD--2.xdr",  # not compressed
        "FFFFFFFD--2.xdr.gz",
        "FFFFFFFD--2.xdr.zst.tmp",
        "FFFFFFFD--2.xdr.zst\n",
        "fffffffd--2.xdr.zst",  # hexadecimal in lower case
        "FFFFFFFE--2.xdr.zst",  # the prefix is of ledger 1
        "FFFFFFFD--02.xdr.zst",  # a leading zero: no lake writes it, and `key` would not find it
        "FFFFFFFC--٣.xdr.zst",  # a digit of another script
        "FFFFFFF5--10-9.xdr.zst",  # ends before it starts
        "FFFFFFFF--0-4294967296.xdr.zst",  # ends behind the last ledger there can be
        "FFFFFFFF--4294967296.xdr.zst",
        "FFFFFFFF--0-63999/FFFFFFFD--2.xdr.zst",  # a key, not a name
    ],
)
def test_other_names_are_not_objects(name: str) -> None:
    assert parse_object(name) is None


@pytest.mark.parametrize(
    "name", ["", "FFFFFFFF--0", "FFFFFFFE--0-63999", "FFFFFFFF--0-63999/", "FFFFFFFF--00-639", "x"]
)
def test_other_names_are_not_directories(name: str) -> None:
    assert parse_directory(name) is None


@given(st.from_regex(re.compile(r"[0-9A-F]{8}--\d{1,11}(-\d{1,11})?\.xdr\.zstd?"), fullmatch=True))
def test_parsed_names_are_canonical(name: str) -> None:
    parsed = parse_object(name)
    if parsed:
        # a file of one ledger may be named with its end or without
        ends = [f"-{parsed.end}", *([""] if parsed.start == parsed.end else [])]
        head = f"{MAX_LEDGER - parsed.start:08X}--{parsed.start}"
        assert name in [f"{head}{end}.xdr.{parsed.extension}" for end in ends]


@pytest.mark.parametrize("ledger", [-1, MAX_LEDGER + 1])
def test_key_outside_ledger_range_is_refused(ledger: int) -> None:
    with pytest.raises(ValueError, match="is not in 0"):
        LakeLayout().key(ledger)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ((0, 1, "zst"), "ledgers_per_file 0"),
        ((1, 0, "zst"), "files_per_directory 0"),
        ((1, -1, "zst"), "files_per_directory -1"),
        ((MAX_LEDGER + 1, 1, "zst"), "ledgers_per_file 4294967296"),
        ((1, 1, "gz"), "extension 'gz'"),
    ],
)
def test_invalid_layout_is_refused(values: tuple[int, int, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LakeLayout(*values)
