"""The catalog, against a real PostgreSQL server: what it records, adopts, survives and refuses."""

from __future__ import annotations

import dataclasses
import hashlib
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bronze.catalog.catalog import Catalog, Lineage
from bronze.dataset.schema import PRIMARY_TABLE, schema_text
from bronze.errors import CatalogError, CatalogUnavailableError, ConfigError, ConflictError, is_transient
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import ERA, PRODUCER, era, hex_hash
from tests.support.postgres_server import LOCKED, PostgresServer, database, postgres

__all__ = ["database", "postgres"]

pytestmark = pytest.mark.timeout(120)
SECRET = "hunter2-and-more"


def lineage(start: int, end: int, content: str = "a", event: str = "e", **changes: Any) -> Lineage:
    made = Lineage(
        partition=Partition(start, end),
        row_count=end - start + 1,
        byte_size=1000,
        checksum=f"sha256:{hex_hash((start, end, content))}",
        event_hash=f"sha256:{hex_hash((start, end, content, event))}" if event else "",
        storage_path=f"{ERA.chain}/{PRIMARY_TABLE}/range={start}-{end}",
        storage_uri=f"file:///data/range={start}-{end}/part-{start}-{end}.parquet",
        producer=PRODUCER,
        source_type="local",
        source_location="/lake",
    )
    return dataclasses.replace(made, **changes)


def rows(dsn: str, query: str) -> list[Any]:
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def everything(dsn: str) -> dict[str, list[Any]]:
    """All rows of all tables, with their system columns: a row that was written again shows."""
    tables = ("_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes")
    return {table: rows(dsn, f"SELECT xmin::text, * FROM {table} ORDER BY id") for table in tables}


@pytest.fixture
def catalog(database: str) -> Iterator[Catalog]:
    with Catalog(database, "tests") as made:
        yield made


def record(catalog: Catalog, *made: Lineage) -> None:
    for row in made:
        catalog.record(ERA, PRIMARY_TABLE, row)


# What is recorded


def test_a_partition_is_recorded_whole(catalog: Catalog, database: str) -> None:
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


def test_schema_text_is_the_same_for_ever() -> None:
    """Another text is a schema change on record in every catalog there is."""
    assert schema_text().splitlines()[3] == "close_time timestamp[ms, tz=UTC] required"
    assert hashlib.sha256(schema_text().encode()).hexdigest() == (
        "7df0632b93c3807976c8b3d346ad5c898744f98954e5299dcfda3fff57ee744b"
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


def test_prev_hash_is_the_checksum_of_the_partition_before(catalog: Catalog, database: str) -> None:
    # the second after the third, as a later run fills a gap; the first corrected last of all
    record(catalog, lineage(2, 11), lineage(22, 31), lineage(12, 21), lineage(42, 51), lineage(2, 11, "corrected"))
    assert rows(database, "SELECT ledger_start, prev_hash FROM _meta_lineage ORDER BY 1") == [
        (2, None),
        (12, lineage(2, 11, "corrected").checksum),
        (22, lineage(12, 21).checksum),
        (42, None),
    ]


def test_another_checksum_is_a_correction(catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11), lineage(2, 11, "b"), lineage(2, 11, "b"))
    assert catalog.recorded(ERA, PRIMARY_TABLE) == {
        Partition(2, 11): (lineage(2, 11, "b").checksum, lineage(2, 11, "b").event_hash)
    }
    ((kind, description, old, new),) = rows(
        database, "SELECT change_type, description, old_version, new_version FROM _meta_changes"
    )
    assert (kind, old, new) == ("correction", "v1", "v1")
    assert description == f"2-11: {lineage(2, 11).checksum} became {lineage(2, 11, 'b').checksum}"


