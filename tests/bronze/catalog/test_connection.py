"""Sessions with a real PostgreSQL server: tables created or adopted, connections lost, timeouts, chain locks."""

from __future__ import annotations

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

from bronze.catalog.catalog import Catalog
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import CatalogError, CatalogUnavailableError, ConfigError, ConflictError, is_transient
from bronze.partitioning.partition import Partition
from tests.bronze.catalog.conftest import lineage, record, rows
from tests.bronze.conftest import ERA, era
from tests.support.postgres_server import LOCKED, PostgresServer

pytestmark = pytest.mark.timeout(120)
SECRET = "hunter2-and-more"


# Tables created or adopted

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


def test_older_copiers_tables_are_adopted(database: str, postgres: PostgresServer) -> None:
    name = database.rpartition("/")[2]
    postgres.execute(OLDER, name)
    kept = "SELECT id, ledger_start, row_count, byte_size, checksum, storage_path, created_at FROM _meta_lineage"
    before = rows(database, kept)
    with Catalog(database, "tests") as catalog:
        row = catalog.recorded(ERA, PRIMARY_TABLE)[Partition(2, 11)]
        assert (row.checksum, row.event_hash, row.prev_hash) == ("sha256:older", "", "")
        assert catalog.last_event(ERA, PRIMARY_TABLE) is None
        record(catalog, lineage(12, 21))
        assert catalog.last_event(ERA, PRIMARY_TABLE) == (Partition(12, 21), lineage(12, 21).event_hash)
    assert rows(database, kept + " WHERE ledger_start = 2") == before
    assert rows(database, "SELECT prev_hash FROM _meta_lineage WHERE ledger_start = 12") == [("sha256:older",)]
    assert rows(database, "SELECT max_ledger, partition_count, total_bytes FROM _meta_coverage") == [(21, 2, 1077)]
    assert rows(database, "SELECT change_type FROM _meta_changes") == [("schema_change",)]
    assert rows(database, "SELECT count(*) FROM _meta_datasets") == [(1,)]


def test_version_too_long_for_older_columns_fails(database: str, postgres: PostgresServer) -> None:
    postgres.execute(OLDER, database.rpartition("/")[2])
    with Catalog(database, "tests") as catalog, pytest.raises(CatalogError, match="too long for type"):
        catalog.register(era(version_label="v" * 33), PRIMARY_TABLE)


def test_long_version_fits_new_tables(catalog: Catalog, database: str) -> None:
    of = era(version_label="v" * 100)
    catalog.record(of, PRIMARY_TABLE, lineage(2, 11))
    catalog.record(of, PRIMARY_TABLE, lineage(2, 11, "b"))
    assert rows(database, "SELECT version FROM _meta_datasets") == [("v" * 100,)]


def _start_at_once(barrier: Any, dsn: str, number: int) -> None:
    barrier.wait(60)
    with Catalog(dsn, "tests") as catalog:
        record(catalog, lineage(2, 11), lineage(12 + 10 * number, 21 + 10 * number))


@pytest.mark.parametrize("state", ["empty", "older"])
def test_eight_copiers_create_tables_at_once(database: str, postgres: PostgresServer, state: str) -> None:
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


