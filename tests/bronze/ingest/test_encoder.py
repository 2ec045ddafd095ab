"""From lake files to a parquet file: every value, the same bytes whatever the lake's layout, and bad input."""

from __future__ import annotations

import gc
import hashlib
import io
import json
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import zstandard

from bronze.authenticity.policy import AuthenticityPolicy
from bronze.dataset.manifest import LedgerLinks
from bronze.dataset.parquet import TableWriter
from bronze.dataset.sink import HashingSink
from bronze.errors import AuthenticityError, DataError, FrameError, LakeError, VerificationError, XdrError
from bronze.ingest.decoder import FileDecoder
from bronze.ingest.encoder import PartitionEncoder
from bronze.ingest.rows import EncodedPartition, PartitionRows
from bronze.lake.lake import Lake
from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import CloseMeta, VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.stellar import MAX_LEDGER, PASSPHRASES
from bronze.storage.local import LocalStore
from pipeline.sample import SampleLedger, SampleOptions, sample_chain, write_sample_lake
from pipeline.sample.template import u32
from tests.bronze.conftest import ERA, OPTIONS, SHARED, era

ALL = Partition(2, 63)


def encode(lake: Lake, partition: Partition = ALL, one: Era = ERA, **settings: Any) -> tuple[bytes, EncodedPartition]:
    target = io.BytesIO()
    encoder = PartitionEncoder(
        lake, **{"verify": VerifyLevel.FULL, "compression": "zstd", "max_object": 1 << 26} | settings
    )
    encoded = encoder.encode(one, partition, lake.file_starts(partition.start, partition.end), HashingSink(target))
    return target.getvalue(), encoded


def bytes_of(lake: Lake, partition: Partition = ALL, one: Era = ERA, **settings: Any) -> bytes:
    return encode(lake, partition, one, **settings)[0]


def lake_at(root: Path, k: int = 1, p: int = 64, extension: str = "zst") -> Lake:
    return Lake(LocalStore(root), LakeLayout(k, p, extension), None)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_every_column_has_its_value(lake_of: Callable[..., Path], chain: list[SampleLedger]) -> None:
    rows = pq.read_table(io.BytesIO(bytes_of(lake_at(lake_of())))).to_pylist()
    assert rows == [
        {
            "ledger_sequence": one.sequence,
            "ledger_hash": one.ledger_hash.hex(),
            "previous_ledger_hash": one.previous_hash.hex(),
            "close_time": datetime.fromtimestamp(one.close_time, UTC),
            "protocol_version": one.protocol,
            "total_coins": one.total_coins,
            "fee_pool": one.fee_pool,
            "tx_set_hash": one.tx_set_hash.hex(),
            "tx_count": one.tx_count,
            "operation_count": one.operation_count,
            "xdr_bytes": one.xdr,
            "xdr_byte_length": len(one.xdr),
            "xdr_sha256": sha256(one.xdr),
            "bronze_version": "v1",
            "era_id": "e1",
            "network": "standalone",
            "ingested_at": None,
        }
        for one in chain
    ]
    assert {one.version for one in chain} == {0, 1, 2}  # the sample has them all


def test_encoded_partition_is_described(lake_of: Callable[..., Path], chain: list[SampleLedger]) -> None:
    _, encoded = encode(lake_at(lake_of()), Partition(12, 21))
    part = chain[10:20]
    assert encoded == EncodedPartition(
        row_count=10,
        raw_bytes=sum(len(one.xdr) for one in part),
        files=10,
        ledgers=LedgerLinks(
            first=12,
            last=21,
            previous_hash=chain[9].ledger_hash.hex(),
            first_hash=part[0].ledger_hash.hex(),
            last_hash=part[-1].ledger_hash.hex(),
        ),
    )


LAKES = [(1, 64, "zst"), (1, 1, "zstd"), (4, 64, "zst"), (4, 2, "zstd"), (64, 10, "zst")]


@pytest.mark.parametrize("partition", [ALL, Partition(2, 2), Partition(2, 11), Partition(10, 40), Partition(63, 63),
                                       Partition(7, 8), Partition(0, 9), Partition(1, 4)], ids=str)  # fmt: skip
def test_bytes_do_not_depend_on_lake_layout(lake_of: Callable[..., Path], partition: Partition) -> None:
    one = era(ledger_start=0)
    made = {layout: bytes_of(lake_at(lake_of(*layout), *layout), partition, one) for layout in LAKES}
    assert len(set(made.values())) == 1, {layout: sha256(data) for layout, data in made.items()}


