"""What the catalog records and answers, against a real PostgreSQL server."""

from __future__ import annotations

import dataclasses
import hashlib
import time
from contextlib import closing

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bronze.catalog.catalog import Catalog
from bronze.dataset.schema import PRIMARY_TABLE, schema_text
from bronze.errors import CatalogError, is_transient
from bronze.partitioning.partition import Partition
from tests.bronze.catalog.conftest import everything, lineage, record, rows
from tests.bronze.conftest import ERA, PRODUCER, era, hex_hash
from tests.support.postgres_server import PostgresServer

pytestmark = pytest.mark.timeout(120)


def test_partition_is_recorded_with_all_columns(catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11))
    ((dataset, *identity, digest, description),) = rows(
        database, "SELECT id, domain, dataset, version, era_id, network, schema_hash, description FROM _meta_datasets"
    )
    assert identity == ["bronze", PRIMARY_TABLE, "v1", "e1", "standalone"]
    assert digest == hashlib.sha256(schema_text().encode()).hexdigest()
    assert description
    assert rows(
        database,
        "SELECT dataset_id, ledger_start, ledger_end, row_count, byte_size, checksum, prev_hash, storage_path,"
        " storage_uri, producer_version, producer_git_sha, source_type, source_location, pas_event_hash"
        " FROM _meta_lineage",
    ) == [
        (dataset, 2, 11, 10, 1000, lineage(2, 11).checksum, None, lineage(2, 11).storage_path,
         lineage(2, 11).storage_uri, "bronze-copier@v1.2.3", "abc123", "local", "/lake", lineage(2, 11).event_hash)
    ]  # fmt: skip
    assert rows(database, "SELECT dataset_id, ledger_start, ledger_end, passed, error_message FROM _meta_quality") == [
        (dataset, 2, 11, True, None)
    ]
    assert rows(database, "SELECT * FROM _meta_changes") == []


def test_check_tries_everything_and_leaves_nothing(catalog: Catalog, database: str) -> None:
    before = time.time()
    told = catalog.check(ERA, PRIMARY_TABLE)
    assert before - 1 <= told <= time.time() + 1
    assert rows(database, "SELECT to_regclass('_meta_datasets')") == [(None,)]
    record(catalog, lineage(2, 11))
    kept = everything(database)
    catalog.check(ERA, PRIMARY_TABLE)
    assert everything(database) == kept


@pytest.mark.parametrize("table", ["_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes"])
def test_check_names_table_without_rights(table: str, catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11))
    rows(database, "SELECT 1")
    with closing(psycopg2.connect(database)) as connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE ROLE half LOGIN; GRANT ALL ON ALL TABLES IN SCHEMA public TO half;"
            f" GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO half; REVOKE INSERT, UPDATE ON {table} FROM half"
        )
        connection.commit()
        try:
            with (
                Catalog(database.replace("postgres@", "half@"), "tests") as other,
                pytest.raises(CatalogError, match=f"permission denied for table {table}"),
            ):
                other.check(era(era_id="new"), PRIMARY_TABLE)
        finally:
            cursor.execute("DROP OWNED BY half; DROP ROLE half")
            connection.commit()


def test_registered_schema_hash_never_changes() -> None:
    """Another text is a schema change on record in every catalog there is, as that of version 2.0.0 was."""
    assert schema_text().splitlines()[3] == "close_time timestamp[us, tz=UTC] required"
    assert hashlib.sha256(schema_text().encode()).hexdigest() == (
        "8911817799b6e5816e470a882dd1d8252b02e60ed90a480828f1d284df85d63c"
    )


def test_recording_twice_changes_nothing(catalog: Catalog, database: str) -> None:
    made = [lineage(2, 11), lineage(12, 21), lineage(22, 31, event="")]
    record(catalog, *made)
    catalog.record_failure(ERA, PRIMARY_TABLE, Partition(32, 41), "bad hash")
    before = everything(database)
    record(catalog, *made, *made)
    catalog.record_failure(ERA, PRIMARY_TABLE, Partition(32, 41), "bad hash")
    catalog.register(ERA, PRIMARY_TABLE)
    with Catalog(database, "another") as other:
        record(other, *made)
    assert everything(database) == before


