"""Catalog and delivery end to end: a real PostgreSQL and a real HTTP endpoint, each unreachable for a while."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from typing import Any

import psycopg2
import pytest

from bronze.dataset import manifest as manifests
from bronze.storage.local import LocalStore
from tests.e2e.conftest import Copier, LakeFiles, wait_until
from tests.faults.program import child_of, start, strace
from tests.support.http_endpoint import EventEndpoint
from tests.support.postgres_server import PostgresServer, database, postgres

__all__ = ["database", "postgres"]

PARTS = [(8, 15), (16, 23), (24, 31), (32, 39)]
PASSWORD = "wonderful-secret"


@pytest.fixture
def endpoint() -> Iterator[EventEndpoint]:
    server = EventEndpoint()
    yield server
    server.close()


@pytest.fixture
def copy(copier: Callable[..., Copier], sample: Callable[..., LakeFiles]) -> Copier:
    lake = sample(first=8, ledgers=32)
    return copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)


def with_password(dsn: str) -> str:
    return dsn.replace("postgres@", f"postgres:{PASSWORD}@")


def rows(dsn: str, query: str) -> list[tuple[Any, ...]]:
    connection = psycopg2.connect(dsn)
    try:
        with connection.cursor() as cursor:
            cursor.execute(query)
            return cursor.fetchall()
    finally:
        connection.close()


def lineage(dsn: str) -> list[tuple[Any, ...]]:
    return rows(
        dsn,
        "SELECT ledger_start, ledger_end, row_count, checksum, prev_hash, pas_event_hash FROM _meta_lineage"
        " ORDER BY ledger_start",
    )


def as_published(copy: Copier) -> list[tuple[Any, ...]]:
    """The lineage rows that manifests and events imply."""
    hashes = {
        (event["partition"]["ledger_start"], event["partition"]["ledger_end"]): event["chain"]["event_hash"]
        for event in copy.events()
    }
    told, before = [], None
    for part, manifest in copy.manifests().items():
        table = manifest["tables"]["ledgers_lcm_raw"]
        told.append((*part, table["row_count"], table["checksum"], before, hashes[part]))
        before = table["checksum"]
    return told


def test_commits_reach_catalog_and_endpoint(copy: Copier, database: str, endpoint: EventEndpoint) -> None:
    copy.settings["catalog"] = {"postgres_dsn": with_password(database), "strict": True}
    copy.settings["pas"] |= {"endpoint": endpoint.url, "strict": True}
    ran = copy.run()
    assert ran.status == 0, ran.out + ran.err
    assert lineage(database) == as_published(copy)
    assert rows(database, "SELECT ledger_start, passed FROM _meta_quality ORDER BY 1") == [
        (start, True) for start, _ in PARTS
    ]
    assert rows(database, "SELECT min_ledger, max_ledger, partition_count, total_rows FROM _meta_coverage") == [
        (8, 39, 4, 32)
    ]
    assert [event["chain"] for event in endpoint.taken] == [event["chain"] for event in copy.events()]
    again = copy.run()
    assert again.status == 0
    assert len(endpoint.requests) == 4
    assert PASSWORD not in ran.out + ran.err + again.out + again.err


def test_unreachable_catalog_is_backfilled_by_next_run(copy: Copier, database: str, postgres: PostgresServer) -> None:
    copy.settings["catalog"] = {"postgres_dsn": with_password(database)}
    postgres.stop()
    ran = copy.run()
    assert (ran.status, copy.committed()) == (5, PARTS)
    assert "the catalog cannot be reached" in ran.err
    assert ran.lines("outstanding")
    assert PASSWORD not in ran.out + ran.err
    postgres.start()
    again = copy.run()  # nothing is left to copy
    assert (again.status, again.lines("outstanding")) == (0, [])
    assert lineage(database) == as_published(copy)


def test_unreachable_strict_catalog_stops_before_commit(copy: Copier, database: str, postgres: PostgresServer) -> None:
    copy.settings["catalog"] = {"postgres_dsn": database, "strict": True}
    postgres.stop()
    ran = copy.run()
    assert ran.status == 1
    assert "the catalog cannot be reached" in ran.err + ran.out
    assert (copy.heads, copy.checkpoint()) == ({}, 0)
    postgres.start()
    assert copy.run().status == 0
    assert lineage(database) == as_published(copy)
    assert copy.committed() == PARTS


def test_failed_partition_gets_quality_row(
    copier: Callable[..., Copier], sample: Callable[..., LakeFiles], database: str
) -> None:
    lake = sample(first=8, ledgers=32)
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    copy.settings["catalog"] = {"postgres_dsn": database}
    missing = next(lake.root.rglob("*--20.xdr.zst"))
    content = missing.read_bytes()
    missing.unlink()
    assert copy.run().status == 1
    (row,) = rows(database, "SELECT ledger_start, passed, error_message FROM _meta_quality WHERE NOT passed")
    assert row[:2] == (16, False)
    assert "--20.xdr.zst is missing" in row[2]
    missing.write_bytes(content)
    assert copy.run().status == 0
    assert rows(database, "SELECT count(*) FROM _meta_quality WHERE passed") == [(4,)]
    assert lineage(database) == as_published(copy)


@pytest.mark.parametrize("fault", [500, "close", 404])
def test_unreachable_endpoint_gets_events_next_run(copy: Copier, endpoint: EventEndpoint, fault: str | int) -> None:
    copy.settings["pas"]["endpoint"] = endpoint.url
    endpoint.behaviour = lambda _: fault
    ran = copy.run()
    assert (ran.status, copy.committed()) == (5, PARTS)
    assert ran.lines("outstanding")
    assert endpoint.taken == []
    endpoint.behaviour = lambda _: "ok"
    assert copy.run().lines("outstanding") == []
    assert endpoint.event_ids() == [event["event_id"] for event in copy.events()]


def test_deliver_sends_undelivered_events(copy: Copier, endpoint: EventEndpoint) -> None:
    assert copy.run().status == 0
    copy.settings["pas"]["endpoint"] = endpoint.url
    assert copy.run("deliver").out.split() == ["delivered", "4", "events"]
    assert endpoint.event_ids() == [event["event_id"] for event in copy.events()]
    assert copy.run("deliver").out.split() == ["delivered", "0", "events"]


def test_deliver_refuses_event_files_that_are_gone(copy: Copier, endpoint: EventEndpoint) -> None:
    assert copy.run().status == 0
    copy.settings["pas"]["endpoint"] = endpoint.url
    (copy.root / "pas").rename(copy.root / "unmounted")
    ran = copy.run("deliver")
    assert ran.status == 1
    assert "has 4 events, the last one sha256:" in ran.err
    assert not (copy.root / "pas").exists()
    (copy.root / "unmounted").rename(copy.root / "pas")
    assert copy.run("deliver").out.split() == ["delivered", "4", "events"]


def test_deliver_refuses_older_event_files(copy: Copier, endpoint: EventEndpoint) -> None:
    assert copy.run().status == 0
    copy.settings["pas"]["endpoint"] = endpoint.url
    events = copy.events()
    last = next(path for path in (copy.root / "pas").glob("*.json") if events[-1]["event_id"] in path.read_text())
    last.unlink()
    heads = copy.root / "pas" / "pas-chain-heads.json"
    heads.write_text(heads.read_text().replace(*(events[at]["chain"]["event_hash"] for at in (-1, -2))))
    ran = copy.run("deliver")
    assert ran.status == 1
    assert f"holds 3 event files of it, the last one {events[-2]['chain']['event_hash']}" in ran.err
    assert endpoint.taken == []


def test_deliver_waits_for_the_run(copy: Copier, endpoint: EventEndpoint) -> None:
    assert copy.run().status == 0
    copy.settings["pas"]["endpoint"] = endpoint.url
    with LocalStore(copy.root / "pas").exclusive("the events of standalone/e1/v1", holder="a run", wait_s=0):
        ran = copy.run("deliver")
    assert ran.status == 4
    assert "a run" in ran.err
    assert endpoint.taken == []


def test_failing_strict_endpoint_stops_run(copy: Copier, endpoint: EventEndpoint) -> None:
    copy.settings["pas"] |= {"endpoint": endpoint.url, "strict": True}
    endpoint.behaviour = lambda number: "ok" if number == 0 else 503
    ran = copy.run()
    assert ran.status == 1
    assert "answered 503" in ran.out
    assert copy.checkpoint() == 15  # the first partition alone
    endpoint.behaviour = lambda _: "ok"
    assert copy.run().status == 0
    assert copy.committed() == PARTS
    assert endpoint.event_ids() == [event["event_id"] for event in copy.events()]


def test_chain_resumes_from_catalog_without_event_files(copy: Copier, database: str) -> None:
    copy.settings["catalog"] = {"postgres_dsn": database}
    copy.settings["era"]["ledger_end"] = 31
    assert copy.run().status == 0
    last = copy.events()[-1]["chain"]["event_hash"]
    for path in [*(copy.root / "pas").glob("*.json"), copy.root / "state" / "checkpoint.json"]:
        path.unlink()
    copy.settings["era"]["ledger_end"] = 39
    assert copy.run().status == 0
    (event,) = copy.events()
    assert event["chain"]["prev_event_hash"] == last
    assert copy.committed() == PARTS[3:]


def test_repair_resumes_from_catalog_like_run(copy: Copier, database: str) -> None:
    """Events, head and checkpoint are gone: where the catalog says the chain ends, a gap before it stays named."""
    copy.settings["catalog"] = {"postgres_dsn": database}
    copy.settings["era"]["ledger_end"] = 15
    assert copy.run().status == 0
    path = copy.root / "state" / "checkpoint.json"
    path.write_text(path.read_text().replace('"last_committed_ledger": 15', '"last_committed_ledger": 31'))
    copy.settings["era"]["ledger_end"] = 39
    assert copy.run().status == 6
    heads = copy.heads
    for gone in [*(copy.root / "pas").glob("*.json"), path]:
        gone.unlink()
    plan = copy.run("plan").out

    repaired = copy.run("repair")

    assert (repaired.status, copy.checkpoint(), copy.heads) == (0, 39, heads)
    assert copy.run("plan").out == plan
    assert copy.run().lines("gap") == [
        "standalone/e1/v1: ledgers 16-31 have no partition, the chain continues after the gap: set"
        " last_committed_ledger of the checkpoint to 15, and run again"
    ]
    assert copy.committed() == []


def test_correction_is_recorded(copy: Copier, database: str) -> None:
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    copy.settings["era"]["allow_overwrite"] = True
    copy.settings["bronze"] = {"compression": "snappy"}
    ran = copy.run()
    assert ran.status == 0, ran.out
    assert rows(database, "SELECT change_type, count(*) FROM _meta_changes GROUP BY 1") == [("correction", 4)]
    assert len(copy.events()) == 8
    assert copy.verified()


def test_advanced_checkpoint_gap_is_reported_until_filled(copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = 15
    assert copy.run().status == 0
    copy.settings["era"]["ledger_end"] = 39
    path = copy.root / "state" / "checkpoint.json"
    path.write_text(path.read_text().replace('"last_committed_ledger": 15', '"last_committed_ledger": 31'))
    ran = copy.run()
    assert copy.committed() == [PARTS[0], PARTS[3]]
    assert ran.lines("gap")[0].startswith("standalone/e1/v1: ledgers 16-31 have no partition, the chain continues")
    assert copy.run().lines("gap") == ran.lines("gap")
    path.write_text(path.read_text().replace('"last_committed_ledger": 39', '"last_committed_ledger": 15'))
    filled = copy.run()
    assert filled.lines("gap") == []
    assert copy.committed() == [PARTS[0], PARTS[3], PARTS[1], PARTS[2]]


@pytest.mark.parametrize("content", ["{", '{"network": "pubnet", "era_id": "x", "version_label": "v1"}', ""])
def test_corrupt_checkpoint_error_names_working_remedy(copy: Copier, content: str) -> None:
    assert copy.run().status == 0
    path = copy.root / "state" / "checkpoint.json"
    path.write_text(content)
    ran = copy.run()
    assert ran.status == 1
    assert "bronze-copier repair" in ran.err
    assert copy.run("repair").status == 0
    assert copy.checkpoint() == 39
    assert path.with_name("checkpoint.json.damaged-1").read_text() == content
    assert copy.run().status == 0
    assert copy.committed() == PARTS


@pytest.mark.parametrize(("number", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_stops_run_after_commit(
    copier: Callable[..., Copier], sample: Callable[..., LakeFiles], number: signal.Signals, status: int
) -> None:
    """Every link to a final name is delayed, so that the second wave cannot end before the signal arrives."""
    lake = sample(first=8, ledgers=32)
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    copy.settings["perf"] |= {"wave_partitions": 2}
    slow = ["-e", "inject=link:delay_enter=300000"]
    process = start(copy, under=strace(copy.root / "trace", *slow, calls=["link"]))
    third = copy.root / "data" / "_temporary"
    wait_until(lambda: process.poll() is not None or bool(list(third.glob("part-24-31.*"))), "the second wave")
    os.kill(child_of(process.pid), number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status, err
    assert "stopped" in out
    assert "run again to resume" in out
    assert copy.committed() in (PARTS[:2], PARTS[:3])
    assert copy.leftovers() == []
    assert copy.run().status == 0
    assert copy.committed() == PARTS
    assert copy.verified()


def test_partitions_replaced_without_catalog_are_corrected(
    copy: Copier, database: str, postgres: PostgresServer
) -> None:
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    older = lineage(database)
    postgres.stop()
    copy.settings["bronze"] = {"compression": "none"}
    copy.settings["era"]["allow_overwrite"] = True
    copy.settings["era"]["ledger_end"] = 23
    path = copy.root / "state" / "checkpoint.json"
    checkpoint = json.loads(path.read_text()) | {"last_committed_ledger": 7}
    del checkpoint["last_committed_partition"]
    path.write_text(json.dumps(checkpoint))
    replaced = copy.run()
    assert (replaced.status, bool(replaced.lines("outstanding"))) == (5, True), replaced.out + replaced.err
    postgres.start()
    copy.settings["era"] |= {"allow_overwrite": False, "ledger_end": 39}
    ran = copy.run()
    assert (ran.status, ran.lines("outstanding")) == (0, []), ran.out + ran.err
    newer = lineage(database)
    assert newer == as_published(copy)
    assert [row[3] != old[3] for row, old in zip(newer, older, strict=True)] == [True, True, False, False]
    assert rows(database, "SELECT count(*) FROM _meta_changes WHERE change_type = 'correction'") == [(2,)]
    last = rows(database, "SELECT pas_event_hash FROM _meta_lineage ORDER BY id DESC LIMIT 1")
    assert last == [tuple(copy.heads.values())]


def test_damaged_manifest_costs_its_row_only(copy: Copier, database: str) -> None:
    assert copy.run().status == 0
    manifest = copy.parquet(PARTS[0]).parent / "_manifest.json"
    content = manifest.read_bytes()
    manifest.write_bytes(b"{")
    copy.settings["catalog"] = {"postgres_dsn": database}
    ran = copy.run()
    assert "8-15 is not recorded: manifest " in ran.err
    assert "rows not yet recorded in the catalog: " in ran.out
    assert [row[0] for row in lineage(database)] == [16, 24, 32]
    copy.settings["catalog"]["strict"] = True
    strict = copy.run()
    assert strict.status == 1
    assert "Traceback" not in ran.err + strict.err
    manifest.write_bytes(content)
    assert copy.run().status == 0
    assert lineage(database) == as_published(copy)


def test_row_without_range_is_named(copy: Copier, database: str) -> None:
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    statement = "UPDATE _meta_lineage SET ledger_end = 1 WHERE ledger_start = 16 RETURNING id"
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()
    ran = copy.run()
    assert ran.status == 5, ran.out + ran.err
    assert "has the ledgers 16 to 1, which is not a range" in ran.out
    assert "Traceback" not in ran.out + ran.err
    assert (16, 23) in [row[:2] for row in lineage(database)]


def test_stale_catalog_does_not_fork_chain(copy: Copier, database: str) -> None:
    """A row that is other than its manifest may hide an event: the catalog then names no head."""
    copy.settings["catalog"] = {"postgres_dsn": database}
    copy.settings["era"]["ledger_end"] = 31
    assert copy.run().status == 0
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("UPDATE _meta_lineage SET checksum = 'sha256:older' WHERE ledger_start = 8")
    connection.close()
    for path in [*(copy.root / "pas").glob("*.json"), copy.root / "state" / "checkpoint.json"]:
        path.unlink()
    copy.settings["era"]["ledger_end"] = 39
    ran = copy.run()
    assert ran.status == 1
    assert "a chain continued from an older event would fork" in ran.out + ran.err
    assert copy.events() == []


def test_empty_run_compares_nothing_again(copy: Copier, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.settings["pas"]["enabled"] = False
    assert copy.run().status == 0
    copy.settings["pas"]["enabled"] = True  # the partitions have no events
    copy.settings["catalog"] = {"postgres_dsn": database}
    assert copy.run().status == 0
    read = []
    parse = manifests.parse_manifest
    monkeypatch.setattr("bronze.dataset.dataset.parse_manifest", lambda *a, **k: read.append(1) or parse(*a, **k))
    assert copy.run().status == 0
    few = len(read)
    read.clear()
    connection = psycopg2.connect(database)
    with connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE _meta_reconciled")
    connection.close()
    assert copy.run().status == 0
    assert len(read) == few + 4
