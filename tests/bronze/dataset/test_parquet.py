"""The parquet file as other programs read it: schema, layout, and every value through another reader."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bronze.dataset.parquet import SCHEMA, PartitionLabels, RowGroup, TableWriter, page_rows
from bronze.dataset.schema import COMPRESSIONS
from bronze.dataset.sink import HashingSink
from bronze.ingest.decoder import FileDecoder
from bronze.ingest.encoder import PartitionEncoder
from bronze.lake.lake import Lake
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.partition import Partition
from bronze.storage.local import LocalStore
from pipeline.sample import SampleLedger, SampleOptions, write_sample_lake
from tests.bronze.conftest import ERA, Workspace

ALL = Partition(2, 63)

#: As docs/formats.md lists them, section 3.
COLUMNS = [
    ("ledger_sequence", "int64"),
    ("ledger_hash", "string"),
    ("previous_ledger_hash", "string"),
    ("close_time", "timestamp[us, tz=UTC]"),
    ("protocol_version", "int32"),
    ("total_coins", "int64"),
    ("fee_pool", "int64"),
    ("tx_set_hash", "string"),
    ("tx_count", "int32"),
    ("operation_count", "int32"),
    ("xdr_bytes", "binary"),
    ("xdr_byte_length", "int32"),
    ("xdr_sha256", "string"),
    ("bronze_version", "string"),
    ("era_id", "string"),
    ("network", "string"),
    ("ingested_at", "timestamp[us, tz=UTC]"),
]


@pytest.fixture(scope="module")
def parquet(tmp_path_factory: pytest.TempPathFactory, lake_of) -> Path:
    path = tmp_path_factory.mktemp("table") / "all.parquet"
    path.write_bytes(encoded(Lake(LocalStore(lake_of()), SampleOptions().layout, None), ALL))
    return path


def encoded(lake: Lake, partition: Partition, compression: str = "zstd") -> bytes:
    target = io.BytesIO()
    encoder = PartitionEncoder(lake, verify=VerifyLevel.FULL, compression=compression, max_object=1 << 26)
    encoder.encode(ERA, partition, lake.file_starts(partition.start, partition.end), HashingSink(target))
    return target.getvalue()


def test_schema_is_the_documented_one(parquet: Path) -> None:
    found = pq.read_schema(parquet)
    assert [(field.name, str(field.type)) for field in found] == COLUMNS
    assert [field.name for field in found if field.nullable] == ["ingested_at"]
    assert found.equals(SCHEMA)
    assert pq.read_metadata(parquet).metadata is None  # nothing that could differ between runs, no Arrow schema


def test_parquet_types(parquet: Path) -> None:
    schema = pq.ParquetFile(parquet).schema
    columns = {schema.column(at).name: schema.column(at) for at in range(len(COLUMNS))}
    assert {name: (one.physical_type, str(one.logical_type)) for name, one in columns.items() if name in (
        "ledger_sequence", "ledger_hash", "close_time", "tx_count", "xdr_bytes")} == {
        "ledger_sequence": ("INT64", "None"),
        "ledger_hash": ("BYTE_ARRAY", "String"),
        "close_time": ("INT64", "Timestamp(isAdjustedToUTC=true, timeUnit=microseconds, is_from_converted_type=false, "
                                "force_set_converted_type=false)"),
        "tx_count": ("INT32", "None"),
        "xdr_bytes": ("BYTE_ARRAY", "None"),
    }  # fmt: skip
    assert {name for name, one in columns.items() if one.max_definition_level} == {"ingested_at"}


def test_duckdb_reads_the_exact_values(parquet: Path, chain: list[SampleLedger]) -> None:
    query = """
        select ledger_sequence, ledger_hash, previous_ledger_hash, epoch_ms(close_time), protocol_version,
               total_coins, fee_pool, tx_set_hash, tx_count, operation_count,
               xdr_bytes, xdr_byte_length, xdr_sha256 = sha256(xdr_bytes), bronze_version, era_id, network, ingested_at
        from read_parquet(?)"""
    with duckdb.connect() as connection:
        rows = connection.execute(query, [str(parquet)]).fetchall()
        types = connection.execute("describe select * from read_parquet(?)", [str(parquet)]).fetchall()
    expected = [
        (one.sequence, one.ledger_hash.hex(), one.previous_hash.hex(), one.close_time * 1000, one.protocol,
         one.total_coins, one.fee_pool, one.tx_set_hash.hex(), one.tx_count, one.operation_count, one.xdr,
         len(one.xdr), True, "v1", "e1", "standalone", None)
        for one in chain
    ]  # fmt: skip
    assert rows == expected
    assert dict(row[:2] for row in types)["close_time"] == "TIMESTAMP WITH TIME ZONE"
    assert dict(row[:2] for row in types)["xdr_bytes"] == "BLOB"


def test_duckdb_finds_a_ledger_by_sequence(parquet: Path, chain: list[SampleLedger]) -> None:
    with duckdb.connect() as connection:
        found = connection.execute("select xdr_bytes from read_parquet(?) where ledger_sequence = 40", [str(parquet)])
        assert found.fetchall() == [(chain[38].xdr,)]


@pytest.mark.parametrize("compression", COMPRESSIONS)
def test_compression_of_every_column(workspace: Workspace, chain: list[SampleLedger], compression: str) -> None:
    file = pq.ParquetFile(io.BytesIO(encoded(workspace.lake, ALL, compression)))
    group = file.metadata.row_group(0)
    used = {group.column(at).compression for at in range(group.num_columns)}
    assert used == {{"zstd": "ZSTD", "snappy": "SNAPPY", "none": "UNCOMPRESSED"}[compression]}
    assert file.read(["xdr_bytes"])["xdr_bytes"].to_pylist() == [one.xdr for one in chain]


def test_unknown_compression_is_refused() -> None:
    with pytest.raises(ValueError, match="compression 'gzip' is not one of zstd, snappy, none"):
        TableWriter(HashingSink(io.BytesIO()), "gzip")


def test_only_useful_columns_have_statistics(parquet: Path) -> None:
    group = pq.read_metadata(parquet).row_group(0)
    columns = {COLUMNS[at][0]: group.column(at) for at in range(group.num_columns)}
    assert {name for name, one in columns.items() if one.is_stats_set} == {"ledger_sequence", "close_time"}
    statistics = columns["ledger_sequence"].statistics
    assert (statistics.min, statistics.max) == (2, 63)
    assert all(one.has_column_index == (name in ("ledger_sequence", "close_time")) for name, one in columns.items())
    assert all(one.has_offset_index for one in columns.values())
    dictionaries = {name for name, one in columns.items() if one.has_dictionary_page}
    assert dictionaries == {"protocol_version", "bronze_version", "era_id", "network"}


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag number of Thrift's compact protocol, and the offset after it."""
    value = shift = 0
    while True:
        value |= (data[at] & 0x7F) << shift
        shift += 7
        at += 1
        if not data[at - 1] & 0x80:
            return value >> 1 ^ -(value & 1), at


