"""Sample lakes: laid out as Galexie does, written atomically, compared when they exist."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from stellar_sdk import xdr

from bronze.errors import ConflictError
from bronze.lake.layout import LakeLayout
from pipeline.sample import STANDALONE_PASSPHRASE, SampleOptions, write_sample_lake


def read_lake(root: Path) -> dict[str, list[bytes]]:
    """Object key, to its batch's close metas."""
    lake = {}
    for path in sorted(root.rglob("*.xdr.*")):
        stored = path.read_bytes()
        parameters = zstandard.get_frame_parameters(stored)
        raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=1 << 26)
        assert parameters.has_checksum
        assert (parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN) == (len(raw) > 128 * 1024)
        batch = xdr.LedgerCloseMetaBatch.from_xdr_bytes(raw)
        metas = batch.ledger_close_metas
        assert batch.end_sequence.uint32 - batch.start_sequence.uint32 + 1 == len(metas)
        lake[path.relative_to(root).as_posix()] = [meta.to_xdr_bytes() for meta in metas]
    return lake


@pytest.mark.parametrize(
    ("options", "first", "last", "keys"),
    [
        # one ledger per file, no directories
        (
            SampleOptions(ledgers=2, files_per_directory=1),
            2,
            3,
            ["FFFFFFFC--3.xdr.zst", "FFFFFFFD--2.xdr.zst"],
        ),
        # four per file: the first file is named from 0 but begins at 2, the last one is whole
        (
            SampleOptions(ledgers=3, ledgers_per_file=4, files_per_directory=1, extension="zstd"),
            2,
            7,
            ["FFFFFFFB--4-7.xdr.zstd", "FFFFFFFF--0-3.xdr.zstd"],
        ),
        # directories of eight ledgers; the file that contains the first ledger is whole
        (
            SampleOptions(first=14, ledgers=4, ledgers_per_file=4, files_per_directory=2),
            12,
            19,
            ["FFFFFFEF--16-23/FFFFFFEF--16-19.xdr.zst", "FFFFFFF7--8-15/FFFFFFF3--12-15.xdr.zst"],
        ),
    ],
)
def test_lake_has_the_layout_of_galexie(
    tmp_path: Path, options: SampleOptions, first: int, last: int, keys: list[str]
) -> None:
    lake = write_sample_lake(tmp_path / "lake", options)
    stored = read_lake(lake.root)
    assert sorted(stored) == keys
    assert (lake.first, lake.last, lake.count, lake.objects) == (first, last, last - first + 1, len(keys))
    made = list(options.chain())
    assert [one.sequence for one in made] == list(range(first, last + 1))
    # Newer objects sort first: in reverse order, the names give the chain.
    assert list(itertools.chain(*(stored[key] for key in sorted(stored, reverse=True)))) == [one.xdr for one in made]
    assert lake.xdr_bytes == sum(len(one.xdr) for one in made)
    layout = LakeLayout(options.ledgers_per_file, options.files_per_directory, options.extension)
    assert {layout.key(one.sequence) for one in made} == set(keys)


def test_large_batches_state_no_content_size(tmp_path: Path) -> None:
    lake = write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=16, ledgers_per_file=16, transactions=30))
    assert lake.xdr_bytes > 2 * 128 * 1024
    assert read_lake(lake.root)


def test_lake_config_is_optional(tmp_path: Path) -> None:
    with_config = SampleOptions(ledgers=4, ledgers_per_file=2, files_per_directory=8)
    write_sample_lake(tmp_path / "with", with_config)
    assert json.loads((tmp_path / "with" / ".config.json").read_text()) == {
        "networkPassphrase": STANDALONE_PASSPHRASE,
        "version": "1.0",
        "compression": "zstd",
        "ledgersPerBatch": 2,
        "batchesPerPartition": 8,
    }
    write_sample_lake(tmp_path / "without", SampleOptions(ledgers=4, config=False))
    assert not (tmp_path / "without" / ".config.json").exists()


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def test_existing_lake_is_left_alone(tmp_path: Path) -> None:
    options = SampleOptions(ledgers=10)
    (tmp_path / "lake").mkdir()  # an empty directory is accepted
    first = write_sample_lake(tmp_path / "lake", options)
    before = snapshot(tmp_path)
    again = write_sample_lake(tmp_path / "lake", options)
    assert snapshot(tmp_path) == before
    assert (first.existed, again.existed) == (False, True)
    assert (first.objects, first.bytes, first.xdr_bytes) == (again.objects, again.bytes, again.xdr_bytes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lake: (lake / "notes.txt").write_text("mine"), "notes.txt does not belong to it"),
        (lambda lake: (lake / "FFFFFFFD--2.xdr.zst").unlink(), "FFFFFFFD--2.xdr.zst is missing"),
        (lambda lake: (lake / "FFFFFFFC--3.xdr.zst").write_bytes(b"other"), "FFFFFFFC--3.xdr.zst differs"),
        (lambda lake: (lake / ".config.json").unlink(), ".config.json is missing"),
    ],
)
def test_other_directory_is_refused_and_left_alone(
    tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    options = SampleOptions(ledgers=3, files_per_directory=1)
    lake = write_sample_lake(tmp_path / "lake", options).root
    spoil(lake)
    before = snapshot(tmp_path)
    with pytest.raises(ConflictError, match=message):
        write_sample_lake(lake, options)
    assert snapshot(tmp_path) == before


def test_file_instead_of_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("mine")
    with pytest.raises(ConflictError, match="not a directory"):
        write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=1))


def test_failed_write_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, data: bytes) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="disk full"):
        write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=3))
    assert list(tmp_path.iterdir()) == []