@pytest.mark.parametrize("limit", [1, 20_000, 70_000, 200_000])
def test_row_groups_may_end_inside_files(
    lake_of: Callable[..., Path], chain: list[SampleLedger], monkeypatch: pytest.MonkeyPatch, limit: int
) -> None:
    # a buffer that is too small from the start has to grow on the way
    monkeypatch.setattr("bronze.dataset.parquet.MAX_ROW_GROUP_BYTES", limit)
    monkeypatch.setattr("bronze.ingest.encoder.MAX_ROW_GROUP_BYTES", limit)
    monkeypatch.setattr("bronze.ingest.encoder._SLACK", 0)
    made = {bytes_of(lake_at(lake_of(*layout), *layout)) for layout in LAKES}
    assert len(made) == 1
    file = pq.ParquetFile(io.BytesIO(made.pop()))
    assert file.metadata.num_row_groups > 1
    assert file.read(["xdr_bytes"])["xdr_bytes"].to_pylist() == [one.xdr for one in chain]


@pytest.mark.parametrize("k", [1, 4])
@pytest.mark.parametrize("threads", [2, 5])
def test_parallel_decoding_gives_same_bytes_and_errors(
    lake_of: Callable[..., Path], tmp_path: Path, k: int, threads: int
) -> None:
    root = tmp_path / "lake"
    shutil.copytree(lake_of(k=k), root)
    lake = lake_at(root, k)
    encoder = PartitionEncoder(lake, verify=VerifyLevel.FULL, compression="zstd", max_object=1 << 26, threads=threads)
    harmed = root / lake.key(30)
    whole = harmed.read_bytes()
    for content in (whole, whole[:-9], whole):  # the threads are used again after a failure
        harmed.write_bytes(content)
        target = io.BytesIO()
        if content is whole:
            encoder.encode(ERA, ALL, lake.file_starts(ALL.start, ALL.end), HashingSink(target))
            assert target.getvalue() == bytes_of(lake)
        else:
            with pytest.raises(FrameError, match=f"object {harmed}: truncated zstd frame"):
                encoder.encode(ERA, ALL, lake.file_starts(ALL.start, ALL.end), HashingSink(target))
    encoder.close()


@pytest.mark.parametrize("k", [1, 4, 64])
def test_parallel_decoding_survives_growing_buffers(
    lake_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, k: int
) -> None:
    # the reader waits for a file whose buffer grows meanwhile: what it is given must be the buffer's memory afterwards
    monkeypatch.setattr("bronze.ingest.decoder._FILE_BYTES", 16)
    lake = lake_at(lake_of(k), k)
    made = bytes_of(lake, threads=3)
    assert sha256(made) == sha256(bytes_of(lake_at(lake_of())))


def test_encoder_is_reusable_after_a_failure(lake_of: Callable[..., Path]) -> None:
    lake = lake_at(lake_of(4), 4)
    encoder = PartitionEncoder(lake, verify=VerifyLevel.FULL, compression="zstd", max_object=1 << 26)
    made = []
    for partition, low in ((ALL, None), (Partition(10, 20), None), (ALL, 99), (ALL, None), (Partition(10, 20), None)):
        target = io.BytesIO()
        starts = lake.file_starts(partition.start, partition.end)
        try:
            encoder.encode(era(protocol_min=low), partition, starts, HashingSink(target))
        except VerificationError:
            continue
        made.append(sha256(target.getvalue()))
    assert made[:2] == made[2:]


def write(root: Path, ledgers: list[SampleLedger], *, bare: Callable[[int], bool] = lambda _: True) -> Lake:
    """A lake with K = 1 and P = 64 of bare close metas, or of batches where `bare` says no."""
    lake = lake_at(root)
    compressor = zstandard.ZstdCompressor(write_checksum=True)
    for one in ledgers:
        head = b"" if bare(one.sequence) else u32(one.sequence) + u32(one.sequence) + u32(1)
        path = root / lake.key(one.sequence)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(compressor.compress(head + one.xdr))
    return lake


@pytest.mark.parametrize("bare", [lambda _: True, lambda ledger: ledger % 3 == 0, lambda ledger: ledger > 60],
                         ids=["all", "mixed", "the last ones"])  # fmt: skip