def test_a_run_without_audit_stream_keeps_the_event_of_the_same_file_only(catalog: Catalog) -> None:
    record(catalog, lineage(2, 11), lineage(2, 11, event=""))
    assert catalog.recorded(ERA, PRIMARY_TABLE)[Partition(2, 11)][1] == lineage(2, 11).event_hash
    record(catalog, lineage(2, 11, "other file", event=""))
    assert catalog.recorded(ERA, PRIMARY_TABLE)[Partition(2, 11)][1] == ""
    assert catalog.last_event(ERA, PRIMARY_TABLE) is None


def test_the_last_event_is_the_chains_head(catalog: Catalog) -> None:
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


def test_a_changed_schema_is_on_record(database: str) -> None:
    for schema in ("a int", "a int", "a int, b int"):
        with Catalog(database, "tests", schema=schema) as catalog:
            catalog.register(ERA, PRIMARY_TABLE)
            record(catalog, lineage(2, 11))
    (change,) = rows(database, "SELECT change_type, description FROM _meta_changes")
    old, new = (hashlib.sha256(text.encode()).hexdigest() for text in ("a int", "a int, b int"))
    assert change == ("schema_change", f"schema hash {old} became {new}")
    assert rows(database, "SELECT schema_hash, updated_at > created_at FROM _meta_datasets") == [(new, True)]


def test_a_failure_says_why_until_the_partition_passes(catalog: Catalog, database: str) -> None:
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


def test_long_names_of_the_program_fit_the_older_columns(catalog: Catalog, database: str) -> None:
    producer = dataclasses.replace(PRODUCER, version="v" * 100, git_sha="f" * 100)
    record(catalog, lineage(2, 11, producer=producer, source_type="s" * 100))
    (found,) = rows(database, "SELECT producer_version, producer_git_sha, source_type FROM _meta_lineage")
    assert [len(text) for text in found] == [64, 64, 32]


def test_coverage(catalog: Catalog, database: str) -> None:
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
def test_each_row_links_to_the_partition_before_it(
    catalog: Catalog, database: str, ranges: list[tuple[int, int]]
) -> None:
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


def test_an_unknown_dataset_has_nothing(catalog: Catalog, database: str) -> None:
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


# Making and adopting the tables

OLDER = """
CREATE TABLE _meta_datasets (
    id SERIAL PRIMARY KEY, domain VARCHAR(32) NOT NULL, dataset VARCHAR(64) NOT NULL, version VARCHAR(32) NOT NULL,
    era_id VARCHAR(64), network VARCHAR(32), schema_hash VARCHAR(64), description TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW(), updated_at TIMESTAMPTZ DEFAULT NOW(),
    UNIQUE (domain, dataset, version, era_id, network));
CREATE TABLE _meta_lineage (
    id SERIAL PRIMARY KEY, dataset_id INTEGER REFERENCES _meta_datasets(id), ledger_start BIGINT NOT NULL,
    ledger_end BIGINT NOT NULL, row_count BIGINT NOT NULL, byte_size BIGINT, checksum VARCHAR(128) NOT NULL,
    prev_hash VARCHAR(128), storage_path TEXT NOT NULL, storage_uri TEXT, producer_version VARCHAR(64) NOT NULL,
    producer_git_sha VARCHAR(64), source_type VARCHAR(32), source_location TEXT,
    created_at TIMESTAMPTZ DEFAULT NOW(), UNIQUE (dataset_id, ledger_start, ledger_end));
CREATE TABLE _meta_quality (
    id SERIAL PRIMARY KEY, dataset_id INTEGER REFERENCES _meta_datasets(id), ledger_start BIGINT NOT NULL,
    ledger_end BIGINT NOT NULL, passed BOOLEAN NOT NULL, error_message TEXT, created_at TIMESTAMPTZ DEFAULT NOW(),
    UNIQUE (dataset_id, ledger_start, ledger_end));
CREATE TABLE _meta_changes (
    id SERIAL PRIMARY KEY, dataset_id INTEGER REFERENCES _meta_datasets(id), change_type VARCHAR(32) NOT NULL,
    description TEXT, old_version VARCHAR(32), new_version VARCHAR(32), created_at TIMESTAMPTZ DEFAULT NOW());
CREATE VIEW _meta_coverage AS
    SELECT d.domain, d.dataset, d.version, d.era_id, d.network, MIN(l.ledger_start) AS min_ledger,
           MAX(l.ledger_end) AS max_ledger, COUNT(*) AS partition_count, SUM(l.row_count) AS total_rows,
           SUM(l.byte_size) AS total_bytes
    FROM _meta_datasets d JOIN _meta_lineage l ON l.dataset_id = d.id
    GROUP BY d.domain, d.dataset, d.version, d.era_id, d.network;
INSERT INTO _meta_datasets (domain, dataset, version, era_id, network, schema_hash)
    VALUES ('bronze', 'ledgers_lcm_raw', 'v1', 'e1', 'standalone', 'older');
INSERT INTO _meta_lineage (dataset_id, ledger_start, ledger_end, row_count, byte_size, checksum, storage_path,
                           producer_version)
    VALUES (1, 2, 11, 10, 77, 'sha256:older', 'older/path', 'bronze-copier@v0.1.0');
INSERT INTO _meta_quality (dataset_id, ledger_start, ledger_end, passed) VALUES (1, 2, 11, true);
"""