def test_prev_hash_is_previous_partitions_checksum(catalog: Catalog, database: str) -> None:
    # the second after the third, as a later run fills a gap; the first corrected last of all
    record(catalog, lineage(2, 11), lineage(22, 31), lineage(12, 21), lineage(42, 51), lineage(2, 11, "corrected"))
    assert rows(database, "SELECT ledger_start, prev_hash FROM _meta_lineage ORDER BY 1") == [
        (2, None),
        (12, lineage(2, 11, "corrected").checksum),
        (22, lineage(12, 21).checksum),
        (42, None),
    ]


def test_different_checksum_is_recorded_as_correction(catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11), lineage(2, 11, "b"), lineage(2, 11, "b"))
    (row,) = catalog.recorded(ERA, PRIMARY_TABLE).values()
    assert (row.checksum, row.event_hash) == (lineage(2, 11, "b").checksum, lineage(2, 11, "b").event_hash)
    ((kind, description, old, new),) = rows(
        database, "SELECT change_type, description, old_version, new_version FROM _meta_changes"
    )
    assert (kind, old, new) == ("correction", "v1", "v1")
    assert description == f"2-11: {lineage(2, 11).checksum} became {lineage(2, 11, 'b').checksum}"


def test_recording_without_event_keeps_unchanged_files_event(catalog: Catalog) -> None:
    record(catalog, lineage(2, 11), lineage(2, 11, event=""))
    assert catalog.recorded(ERA, PRIMARY_TABLE)[Partition(2, 11)].event_hash == lineage(2, 11).event_hash
    record(catalog, lineage(2, 11, "other file", event=""))
    assert catalog.recorded(ERA, PRIMARY_TABLE)[Partition(2, 11)].event_hash == ""
    assert catalog.last_event(ERA, PRIMARY_TABLE) is None


def test_last_event_is_the_chain_head(catalog: Catalog) -> None:
    assert catalog.last_event(ERA, PRIMARY_TABLE) is None
    made = [
        lineage(2, 11),
        lineage(32, 41),
        lineage(12, 21),  # a gap filled later: its event follows that of higher ledgers
        lineage(2, 11, "corrected"),  # and so does a correction
        lineage(42, 51),
    ]
    for row in made:
        record(catalog, row)
        assert catalog.last_event(ERA, PRIMARY_TABLE) == (row.partition, row.event_hash)
    record(catalog, *made[1:4], lineage(52, 61, event=""))  # nothing new
    assert catalog.last_event(ERA, PRIMARY_TABLE) == (Partition(42, 51), made[4].event_hash)


def test_changed_schema_is_recorded_as_change(database: str) -> None:
    for schema in ("a int", "a int", "a int, b int"):
        with Catalog(database, "tests", schema=schema) as catalog:
            catalog.register(ERA, PRIMARY_TABLE)
            record(catalog, lineage(2, 11))
    (change,) = rows(database, "SELECT change_type, description FROM _meta_changes")
    old, new = (hashlib.sha256(text.encode()).hexdigest() for text in ("a int", "a int, b int"))
    assert change == ("schema_change", f"schema hash {old} became {new}")
    assert rows(database, "SELECT schema_hash, updated_at > created_at FROM _meta_datasets") == [(new, True)]


def test_failure_is_recorded_until_partition_passes(catalog: Catalog, database: str) -> None:
    quality = "SELECT ledger_start, passed, error_message FROM _meta_quality ORDER BY 1"
    for message in ("first reason", "second reason"):
        catalog.record_failure(ERA, PRIMARY_TABLE, Partition(2, 11), message)
        assert rows(database, quality) == [(2, False, message)]
    record(catalog, lineage(2, 11))
    assert rows(database, quality) == [(2, True, None)]
    catalog.record_failure(ERA, PRIMARY_TABLE, Partition(2, 11), "a run that could not read the lake")
    assert rows(database, quality) == [(2, True, None)]


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("100 % of %s and %(x)s", "100 % of %s and %(x)s"),
        ("a\0b", "ab"),  # PostgreSQL's text has no NUL
        ("x\udc80y", "x?y"),  # a file name that is no UTF-8
        ("'; DROP TABLE _meta_quality; --\\", "'; DROP TABLE _meta_quality; --\\"),
        ("ü" * 1_000_000, "ü" * 4000),
        ("", ""),
    ],
    ids=["percent", "nul", "surrogate", "quotes", "long", "empty"],
)
def test_any_message_can_be_recorded(catalog: Catalog, database: str, message: str, kept: str) -> None:
    catalog.record_failure(ERA, PRIMARY_TABLE, Partition(2, 11), message)
    assert rows(database, "SELECT passed, error_message FROM _meta_quality") == [(False, kept)]