def test_bare_close_metas_give_same_bytes(
    tmp_path: Path, lake_of: Callable[..., Path], chain: list[SampleLedger], bare: Callable[[int], bool]
) -> None:
    lake = write(tmp_path / "lake", chain, bare=bare)
    assert bytes_of(lake) == bytes_of(lake_at(lake_of()))
    assert bytes_of(lake, Partition(12, 21)) == bytes_of(lake_at(lake_of()), Partition(12, 21))


def test_highest_possible_ledgers_are_encoded(tmp_path: Path) -> None:
    options = SampleOptions(first=MAX_LEDGER - 5, ledgers=6, ledgers_per_file=10, transactions=1)
    lake = lake_at(write_sample_lake(tmp_path / "lake", options).root, 10)
    first = options.schedule.first
    assert lake.key(MAX_LEDGER).endswith(f"--{first}-{MAX_LEDGER}.xdr.zst")
    rows = pq.read_table(io.BytesIO(bytes_of(lake, Partition(first, MAX_LEDGER)))).to_pylist()
    assert [row["ledger_sequence"] for row in rows] == list(range(first, MAX_LEDGER + 1))


# Bad input raises an error that names the object, the ledger and both values.


@pytest.fixture(scope="module")
def other_chain() -> list[SampleLedger]:
    """The same ledgers of another seed: well-formed, but of another history."""
    plan = OPTIONS.schedule
    return list(sample_chain(plan.first, plan.count, network_passphrase=OPTIONS.passphrase, seed=1, transactions=3))


def put(root: Path, ledger: int, content: bytes) -> None:
    (root / lake_at(root).key(ledger)).write_bytes(content)


def packed(*metas: bytes, start: int, end: int | None = None) -> bytes:
    head = u32(start) + u32(start + len(metas) - 1 if end is None else end) + u32(len(metas))
    return zstandard.ZstdCompressor(write_checksum=True).compress(head + b"".join(metas))


def flipped(data: bytes, at: int) -> bytes:
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def header_of(one: SampleLedger) -> int:
    """Where the stored hash of the header lies."""
    return one.xdr.index(one.ledger_hash)


@pytest.mark.parametrize(
    ("spoil", "error", "messages"),
    [
        # missing
        (lambda root, chain, other: (root / lake_at(root).key(5)).unlink(), LakeError, ["is missing from the lake"]),
        # truncated, with something behind, empty, no zstd at all
        (lambda root, chain, other: put(root, 5, packed(chain[3].xdr, start=5)[:-7]), FrameError, ["truncated"]),
        (lambda root, chain, other: put(root, 5, packed(chain[3].xdr, start=5) + b"x"), FrameError, ["1 bytes follow"]),
        (lambda root, chain, other: put(root, 5, b""), FrameError, ["empty (0 bytes)"]),
        (lambda root, chain, other: put(root, 5, chain[3].xdr), FrameError, ["not a zstd frame"]),
        # an empty frame, half a ledger, extra bytes
        (lambda root, chain, other: put(root, 5, zstandard.compress(b"")), XdrError, ["12 bytes are needed"]),
        (lambda root, chain, other: put(root, 5, packed(chain[3].xdr[:-4], start=5)), XdrError, ["malformed XDR"]),
        (lambda root, chain, other: put(root, 5, packed(chain[3].xdr + bytes(4), start=5)), XdrError,
         ["4 bytes follow the last ledger, 5"]),
        # the object of another ledger under this name
        (lambda root, chain, other: put(root, 5, packed(chain[4].xdr, start=6)), LakeError,
         ["holds ledgers 6-6, but its name says 5-5"]),
        (lambda root, chain, other: put(root, 5, zstandard.compress(chain[4].xdr)), LakeError,
         ["holds the bare ledger 6, but its name says 5-5"]),
        # two ledgers where the name says one
        (lambda root, chain, other: put(root, 5, packed(chain[3].xdr, chain[4].xdr, start=5)), LakeError,
         ["holds ledgers 5-6, but its name says 5-5"]),
        # a batch that lies about its ledger, or about its number
        (lambda root, chain, other: put(root, 5, packed(chain[4].xdr, start=5)), VerificationError,
         ["holds ledger 6 where ledger 5 is expected"]),
        (lambda root, chain, other: put(root, 5, packed(chain[3].xdr, start=5, end=9)), VerificationError,
         ["a batch of ledgers 5-9 holds 1, expected 5"]),
        # a bit of the header; the stored hash
        (lambda root, chain, other: put(root, 5, packed(flipped(chain[3].xdr, header_of(chain[3]) + 40), start=5)),
         VerificationError, ["ledger 5: ledger hash does not hold: stored", "computed"]),
        (lambda root, chain, other: put(root, 5, packed(flipped(chain[3].xdr, header_of(chain[3])), start=5)),
         VerificationError, ["ledger 5: ledger hash does not hold"]),
        # a ledger of another history: everything in it holds but the link
        (lambda root, chain, other: put(root, 5, packed(other[3].xdr, start=5)), VerificationError,
         ["ledger 5 does not follow ledger 4"]),
    ],
)  # fmt: skip
def test_bad_input_error_names_object_and_values(
    tmp_path: Path,
    lake_of: Callable[..., Path],
    chain: list[SampleLedger],
    other_chain: list[SampleLedger],
    spoil: Callable[..., object],
    error: type[DataError],
    messages: list[str],
) -> None:
    root = shutil.copytree(lake_of(), tmp_path / "lake")
    spoil(root, chain, other_chain)
    lake = lake_at(root)
    with pytest.raises(error) as caught:
        bytes_of(lake, Partition(2, 11))
    for message in [*messages, f"{root}/{lake.key(5)}"]:
        assert message in str(caught.value)
    # the next partition is not affected
    assert bytes_of(lake, Partition(12, 21)) == bytes_of(lake_at(lake_of()), Partition(12, 21))