def test_tables_of_the_older_copier_are_adopted(database: str, postgres: PostgresServer) -> None:
    name = database.rpartition("/")[2]
    postgres.execute(OLDER, name)
    kept = "SELECT id, ledger_start, row_count, byte_size, checksum, storage_path, created_at FROM _meta_lineage"
    before = rows(database, kept)
    with Catalog(database, "tests") as catalog:
        assert catalog.recorded(ERA, PRIMARY_TABLE) == {Partition(2, 11): ("sha256:older", "")}
        assert catalog.last_event(ERA, PRIMARY_TABLE) is None
        record(catalog, lineage(12, 21))
        assert catalog.last_event(ERA, PRIMARY_TABLE) == (Partition(12, 21), lineage(12, 21).event_hash)
    assert rows(database, kept + " WHERE ledger_start = 2") == before
    assert rows(database, "SELECT prev_hash FROM _meta_lineage WHERE ledger_start = 12") == [("sha256:older",)]
    assert rows(database, "SELECT max_ledger, partition_count, total_bytes FROM _meta_coverage") == [(21, 2, 1077)]
    assert rows(database, "SELECT change_type FROM _meta_changes") == [("schema_change",)]
    assert rows(database, "SELECT count(*) FROM _meta_datasets") == [(1,)]


def test_a_version_that_the_older_columns_cannot_hold_is_refused(database: str, postgres: PostgresServer) -> None:
    postgres.execute(OLDER, database.rpartition("/")[2])
    with Catalog(database, "tests") as catalog, pytest.raises(CatalogError, match="too long for type"):
        catalog.register(era(version_label="v" * 33), PRIMARY_TABLE)


def test_a_long_version_fits_the_tables_made_here(catalog: Catalog, database: str) -> None:
    of = era(version_label="v" * 100)
    catalog.record(of, PRIMARY_TABLE, lineage(2, 11))
    catalog.record(of, PRIMARY_TABLE, lineage(2, 11, "b"))
    assert rows(database, "SELECT version FROM _meta_datasets") == [("v" * 100,)]


def _start_at_once(barrier: Any, dsn: str, number: int) -> None:
    barrier.wait(60)
    with Catalog(dsn, "tests") as catalog:
        record(catalog, lineage(2, 11), lineage(12 + 10 * number, 21 + 10 * number))