def test_existing_tables_need_no_create_right(
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
def test_missing_tables_without_create_right_fail(
    database: str, worker: str, postgres: PostgresServer, state: str
) -> None:
    if state == "older":
        postgres.execute(OLDER, database.rpartition("/")[2])
    with Catalog(worker, "tests") as restricted, pytest.raises(CatalogError, match="run once as a role that may") as e:
        restricted.register(ERA, PRIMARY_TABLE)
    assert not is_transient(e.value)


def test_connection_string_options_take_precedence(database: str, postgres: PostgresServer) -> None:
    postgres.execute("CREATE SCHEMA bronze", database.rpartition("/")[2])
    with Catalog(f"{database}?options=-csearch_path%3Dbronze&application_name=mine", "tests") as catalog:
        record(catalog, lineage(2, 11))
        assert rows(database, "SELECT count(*) FROM bronze._meta_lineage") == [(1,)]
        assert ("mine",) in rows(database, "SELECT application_name FROM pg_stat_activity")


def test_application_name_shows_the_namespace(catalog: Catalog, database: str) -> None:
    catalog.register(ERA, PRIMARY_TABLE)
    assert ("bronze-copier/tests",) in rows(database, "SELECT application_name FROM pg_stat_activity")


# Lost connections and unreachable servers


def backends(dsn: str) -> list[int]:
    """The catalog's sessions in this database."""
    query = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    return [pid for (pid,) in rows(dsn, query)]


def test_terminated_connection_is_opened_again(catalog: Catalog, database: str) -> None:
    record(catalog, lineage(2, 11))
    assert rows(database, f"SELECT pg_terminate_backend({backends(database)[0]}, 10000)") == [(True,)]
    record(catalog, lineage(12, 21))
    assert len(rows(database, "SELECT * FROM _meta_lineage")) == 2


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT, signal.SIGKILL])
def test_server_restarted_between_calls_is_reconnected(
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


def test_server_killed_during_run_loses_no_row(catalog: Catalog, database: str, postgres: PostgresServer) -> None:
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
def test_unreachable_server_error_is_quick_and_redacted(postgres: PostgresServer, dsn: str) -> None:
    started = time.monotonic()
    text = dsn.format(secret=SECRET, closed=closed_port(), open=postgres.port, locked=LOCKED)
    with (
        Catalog(text, "tests") as catalog,
        pytest.raises(CatalogUnavailableError, match=r"(cannot be reached|refuses the connection): .") as caught,
    ):
        record(catalog, lineage(2, 11))
    assert time.monotonic() - started < 20
    message = "".join(traceback_text(caught.value))
    assert SECRET not in message
    assert "\n" not in str(caught.value)
    assert "Is the server running" not in message
    assert ("refuses the connection" in message) == ("{open}" in dsn)


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
def test_invalid_connection_string_is_redacted_config_error(dsn: str) -> None:
    with pytest.raises(ConfigError, match=r"catalog\.postgres_dsn is not a connection string") as caught:
        Catalog(dsn, "tests")
    assert SECRET not in "".join(traceback_text(caught.value))


def test_password_with_at_sign_connects(postgres: PostgresServer) -> None:
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


def test_unresponsive_server_is_disconnected_after_timeout(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.catalog.session._GRACE_SECONDS", 0.5)
    with Catalog(database, "tests", timeout_seconds=1) as catalog:
        record(catalog, lineage(2, 11))
        (pid,) = backends(database)
        with stopped(pid):
            record(catalog, lineage(12, 21))  # on another connection
        assert len(rows(database, "SELECT * FROM _meta_lineage")) == 2


def test_server_that_never_accepts_times_out(database: str, postgres: PostgresServer) -> None:
    with (
        stopped(postgres.pid),
        Catalog(f"{database}?connect_timeout=2", "tests") as catalog,
        pytest.raises(CatalogUnavailableError, match="timeout"),
    ):
        record(catalog, lineage(2, 11))


def test_forgotten_table_lock_times_out(database: str) -> None:
    with Catalog(database, "tests", timeout_seconds=0.5) as catalog, closing(psycopg2.connect(database)) as other:
        catalog.register(ERA, PRIMARY_TABLE)
        other.cursor().execute("LOCK TABLE _meta_lineage")
        with pytest.raises(CatalogUnavailableError, match=r"could not run a statement: .*timeout"):
            record(catalog, lineage(2, 11))
        other.rollback()
        record(catalog, lineage(2, 11))


# Chain locks

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


def test_chain_lock_has_one_holder(catalog: Catalog, database: str) -> None:
    catalog.lock(ERA.chain)
    catalog.lock(ERA.chain)
    with Catalog(database, "other") as other:
        with pytest.raises(ConflictError, match=f"another copier is committing to the chain {ERA.chain}"):
            other.lock(ERA.chain)
        other.lock("another/chain/v1")
        record(other, lineage(2, 11))  # who has no lock can still write what is missing
        catalog.close()
        other.lock(ERA.chain)


def test_chain_lock_ends_with_its_process(catalog: Catalog, database: str) -> None:
    with holder(database, ERA.chain) as process:
        with pytest.raises(ConflictError):
            catalog.lock(ERA.chain)
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        catalog.lock(ERA.chain)


def test_chain_lock_is_retaken_after_reconnect(catalog: Catalog, database: str, postgres: PostgresServer) -> None:
    catalog.lock(ERA.chain)
    postgres.stop(signal.SIGQUIT)
    postgres.start()
    record(catalog, lineage(2, 11))
    with Catalog(database, "other") as other, pytest.raises(ConflictError):
        other.lock(ERA.chain)


def test_lost_chain_lock_stops_every_write(catalog: Catalog, database: str, postgres: PostgresServer) -> None:
    catalog.lock(ERA.chain)
    postgres.stop(signal.SIGQUIT)
    postgres.start()
    with holder(database, ERA.chain):
        for _ in range(2):
            with pytest.raises(ConflictError):
                record(catalog, lineage(2, 11))
    record(catalog, lineage(2, 11))