def test_file_shorter_than_its_name_is_named(
    tmp_path: Path, lake_of: Callable[..., Path], chain: list[SampleLedger]
) -> None:
    """A well-formed batch, of fewer ledgers than the name says: inside a partition, at its end."""
    root = shutil.copytree(lake_of(4), tmp_path / "lake")
    lake = lake_at(root, 4)
    (root / lake.key(8)).write_bytes(packed(*(one.xdr for one in chain[6:9]), start=8))
    for partition in (Partition(2, 21), Partition(2, 11)):
        with pytest.raises(LakeError) as caught:
            bytes_of(lake, partition)
        assert f"{root}/{lake.key(8)}: holds ledgers 8-10, but its name says that it also holds ledger 11" in str(
            caught.value
        )
    assert bytes_of(lake, Partition(2, 10)) == bytes_of(lake_at(lake_of()), Partition(2, 10))


def test_broken_link_names_both_hashes(
    tmp_path: Path, lake_of: Callable[..., Path], chain: list[SampleLedger], other_chain: list[SampleLedger]
) -> None:
    root = shutil.copytree(lake_of(), tmp_path / "lake")
    put(root, 5, packed(other_chain[3].xdr, start=5))
    with pytest.raises(VerificationError) as caught:
        bytes_of(lake_at(root), Partition(2, 11))
    assert other_chain[3].previous_hash.hex() in str(caught.value)
    assert chain[2].ledger_hash.hex() in str(caught.value)


@pytest.mark.parametrize("k", [1, 4, 64])
@pytest.mark.parametrize("start", [12, 14])  # the ledger before lies in the file before, or in the same one
def test_first_ledger_links_to_preceding_partition(
    tmp_path: Path, lake_of: Callable[..., Path], chain: list[SampleLedger], other_chain: list[SampleLedger],
    k: int, start: int,
) -> None:  # fmt: skip
    mixed = [*other_chain[: start - 2], *chain[start - 2 :]]
    lake = lake_at(tmp_path / "lake", k)
    for first in lake.file_starts(2, 63):
        held = [one for one in mixed if first <= one.sequence < first + k]
        path = lake.store.root / lake.key(first)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(packed(*[one.xdr for one in held], start=held[0].sequence))
    with pytest.raises(VerificationError, match=f"ledger {start} does not follow ledger {start - 1}"):
        bytes_of(lake, Partition(start, 21))