@pytest.mark.parametrize("state", ["empty", "older"])
def test_eight_copiers_start_at_once(database: str, postgres: PostgresServer, state: str) -> None:
    name = database.rpartition("/")[2]
    if state == "older":
        postgres.execute(OLDER, name)
    # the strictest default there is: a snapshot taken before the lock was got would show no tables
    postgres.execute(f'ALTER DATABASE "{name}" SET default_transaction_isolation = serializable')
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(8)
    copiers = [context.Process(target=_start_at_once, args=(barrier, database, number)) for number in range(8)]
    for copier in copiers:
        copier.start()
    for copier in copiers:
        copier.join(60)
    assert [copier.exitcode for copier in copiers] == [0] * 8
    assert rows(database, "SELECT count(*), min(ledger_start), max(ledger_end) FROM _meta_lineage") == [(9, 2, 91)]
    assert rows(database, "SELECT count(*) FROM _meta_datasets") == [(1,)]
    assert rows(database, "SELECT count(*) FROM _meta_changes WHERE change_type = 'schema_change'") == [
        (1 if state == "older" else 0,)
    ]


@pytest.fixture
def worker(postgres: PostgresServer, database: str) -> Iterator[str]:
    """A role that may read and write the tables there are and make none; its connection URL."""
    name = database.rpartition("/")[2]
    role = f"worker_{name}"
    postgres.execute(f"CREATE ROLE {role} LOGIN", name)
    yield postgres.dsn(name, role)
    postgres.start()
    postgres.execute(f"DROP OWNED BY {role}", name)
    postgres.execute(f"DROP ROLE {role}")


def test_no_right_to_make_tables_is_needed_where_they_are(
    catalog: Catalog, database: str, worker: str, postgres: PostgresServer
) -> None:
    catalog.register(ERA, PRIMARY_TABLE)
    role, name = worker.partition("//")[2].partition("@")[0], database.rpartition("/")[2]
    postgres.execute(
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role};"
        f" GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO {role}",
        name,
    )
    with Catalog(worker, "tests") as restricted:
        restricted.lock(ERA.chain)
        record(restricted, lineage(2, 11), lineage(12, 21), lineage(2, 11, "b"))
        restricted.record_failure(ERA, PRIMARY_TABLE, Partition(22, 31), "bad")
        restricted.register(era(era_id="e2"), PRIMARY_TABLE)
        assert restricted.last_event(ERA, PRIMARY_TABLE) == (Partition(2, 11), lineage(2, 11, "b").event_hash)


@pytest.mark.parametrize("state", ["empty", "older"])
def test_where_tables_are_missing_the_right_is_asked_for(
    database: str, worker: str, postgres: PostgresServer, state: str
) -> None:
    if state == "older":
        postgres.execute(OLDER, database.rpartition("/")[2])
    with Catalog(worker, "tests") as restricted, pytest.raises(CatalogError, match="run once as a role that may") as e:
        restricted.register(ERA, PRIMARY_TABLE)
    assert not is_transient(e.value)


def test_the_operators_own_options_are_kept(database: str, postgres: PostgresServer) -> None:
    postgres.execute("CREATE SCHEMA bronze", database.rpartition("/")[2])
    with Catalog(f"{database}?options=-csearch_path%3Dbronze&application_name=mine", "tests") as catalog:
        record(catalog, lineage(2, 11))
        assert rows(database, "SELECT count(*) FROM bronze._meta_lineage") == [(1,)]
        assert ("mine",) in rows(database, "SELECT application_name FROM pg_stat_activity")


def test_the_server_shows_whose_connection_it_is(catalog: Catalog, database: str) -> None:
    catalog.register(ERA, PRIMARY_TABLE)
    assert ("bronze-copier/tests",) in rows(database, "SELECT application_name FROM pg_stat_activity")


# Connections that are lost, and servers that are not there


