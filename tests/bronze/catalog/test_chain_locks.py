"""The catalog behind a real PgBouncer in each of its modes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from bronze.catalog.catalog import Catalog
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import CatalogError, CatalogUnavailableError, ConflictError, is_transient
from tests.bronze.catalog.conftest import lineage, record, rows
from tests.bronze.conftest import ERA
from tests.support.pgbouncer import ask, running_pooler

pytestmark = pytest.mark.timeout(120)
SESSION_SETTINGS = (
    "statement_timeout",
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "default_transaction_isolation",
    "tcp_keepalives_idle",
)
LOCKS = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"


@pytest.fixture(params=["transaction", "session"])
def pooled(request: pytest.FixtureRequest, database: str) -> Iterator[str]:
    with running_pooler(database, request.param) as dsn:
        yield dsn


def test_chain_lock_behind_pooler_has_one_holder(pooled: str, database: str) -> None:
    with Catalog(pooled, "first") as first, Catalog(pooled, "second") as second:
        first.lock(ERA.chain)
        first.lock("another/chain/v1")
        record(first, lineage(2, 11))
        with pytest.raises(ConflictError, match="another copier is committing"):
            second.lock(ERA.chain)
        record(second, lineage(12, 21))  # whoever asked in vain has spoiled nothing
        with pytest.raises(ConflictError):
            second.lock("another/chain/v1")
        first.close()
        second.lock(ERA.chain)
    assert rows(database, LOCKS) == [(0,)]


def test_refused_lock_gives_up_no_other(database: str) -> None:
    """The locks that are held stay in their transaction: nobody can take one in between."""
    held = "SELECT virtualtransaction, objid FROM pg_locks WHERE locktype = 'advisory' ORDER BY 1, 2"
    with Catalog(database, "first") as first, Catalog(database, "second") as second:
        first.lock(ERA.chain)
        second.lock("another/chain/v1")
        before = rows(database, held)
        with pytest.raises(ConflictError):
            second.lock(ERA.chain)
        record(second, lineage(12, 21))
        assert rows(database, held) == before
        assert len(before) == 2


@pytest.mark.parametrize("pooler", ["transaction", "session"])
def test_direct_and_pooled_copier_exclude_each_other(database: str, pooler: str) -> None:
    with (
        running_pooler(database, pooler) as pooled,
        Catalog(pooled, "pooled") as first,
        Catalog(database, "direct") as other,
    ):
        first.lock(ERA.chain)
        with pytest.raises(ConflictError):
            other.lock(ERA.chain)


def test_chain_lock_ends_with_clean_run(pooled: str) -> None:
    for _ in range(3):
        with Catalog(pooled, "run") as catalog:
            catalog.lock(ERA.chain)
            record(catalog, lineage(2, 11))


def test_pooled_chain_lock_ends_with_killed_process(pooled: str) -> None:
    program = (
        "import sys; from bronze.catalog.catalog import Catalog; c = Catalog(sys.argv[1], 'x');"
        "c.lock(sys.argv[2]); print('locked', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", program, pooled, ERA.chain]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"locked\n"
        with Catalog(pooled, "next") as catalog, pytest.raises(ConflictError):
            catalog.lock(ERA.chain)
        process.kill()
        process.wait(30)
        with Catalog(pooled, "next") as catalog:
            catalog.lock(ERA.chain)


def test_pooled_connections_keep_no_setting(database: str) -> None:
    """Of every connection of the pool, held open at once: other programs get them next."""
    expected = [ask(database, f"SHOW {name}") for name in SESSION_SETTINGS]
    with running_pooler(database, "transaction", default_pool_size=3) as pooled:
        with Catalog(pooled, "tests", timeout_seconds=7) as catalog:
            catalog.lock(ERA.chain)
            record(catalog, lineage(2, 11), lineage(12, 21))
        for _ in range(3):
            assert [ask(pooled, f"SHOW {name}") for name in SESSION_SETTINGS] == expected
        assert ask(pooled, LOCKS) == [(0,)]


def test_lost_pooled_lock_is_taken_again(database: str) -> None:
    with running_pooler(database, "transaction") as pooled, Catalog(pooled, "first") as first:
        first.lock(ERA.chain)
        ((holder,),) = rows(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        assert rows(database, f"SELECT pg_terminate_backend({holder}, 10000)") == [(True,)]
        record(first, lineage(2, 11))
        with Catalog(pooled, "second") as second, pytest.raises(ConflictError):
            second.lock(ERA.chain)
        assert rows(database, LOCKS) == [(1,)]


def test_pooled_lock_lost_to_another_stops_writes(database: str) -> None:
    with running_pooler(database, "transaction") as pooled, Catalog(pooled, "first") as first:
        first.lock(ERA.chain)
        ((holder,),) = rows(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        rows(database, f"SELECT pg_terminate_backend({holder}, 10000)")
        with Catalog(pooled, "second") as second:
            second.lock(ERA.chain)
            for _ in range(2):
                with pytest.raises(ConflictError):
                    record(first, lineage(2, 11))
        record(first, lineage(2, 11))


def test_statement_pooler_is_refused_by_name(database: str) -> None:
    with (
        running_pooler(database, "statement") as pooled,
        Catalog(pooled, "tests") as catalog,
        pytest.raises(CatalogError, match="behind a pooler in statement mode") as caught,
    ):
        catalog.lock(ERA.chain)
    assert not is_transient(caught.value)


def test_pool_of_one_connection_says_what_is_needed(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bronze.catalog.session._GRACE_SECONDS", 0.5)
    with (
        running_pooler(database, "transaction", default_pool_size=1) as pooled,
        Catalog(pooled, "tests", timeout_seconds=1) as catalog,
    ):
        catalog.lock(ERA.chain)
        with pytest.raises(CatalogUnavailableError, match="each copier needs two of its connections"):
            record(catalog, lineage(2, 11))


def test_lock_outlasts_idle_transaction_timeout(database: str) -> None:
    with Catalog(database, "tests", timeout_seconds=0.2) as catalog:
        catalog.lock(ERA.chain)
        (before,) = rows(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        rows(database, "SELECT pg_sleep(1)")  # longer than any of the connection's other time limits
        record(catalog, lineage(2, 11))
        assert rows(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'") == [before]


def test_open_lock_holds_up_no_vacuum(database: str) -> None:
    with Catalog(database, "tests") as catalog:
        catalog.lock(ERA.chain)
        catalog.register(ERA, PRIMARY_TABLE)
        assert rows(
            database,
            "SELECT backend_xid, backend_xmin FROM pg_stat_activity WHERE pid ="
            " (SELECT pid FROM pg_locks WHERE locktype = 'advisory')",
        ) == [(None, None)]


def test_close_ends_though_server_hangs(database: str) -> None:
    with Catalog(database, "tests") as catalog:
        catalog.lock(ERA.chain)
        ((pid,),) = rows(database, "SELECT pid FROM pg_locks WHERE locktype = 'advisory'")
        os.kill(pid, signal.SIGSTOP)
        started = time.monotonic()
        try:
            catalog.close()
            assert time.monotonic() - started < 5
        finally:
            os.kill(pid, signal.SIGCONT)