@pytest.mark.parametrize("content", [None, b"", b"junk", packed(b"junk", start=11)])
def test_unreadable_preceding_ledger_is_ignored(
    tmp_path: Path, lake_of: Callable[..., Path], content: bytes | None
) -> None:
    root = shutil.copytree(lake_of(), tmp_path / "lake")
    put(root, 11, content or b"")
    if content is None:
        (root / lake_at(root).key(11)).unlink()
    assert bytes_of(lake_at(root), Partition(12, 21)) == bytes_of(lake_at(lake_of()), Partition(12, 21))


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (None, None, None),
        (12, 27, None),  # the sample's own
        (13, None, "ledger 2 has protocol 12, era 'e1' allows 13 to any"),
        (None, 26, r"ledger \d+ has protocol 27, era 'e1' allows any to 26"),
        (12, 22, r"ledger \d+ has protocol 23, era 'e1' allows 12 to 22"),
    ],
)
def test_protocol_outside_era_bounds_is_refused(
    lake_of: Callable[..., Path], low: int | None, high: int | None, message: str | None
) -> None:
    one = era(protocol_min=low, protocol_max=high)
    if message is None:
        bytes_of(lake_at(lake_of()), ALL, one)
    else:
        with pytest.raises(VerificationError, match=message):
            bytes_of(lake_at(lake_of()), ALL, one)


def test_oversized_object_is_refused(lake_of: Callable[..., Path], chain: list[SampleLedger]) -> None:
    largest = max(chain, key=lambda one: len(one.xdr))
    size = 12 + len(largest.xdr)
    lake = lake_at(lake_of())
    assert bytes_of(lake, max_object=size)
    with pytest.raises(FrameError, match=f"{lake.key(largest.sequence)}: object decodes to more than {size - 1} bytes"):
        bytes_of(lake, max_object=size - 1)


def test_header_level_ignores_transaction_set_hash(
    tmp_path: Path, lake_of: Callable[..., Path], chain: list[SampleLedger]
) -> None:
    # a byte of the last transaction's signature, as a load-test tool's ledgers have it
    one = next(one for one in chain if one.tx_count and one.version == 0)
    other = flipped(one.xdr, one.xdr.index(one.previous_hash, header_of(one) + 200) + 60)
    root = shutil.copytree(lake_of(), tmp_path / "lake")
    put(root, one.sequence, packed(other, start=one.sequence))
    with pytest.raises(VerificationError, match=f"ledger {one.sequence}: transaction set hash does not hold"):
        bytes_of(lake_at(root))
    rows = pq.read_table(io.BytesIO(bytes_of(lake_at(root), verify=VerifyLevel.HEADER)))["xdr_bytes"].to_pylist()
    assert rows[one.sequence - 2] == other