def test_long_producer_names_are_cut_to_columns(catalog: Catalog, database: str) -> None:
    producer = dataclasses.replace(PRODUCER, version="v" * 100, git_sha="f" * 100)
    record(catalog, lineage(2, 11, producer=producer, source_type="s" * 100))
    (found,) = rows(database, "SELECT producer_version, producer_git_sha, source_type FROM _meta_lineage")
    assert [len(text) for text in found] == [64, 64, 32]


def test_coverage_view_sums_each_era(catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11), lineage(22, 31))
    other = era(era_id="e2")
    catalog.record(other, PRIMARY_TABLE, lineage(100, 104))
    catalog.register(era(era_id="e3"), PRIMARY_TABLE)  # has nothing yet
    assert rows(database, "SELECT * FROM _meta_coverage ORDER BY era_id") == [
        ("bronze", PRIMARY_TABLE, "v1", "e1", "standalone", 2, 31, 2, 20, 2000),
        ("bronze", PRIMARY_TABLE, "v1", "e2", "standalone", 100, 104, 1, 5, 1000),
    ]
    assert list(catalog.recorded(other, PRIMARY_TABLE)) == [Partition(100, 104)]


RANGES = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)).map(lambda pair: (pair[0], sum(pair))), max_size=8)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ranges=RANGES)
def test_each_row_links_to_previous_partition(catalog: Catalog, database: str, ranges: list[tuple[int, int]]) -> None:
    of = era(era_id="p" + hex_hash(ranges)[:20])
    for start, end in ranges:
        catalog.record(of, PRIMARY_TABLE, lineage(start, end))
    assert set(catalog.recorded(of, PRIMARY_TABLE)) == {Partition(*pair) for pair in ranges}
    links = rows(
        database,
        "SELECT ledger_start, ledger_end, prev_hash FROM _meta_lineage JOIN _meta_datasets ON dataset_id ="
        f" _meta_datasets.id WHERE era_id = '{of.era_id}'",
    )
    for start, _, prev_hash in links:
        before = sorted(pair for pair in set(ranges) if pair[1] == start - 1)
        assert prev_hash == (lineage(*before[0]).checksum if before else None)


def test_reading_unknown_dataset_registers_nothing(catalog: Catalog, database: str) -> None:
    assert catalog.recorded(ERA, PRIMARY_TABLE) == {}
    assert catalog.last_event(ERA, PRIMARY_TABLE) is None
    assert rows(database, "SELECT * FROM _meta_datasets") == []  # and looking registers nothing


def test_lineage_and_quality_are_one_transaction(catalog: Catalog, database: str, postgres: PostgresServer) -> None:
    catalog.register(ERA, PRIMARY_TABLE)
    name = database.rpartition("/")[2]
    postgres.execute("ALTER TABLE _meta_quality ADD CHECK (NOT passed)", name)
    with pytest.raises(CatalogError, match=r"refused a statement: .*_meta_quality") as caught:
        record(catalog, lineage(2, 11))
    assert not is_transient(caught.value)
    assert rows(database, "SELECT * FROM _meta_lineage") == []
    postgres.execute("ALTER TABLE _meta_quality DROP CONSTRAINT _meta_quality_passed_check", name)
    record(catalog, lineage(2, 11))
    assert len(rows(database, "SELECT * FROM _meta_lineage")) == 1


def test_row_of_later_correction_stays(catalog: Catalog, database: str) -> None:
    first, second, third = (lineage(2, 11, content) for content in "abc")
    catalog.record(ERA, PRIMARY_TABLE, first, [])
    catalog.record(ERA, PRIMARY_TABLE, second, [first.event_hash])
    before = everything(database)
    catalog.record(ERA, PRIMARY_TABLE, first, [])
    assert everything(database) == before

    catalog.record(ERA, PRIMARY_TABLE, third, [first.event_hash, second.event_hash])
    assert rows(database, "SELECT checksum FROM _meta_lineage") == [(third.checksum,)]
    assert len(rows(database, "SELECT FROM _meta_changes")) == 2