def backends(dsn: str) -> list[int]:
    """The catalog's sessions in this database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [pid for (pid,) in rows(dsn, query)]


def test_a_terminated_connection_is_opened_again(catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11))
    assert rows(database, f"SELECT pg_terminate_backend({backends(database)[0]}, 10000)") == [(True,)]
    record(catalog, lineage(12, 21))
    assert len(rows(database, "SELECT * FROM _meta_lineage")) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
def test_a_server_restarted_between_calls(
    catalog: Catalog, database: str, postgres: PostgresServer, how: signal.Signals
) -> None:
    record(catalog, lineage(2, 11))
    postgres.stop(how)
    with pytest.raises(CatalogUnavailableError, match="cannot be reached") as caught:
        record(catalog, lineage(12, 21))
    assert is_transient(caught.value)
    postgres.start()
    record(catalog, lineage(12, 21))
    assert len(rows(database, "SELECT * FROM _meta_lineage")) == 2


def test_a_server_killed_in_the_middle_of_a_run(catalog: Catalog, database: str, postgres: PostgresServer) -> None:
    """Whatever was told to be recorded is there after the crash, and nothing is there twice."""
    told: list[int] = []
    some, done = threading.Event(), threading.Event()

    def run() -> None:
        start = 2
        while not done.is_set() or len(told) < 40:
            try:
                record(catalog, lineage(start, start + 9))
            except CatalogUnavailableError:
                continue
            told.append(start)
            start += 10
            if len(told) >= 10:
                some.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert some.wait(60)
    postgres.stop(signal.SIGKILL)
    postgres.start()
    done.set()
    thread.join(60)
    assert not thread.is_alive()
    assert rows(database, "SELECT ledger_start FROM _meta_lineage ORDER BY 1") == [(start,) for start in told]
    assert rows(database, "SELECT count(*) FROM _meta_quality WHERE passed") == [(len(told),)]


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize(
    "dsn",
    [
        "postgresql://someone:{secret}@127.0.0.1:{closed}/db",
        "host=127.0.0.1 port={closed} user=someone password='{secret}' dbname=db",
        "postgresql://someone:{secret}@no-such-host.invalid/db",
        "host=no-such-host.invalid password={secret}",
        "postgresql://{locked}:{secret}@127.0.0.1:{open}/postgres",
        "host=127.0.0.1 port={open} user={locked} password={secret} dbname=postgres",
        "postgresql://postgres:{secret}@127.0.0.1:{open}/no_such_database",
        "postgresql://someone:p@{secret}@127.0.0.1:{closed}/db",  # Go takes the last @
        "postgresql://someone:1234/{secret}@127.0.0.1:{closed}/db",  # libpq takes the password for a port
    ],
)
def test_unreachable_servers_are_told_within_seconds_and_without_the_password(
    postgres: PostgresServer, dsn: str
) -> None:
    started = time.monotonic()
    text = dsn.format(secret=SECRET, closed=closed_port(), open=postgres.port, locked=LOCKED)
    with (
        Catalog(text, "tests") as catalog,
        pytest.raises(CatalogUnavailableError, match=r"cannot be reached: .") as caught,
    ):
        record(catalog, lineage(2, 11))
    assert time.monotonic() - started < 20
    message = "".join(traceback_text(caught.value))
    assert SECRET not in message
    assert "\n" not in str(caught.value)


def traceback_text(error: BaseException) -> list[str]:
    return traceback.format_exception(error)


@pytest.mark.parametrize(
    "dsn",
    [
        f"postgresql://someone:p/{SECRET}@host/db",  # the password's / ends the authority
        f"host=h password={SECRET} {SECRET}",
        f"{SECRET}",
        f"mysql://someone:{SECRET}@host/db",
        f"postgresql://someone:%zz{SECRET}@host/db",
        f"host=h pass={SECRET}",
    ],
)
def test_what_is_no_connection_string_is_a_config_error_that_shows_none_of_it(dsn: str) -> None:
    with pytest.raises(ConfigError, match=r"catalog\.postgres_dsn is no connection string") as caught:
        Catalog(dsn, "tests")
    assert SECRET not in "".join(traceback_text(caught.value))


def test_a_password_with_an_at_sign_works_as_it_did(postgres: PostgresServer) -> None:
    postgres.execute(f"ALTER ROLE {LOCKED} PASSWORD 'a@b:c@d'")
    name = postgres.new_database(f"locked_{os.getpid()}").rpartition("/")[2]
    postgres.execute(f'ALTER DATABASE "{name}" OWNER TO {LOCKED}')
    with Catalog(postgres.dsn(name, LOCKED, "a@b:c@d"), "tests") as catalog:
        record(catalog, lineage(2, 11))


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_server_that_does_not_answer_at_all_is_given_up(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.catalog.connection._GRACE_SECONDS", 0.5)
    with Catalog(database, "tests", patience=1) as catalog:
        record(catalog, lineage(2, 11))
        (pid,) = backends(database)
        with stopped(pid):
            record(catalog, lineage(12, 21))  # on another connection
        assert len(rows(database, "SELECT * FROM _meta_lineage")) == 2


def test_a_server_that_does_not_accept_is_given_up(database: str, postgres: PostgresServer) -> None:
    with (
        stopped(postgres.pid),
        Catalog(f"{database}?connect_timeout=2", "tests") as catalog,
        pytest.raises(CatalogUnavailableError, match="timeout"),
    ):
        record(catalog, lineage(2, 11))


def test_a_forgotten_lock_is_not_waited_for_forever(database: str) -> None:
    with Catalog(database, "tests", patience=0.5) as catalog, closing(psycopg2.connect(database)) as other:
        catalog.register(ERA, PRIMARY_TABLE)
        other.cursor().execute("LOCK TABLE _meta_lineage")
        with pytest.raises(CatalogUnavailableError, match=r"could not do it: .*timeout"):
            record(catalog, lineage(2, 11))
        other.rollback()
        record(catalog, lineage(2, 11))


# The chain's lock

HOLDER = """
import sys
from bronze.catalog.catalog import Catalog
catalog = Catalog(sys.argv[1], "holder")
catalog.lock(sys.argv[2])
print("locked", flush=True)
sys.stdin.read()
"""


@contextmanager
def holder(dsn: str, chain: str) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that has the lock."""
    command = [sys.executable, "-c", HOLDER, dsn, chain]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        try:
            yield process
        finally:
            process.kill()