class Recording(io.BytesIO):
    """Remembers the largest size it had; fails from there on, if told so."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: Any) -> int:
        if self.tell() + len(memoryview(data)) > self.room:
            raise OSError(28, "No space left on device")
        return super().write(data)


@pytest.mark.parametrize(
    ("room", "ending", "error"),
    [
        (1 << 30, 64, LakeError),  # a ledger is missing in the end
        (100_000, 63, OSError),  # the disk is full in the middle of a row group
        (3, 63, OSError),  # or at once
    ],
)
def test_nothing_is_written_after_a_failure(
    lake_of: Callable[..., Path], monkeypatch: pytest.MonkeyPatch, room: int, ending: int, error: type[Exception]
) -> None:
    # pyarrow's writer would write the footer whenever it is collected, into whatever has the target's handle then
    monkeypatch.setattr("bronze.dataset.parquet.MAX_ROW_GROUP_BYTES", 100_000)
    lake, target = lake_at(lake_of()), Recording(room)
    encoder = PartitionEncoder(lake, verify=VerifyLevel.FULL, compression="none", max_object=1 << 26)
    with pytest.raises(error) as caught:
        encoder.encode(ERA, Partition(2, ending), lake.file_starts(2, ending), HashingSink(target))
    written, target.room = target.getvalue(), 1 << 30
    assert (len(written) > 100_000) == (room > 100_000)
    del caught
    gc.collect()
    assert target.getvalue() == written


@pytest.mark.parametrize("files", [[], [2, 3], [2, 3, 5], [2, 3, 4, 5], [4, 3, 2], [2, 2, 3, 4]])
def test_files_of_another_partition_are_refused(lake_of: Callable[..., Path], files: list[int]) -> None:
    encoder = PartitionEncoder(lake_at(lake_of()), verify=VerifyLevel.FULL, compression="zstd", max_object=1 << 26)
    with pytest.raises(LakeError, match=f"2-4 was given {len(files)} lake files, expected the 3 from 2 to 4"):
        encoder.encode(ERA, Partition(2, 4), files, HashingSink(io.BytesIO()))


@pytest.mark.ledgers
@pytest.mark.parametrize("number", range(3))
def test_real_chains_are_encoded(tmp_path: Path, number: int) -> None:
    """What a generator cannot know: 320 ledgers of testnet, 304 of a test network, 10 of pubnet."""
    if not SHARED.is_dir():
        pytest.skip(f"no real ledgers at {SHARED}")
    run = [json.loads(line) for line in (SHARED / "ledgers" / "chains.jsonl").read_text().splitlines()][number]
    index = [json.loads(line) for line in (SHARED / "ledgers" / "index.jsonl").read_text().splitlines()]
    lines = [next(line for line in index if line["file"] == file) for file in run["files"]][:60]
    lake = lake_at(tmp_path)
    for line in lines:
        path = tmp_path / lake.key(line["ledger_seq"])
        path.parent.mkdir(exist_ok=True)
        shutil.copyfile(SHARED / "ledgers" / line["file"], path)
    partition = Partition(lines[0]["ledger_seq"], lines[-1]["ledger_seq"])
    rows = pq.read_table(io.BytesIO(bytes_of(lake, partition))).to_pylist()
    names = {"ledger_sequence": "ledger_seq", "ledger_hash": "ledger_hash", "previous_ledger_hash": "prev_hash",
             "protocol_version": "protocol", "tx_count": "tx_count", "operation_count": "op_count",
             "xdr_byte_length": "size", "xdr_sha256": "sha256"}  # fmt: skip
    assert [{ours: row[ours] for ours in names} for row in rows] == [
        {ours: line[theirs] for ours, theirs in names.items()} for line in lines
    ]
    assert [row["close_time"] for row in rows] == [datetime.fromtimestamp(line["close_time"], UTC) for line in lines]


def test_ledgers_of_another_network_are_refused(lake_of: Callable[..., Path]) -> None:
    policy = AuthenticityPolicy(network="pubnet", passphrase=PASSPHRASES["pubnet"])
    with pytest.raises(AuthenticityError, match="is not authentic"):
        encode(lake_at(lake_of()), authenticity=policy)


@pytest.fixture
def rows(lake_of: Callable[..., Path]) -> tuple[PartitionRows, Sequence[CloseMeta], memoryview]:
    """The rows of ledgers 2 to 5, and the ledgers."""
    decoder = FileDecoder(lake_at(lake_of(k=4), 4), VerifyLevel.FULL, max_object=1 << 26)
    buffer = decoder.new_buffer(1 << 20)
    writer = TableWriter(HashingSink(io.BytesIO()), "zstd")
    made = PartitionRows(ERA, Partition(2, 5), writer, buffer)
    view, metas = made.decode(decoder, 4)
    return made, metas, view


def test_ledger_out_of_order_is_refused(rows: tuple[PartitionRows, Sequence[CloseMeta], memoryview]) -> None:
    made, metas, _ = rows
    with pytest.raises(VerificationError, match="ledger 4 stands where ledger 2 is expected"):
        made.expect(metas[0])


def test_short_partition_is_refused(rows: tuple[PartitionRows, Sequence[CloseMeta], memoryview]) -> None:
    made, metas, view = rows
    made.add(metas[0], view)
    with pytest.raises(VerificationError, match="would be short: it ends before ledger 3"):
        made.finish(1)


@pytest.mark.parametrize(("k", "start"), [(1, 12), (4, 12), (4, 14)])  # it lies in the file before, or in the same one
def test_preceding_ledger_is_believed_by_its_hash(
    tmp_path: Path, lake_of: Callable[..., Path], chain: list[SampleLedger], k: int, start: int
) -> None:
    """The stored hash of the ledger before is damaged: its own partition fails, not the one behind."""
    root = shutil.copytree(lake_of(k), tmp_path / "lake")
    lake = lake_at(root, k)
    before = chain[start - 1 - 2]
    first = lake.layout.file_start(before.sequence)
    held = [one for one in chain if max(first, 2) <= one.sequence < first + k]
    spoilt = [flipped(one.xdr, header_of(one)) if one is before else one.xdr for one in held]
    (root / lake.key(first)).write_bytes(packed(*spoilt, start=held[0].sequence))
    partition = Partition(start, 21)
    assert bytes_of(lake, partition) == bytes_of(lake_at(lake_of(k), k), partition)
    with pytest.raises(VerificationError, match=f"ledger {before.sequence}: ledger hash does not hold"):
        bytes_of(lake, Partition(2, start - 1))