def pages(data: bytes, column: pq.ColumnChunkMetaData) -> Iterator[int]:
    """Rows of each data page: the page headers one after the other (parquet.thrift, PageHeader)."""
    at = column.data_page_offset
    end = column.data_page_offset + column.total_compressed_size
    while at < end:
        assert data[at] == 0x15, "field 1: the page type"
        kind, at = varint(data, at + 1)
        _, at = varint(data, at + 1)
        compressed, at = varint(data, at + 1)
        assert (kind, data[at], data[at + 1]) == (0, 0x2C, 0x15), "field 5: a data page; its field 1: values"
        rows, at = varint(data, at + 2)
        while data[at]:  # three more numbers, and statistics if there are any
            _, at = varint(data, at + 1)
        yield rows
        at += 2 + compressed  # the ends of both structs, then the page


def test_page_ends_once_it_is_large(tmp_path: Path) -> None:
    options = SampleOptions(ledgers=40, transactions=20, files_per_directory=1)
    lake = Lake(LocalStore(write_sample_lake(tmp_path / "lake", options).root), options.layout, None)
    data = encoded(lake, Partition(2, 41), "none")
    group = pq.read_metadata(io.BytesIO(data)).row_group(0)
    sizes = [4 + len(one.xdr) for one in options.chain()]
    expected, rows, size = [], 0, 0
    for one in sizes:
        rows, size = rows + 1, size + one
        if size >= 64 * 1024 or rows == 16:
            expected.append(rows)
            rows = size = 0
    assert list(pages(data, group.column(10))) == expected + [rows] * (rows > 0)
    # so ledgers of the present size have a page each
    large = [size >= 64 * 1024 for size in sizes]
    assert sum(large) > 5
    firsts = list(itertools.accumulate(expected, initial=0))
    for row, is_large in enumerate(large[:-1]):
        if is_large:
            assert row + 1 in firsts
    # and small columns have one for every 16 ledgers
    assert list(pages(data, group.column(0))) == [16, 16, 8]


@pytest.mark.parametrize(
    ("kilobytes", "expected"),
    [(1, 16), (372, 16), (768, 16), (769, 8), (1343, 8), (1536, 8), (1537, 4), (3072, 4), (20_000, 4)],
)
def test_pages_have_fewer_rows_of_large_ledgers(kilobytes: int, expected: int) -> None:
    lengths = pa.array([kilobytes * 1024 - 1, kilobytes * 1024 + 1], pa.int32())
    assert page_rows(pa.record_batch({"xdr_byte_length": lengths})) == expected