def test_one_holder_for_each_chain(catalog: Catalog, database: str) -> None:
    catalog.lock(ERA.chain)
    catalog.lock(ERA.chain)
    with Catalog(database, "other") as other:
        with pytest.raises(ConflictError, match=f"another copier commits to the chain {ERA.chain}"):
            other.lock(ERA.chain)
        other.lock("another/chain/v1")
        record(other, lineage(2, 11))  # who has no lock can still write what is missing
        catalog.close()
        other.lock(ERA.chain)


def test_the_lock_ends_with_its_process(catalog: Catalog, database: str) -> None:
    with holder(database, ERA.chain) as process:
        with pytest.raises(ConflictError):
            catalog.lock(ERA.chain)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        catalog.lock(ERA.chain)


def test_the_lock_is_taken_again_with_a_new_connection(
    catalog: Catalog, database: str, postgres: PostgresServer
) -> None:
    catalog.lock(ERA.chain)
    postgres.stop(signal.SIGQUIT)
    postgres.start()
    record(catalog, lineage(2, 11))
    with Catalog(database, "other") as other, pytest.raises(ConflictError):
        other.lock(ERA.chain)


def test_a_lock_lost_to_another_copier_stops_every_write(
    catalog: Catalog, database: str, postgres: PostgresServer
) -> None:
    catalog.lock(ERA.chain)
    postgres.stop(signal.SIGQUIT)
    postgres.start()
    with holder(database, ERA.chain):
        for _ in range(2):
            with pytest.raises(ConflictError):
                record(catalog, lineage(2, 11))
    record(catalog, lineage(2, 11))