def test_first_row_group_decides_rows_of_pages(
    workspace: Workspace, chain: list[SampleLedger], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of every page of the file, so that the bytes depend on nothing but the ledgers."""
    monkeypatch.setattr("bronze.dataset.parquet.MIN_ROW_GROUP_BYTES", sum(len(one.xdr) for one in chain) // 3)
    monkeypatch.setattr("bronze.dataset.parquet._MAX_READ_BYTES", 16)
    data = encoded(workspace.lake, ALL)
    metadata = pq.read_metadata(io.BytesIO(data))
    groups = [metadata.row_group(at) for at in range(metadata.num_row_groups)]
    assert len(groups) > 2
    for group in groups:
        assert max(pages(data, group.column(0))) == 4


@pytest.mark.parametrize(
    ("groups", "least", "most"),
    [
        (96, 20_000, 1 << 30),  # its share of the rows is one: the least size decides
        (9, 1, 1 << 30),  # the share decides: 7 of 62 rows
        (9, 20_000, 1 << 30),  # whichever comes later
        (1, 1, 20_000),  # the most that a writer may hold
        (1, 1, 1),  # every ledger is larger than that
    ],
)
def test_row_group_ends_once_it_is_full(
    workspace: Workspace,
    chain: list[SampleLedger],
    monkeypatch: pytest.MonkeyPatch,
    groups: int,
    least: int,
    most: int,
) -> None:
    monkeypatch.setattr("bronze.dataset.parquet._ROW_GROUPS", groups)
    monkeypatch.setattr("bronze.dataset.parquet.MIN_ROW_GROUP_BYTES", least)
    monkeypatch.setattr("bronze.dataset.parquet.MAX_ROW_GROUP_BYTES", most)
    metadata = pq.read_metadata(io.BytesIO(encoded(workspace.lake, ALL)))
    found = [metadata.row_group(at).num_rows for at in range(metadata.num_row_groups)]
    expected, rows, size = [], 0, 0
    for one in chain:
        rows, size = rows + 1, size + len(one.xdr)
        if size >= most or (size >= least and rows >= math.ceil(len(chain) / groups)):
            expected.append(rows)
            rows = size = 0
    assert found == expected + [rows] * (rows > 0)
    assert len(found) > 3


def thousands_of_ledgers(workspace: Workspace, count: int, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A partition of `count` small ledgers, each with a hash of its own, in row groups as large ledgers have them."""
    monkeypatch.setattr("bronze.dataset.parquet.MIN_ROW_GROUP_BYTES", 1)
    labels = PartitionLabels(bronze_version="v1", era_id="pre_p23", network="pubnet")
    decoder = FileDecoder(workspace.lake, VerifyLevel.FULL, max_object=1 << 26)
    buffer = decoder.new_buffer(1 << 20)
    (meta,) = decoder.decode(2, buffer)
    target = io.BytesIO()
    with TableWriter(HashingSink(target), "zstd") as writer:
        group = RowGroup(labels, count)
        for sequence in range(count):
            one = dataclasses.replace(meta, sequence=sequence, ledger_hash=ledger_hash(sequence))
            group.add(one, buffer.append(buffer.view, meta.start, meta.end))
            if group.is_full or sequence == count - 1:
                writer.write(group.batch(buffer.content))
                group = RowGroup(labels, count)
                buffer.clear()
        writer.close()
    return target.getvalue()


def ledger_hash(sequence: int) -> bytes:
    return hashlib.sha256(str(sequence).encode()).digest()


@pytest.mark.parametrize("count", [9_999, 10_000])
def test_footer_does_not_grow_with_partition(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    metadata = pq.read_metadata(io.BytesIO(thousands_of_ledgers(workspace, count, monkeypatch)))
    assert metadata.num_rows == count
    assert 90 <= metadata.num_row_groups <= 96
    # Offsets in files of a gigabyte have up to three bytes more than here: 126 KB in all.
    assert metadata.serialized_size <= 124_000


def test_ledger_hash_excludes_other_row_groups(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = tmp_path / "many.parquet"
    path.write_bytes(thousands_of_ledgers(workspace, 10_000, monkeypatch))
    groups = pq.read_metadata(path).to_dict()["row_groups"]
    for number, column in enumerate(COLUMNS):
        lengths = [group["columns"][number]["bloom_filter_length"] for group in groups]
        assert all(lengths) if column[0] == "ledger_hash" else not any(lengths)
    assert sum(group["columns"][1]["bloom_filter_length"] for group in groups) < 30_000
    excluded = 0
    for sequence in range(0, 10_000, 500):
        probe = "SELECT row_group_id, bloom_filter_excludes FROM parquet_bloom_probe(?, 'ledger_hash', ?)"
        verdicts = dict(duckdb.execute(probe, [str(path), ledger_hash(sequence).hex()]).fetchall())
        assert not verdicts[sequence // 105]
        excluded += sum(verdicts.values())
    assert excluded > 20 * 94  # of the 95 others, for each of 20
