"""The catalog's rows are compared with manifests and events of six published partitions, and corrected."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import psycopg2
import pytest

from bronze.audit.event import make_event
from bronze.audit.event_log import EventLog
from bronze.catalog.catalog import Catalog
from bronze.commit.reconcile import Reconciliation, reconcile
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import StateError
from bronze.partitioning.partition import Partition
from tests.bronze.conftest import ERA, GRID, PRODUCER, Workspace, files, hex_hash, summary
from tests.support.postgres_server import PostgresServer, database, postgres

__all__ = ["database", "postgres"]

pytestmark = pytest.mark.timeout(120)
FOREIGN = f"sha256:{hex_hash('foreign')}"
COLUMNS = "ledger_start, ledger_end, row_count, byte_size, checksum, prev_hash, storage_path, producer_version"


@pytest.fixture
def catalog(database: str) -> Iterator[Catalog]:
    with Catalog(database, "tests") as made:
        yield made


def run(workspace: Workspace, catalog: Catalog, *, log: bool = True, **known: Any) -> Reconciliation:
    return reconcile(
        ERA,
        workspace.dataset,
        workspace.log if log else None,
        catalog,
        workspace.connections.lineage_context(),
        62,
        **known,
    )


def execute(dsn: str, statement: str) -> list[Any]:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall() if cursor.description else []


def all_rows(dsn: str) -> list[Any]:
    return execute(dsn, f"SELECT {COLUMNS}, pas_event_hash FROM _meta_lineage ORDER BY ledger_start")


def chain_order(dsn: str) -> list[int]:
    return [start for (start,) in execute(dsn, "SELECT ledger_start FROM _meta_lineage ORDER BY id")]


def changes(dsn: str) -> list[str]:
    query = "SELECT description FROM _meta_changes WHERE change_type = 'correction' ORDER BY id"
    return [text for (text,) in execute(dsn, query)]


def test_missing_rows_are_written_in_chain_order(published: Workspace, catalog: Catalog, database: str) -> None:
    done = run(published, catalog)
    assert (done.written, done.unrecorded) == (GRID, [])
    assert chain_order(database) == [partition.start for partition in GRID]
    assert [row[-1] for row in all_rows(database)] == [event.event_hash for event in published.log.load()]
    assert changes(database) == []
    assert run(published, catalog).written == []


@pytest.mark.parametrize(
    ("column", "value", "named"),
    [
        ("checksum", FOREIGN, f"22-31: {FOREIGN} became sha256:"),
        ("checksum", "garbage", "22-31: garbage became sha256:"),
        ("row_count", 5, "22-31: row_count 5 became 10"),
        ("byte_size", 7, "22-31: byte_size 7 became "),
        ("storage_path", "elsewhere", "22-31: storage_path elsewhere became "),
        ("producer_version", "other@v1", "22-31: producer_version other@v1 became "),
        ("producer_git_sha", "fff", "22-31: producer_git_sha fff became "),
        ("pas_event_hash", FOREIGN, f"22-31: pas_event_hash {FOREIGN} became sha256:"),
        ("pas_event_hash", "garbage", "22-31: pas_event_hash garbage became sha256:"),
        ("pas_event_hash", "日本", "22-31: pas_event_hash (not plain text) became sha256:"),
        ("pas_event_hash", "", None),
        ("prev_hash", FOREIGN, None),
    ],
)
def test_differing_row_is_corrected_and_noted(
    published: Workspace, catalog: Catalog, database: str, column: str, value: object, named: str | None
) -> None:
    run(published, catalog)
    right = all_rows(database)
    execute(database, f"UPDATE _meta_lineage SET {column} = '{value}' WHERE ledger_start = 22")
    done = run(published, catalog)
    assert (done.written, done.unrecorded) == ([Partition(22, 31)], [])
    assert all_rows(database) == right
    assert chain_order(database) == [partition.start for partition in GRID]
    noted = changes(database)
    assert len(noted) == (1 if named else 0)
    assert all(text.startswith(str(named)) for text in noted)
    assert run(published, catalog).written == []


def test_correction_keeps_where_ledgers_came_from(published: Workspace, catalog: Catalog, database: str) -> None:
    run(published, catalog)
    execute(database, "UPDATE _meta_lineage SET source_location = 's3://before', storage_uri = 'u', row_count = 1")
    assert run(published, catalog).written == GRID
    assert execute(database, "SELECT DISTINCT source_location, storage_uri, row_count FROM _meta_lineage") == [
        ("s3://before", "u", 10)
    ]


def test_replaced_partition_is_corrected_with_its_event(published: Workspace, catalog: Catalog, database: str) -> None:
    """C3: replaced while the catalog could not be reached; its event is the chain's last."""
    run(published, catalog)
    before = [row[4] for row in all_rows(database)]
    replacing = published.of(allow_overwrite=True).but(target={"compression": "none"})
    partition = GRID[1]
    replacing.sequencer().commit(replacing.publish(partition))
    last = published.log.load()[-1]
    assert last.partition == partition
    assert run(published, catalog).written == [partition]
    assert catalog.last_event(ERA, PRIMARY_TABLE) == (partition, last.event_hash)
    rows = all_rows(database)
    assert (rows[1][4], rows[1][-1], rows[2][5]) == (last.checksum, last.event_hash, last.checksum)
    assert changes(database) == [f"12-21: {before[1]} became {last.checksum}"]


def test_rows_recorded_out_of_order_are_moved(published: Workspace, catalog: Catalog, database: str) -> None:
    run(published, catalog)
    execute(database, "DELETE FROM _meta_lineage WHERE ledger_start IN (12, 32)")
    done = run(published, catalog)
    assert done.written == [GRID[1], GRID[3]]
    assert chain_order(database) == [partition.start for partition in GRID]
    assert catalog.last_event(ERA, PRIMARY_TABLE) == (GRID[-1], published.log.load()[-1].event_hash)


@pytest.mark.parametrize("content", [b"{", b"{}", b"[]", b"\xff"])
def test_damaged_manifest_costs_its_row(published: Workspace, catalog: Catalog, content: bytes) -> None:
    published.manifest(GRID[0]).write_bytes(content)
    done = run(published, catalog)
    assert done.written == GRID[1:]
    (sentence,) = done.unrecorded
    assert sentence.startswith(f"partition {ERA.chain} 2-11 is not recorded: manifest ")
    assert catalog.digest(ERA, PRIMARY_TABLE) == ""
    assert run(published, catalog).unrecorded == done.unrecorded


def test_row_that_the_server_refuses_is_named(published: Workspace, catalog: Catalog, database: str) -> None:
    catalog.register(ERA, PRIMARY_TABLE)
    execute(database, "ALTER TABLE _meta_lineage ADD CHECK (ledger_start <> 12)")
    done = run(published, catalog)
    assert done.written == [GRID[0], *GRID[2:]]
    assert "12-21 is not recorded: the catalog refused a statement" in done.unrecorded[0]


def test_row_that_is_no_range_is_named(published: Workspace, catalog: Catalog, database: str) -> None:
    run(published, catalog)
    for start, end in ((20, 11), (-5, 3), (5, 1 << 33)):
        execute(
            database,
            "INSERT INTO _meta_lineage (dataset_id, ledger_start, ledger_end, row_count, byte_size, checksum,"
            f" storage_path, producer_version, pas_event_hash) VALUES (1, {start}, {end}, 1, 1, 'c', 'p', 'v', 'h')",
        )
    done = run(published, catalog)
    assert [sentence.partition("has the ledgers ")[2] for sentence in done.unrecorded] == [
        "20 to 11, which is not a range: remove it",
        "-5 to 3, which is not a range: remove it",
        f"5 to {1 << 33}, which is not a range: remove it",
    ]
    assert list(done.rows) == GRID


def test_row_over_published_partitions_is_named(published: Workspace, catalog: Catalog, database: str) -> None:
    """Also when nothing else is to be compared; a row of a partition that lies elsewhere is left alone."""
    run(published, catalog)
    for start, end in ((15, 30), (52, 999999), (70, 79)):
        execute(
            database,
            "INSERT INTO _meta_lineage (dataset_id, ledger_start, ledger_end, row_count, byte_size, checksum,"
            f" storage_path, producer_version, pas_event_hash) VALUES (1, {start}, {end}, 1, 1, 'c', 'p', 'v', '')",
        )
    for _ in range(2):
        done = run(published, catalog)
        assert done.unrecorded == [
            "the row of standalone/e1/v1 15-30 in _meta_lineage is of no published partition, and 12-21 is published,"
            " which has ledgers of it: remove the row",
            "the row of standalone/e1/v1 52-999999 in _meta_lineage is of no published partition, and 52-61 is"
            " published, which has ledgers of it: remove the row",
        ]
    assert list(done.rows) == GRID
    execute(database, "DELETE FROM _meta_lineage WHERE ledger_start IN (15, 70) OR ledger_end = 999999")
    assert run(published, catalog).unrecorded == []


def test_event_that_contradicts_manifest_is_named(published: Workspace, catalog: Catalog) -> None:
    document = json.loads(published.manifest(GRID[2]).read_text())
    document["tables"][PRIMARY_TABLE]["checksum"] = FOREIGN
    published.manifest(GRID[2]).write_text(json.dumps(document))
    done = run(published, catalog)
    assert done.written == [*GRID[:2], *GRID[3:]]
    assert f"22-31 is not recorded: its manifest has the checksum {FOREIGN}, its last event " in done.unrecorded[0]


def test_damaged_event_leaves_rows_alone(published: Workspace, catalog: Catalog, database: str) -> None:
    (published.events / published.log.key(GRID[0])).write_text("{")
    done = run(published, catalog)
    assert done.written == []
    assert f"rows of {ERA.chain} were not compared: event " in done.unrecorded[0]
    assert all_rows(database) == []


def test_hash_without_event_is_not_kept(published: Workspace, catalog: Catalog, database: str) -> None:
    """The chain has all its events: what none of them has is no event's hash."""
    for path in published.events.glob("*.json"):
        path.unlink()
    log = published.log
    head = ""
    for partition in GRID[1:]:
        event = make_event(
            summary(partition.start, partition.end, checksum=_checksum(published, partition)),
            PRIMARY_TABLE,
            head,
            PRODUCER,
            "2026-01-01T00:00:00Z",
        )
        log.append(event)
        head = event.event_hash
    run(published, catalog)
    execute(database, f"UPDATE _meta_lineage SET pas_event_hash = '{FOREIGN}' WHERE ledger_start = 2")
    assert run(published, catalog).written == [GRID[0]]
    assert all_rows(database)[0][-1] is None
    assert changes(database) == [f"2-11: pas_event_hash {FOREIGN} became none"]


def _checksum(workspace: Workspace, partition: Partition) -> str:
    manifest = workspace.dataset.find_manifest(ERA, partition)
    assert manifest is not None
    return manifest.checksum


def test_pruned_events_hash_is_kept(published: Workspace, catalog: Catalog, database: str) -> None:
    run(published, catalog)
    right = all_rows(database)
    for partition in GRID[:2]:
        (published.events / published.log.key(partition)).unlink()
    assert run(published, catalog).written == []
    assert all_rows(database) == right
    taken = right[4][-1]  # another partition's event is not this one's
    execute(database, f"UPDATE _meta_lineage SET pas_event_hash = '{taken}' WHERE ledger_start = 2")
    assert run(published, catalog).written == [GRID[0]]


@pytest.mark.parametrize(("value", "kept"), [(FOREIGN, FOREIGN), ("garbage", None)])
def test_without_audit_stream_only_hashes_are_kept(
    published: Workspace, catalog: Catalog, database: str, value: str, kept: str | None
) -> None:
    run(published, catalog, log=False)
    execute(database, f"UPDATE _meta_lineage SET pas_event_hash = '{value}' WHERE ledger_start = 2")
    assert run(published, catalog, log=False).written == ([] if kept else [GRID[0]])
    assert all_rows(database)[0][-1] == kept


def test_second_run_reads_no_manifest(published: Workspace, catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    """Partitions that were committed before there was an audit stream are no exception."""
    for path in published.events.glob("*.json"):
        path.unlink()
    first = run(published, catalog)
    assert first.written == GRID
    unread = forbid_reading(monkeypatch)
    assert run(published, catalog).written == []
    assert run(published, catalog, compared=first.rows).written == []
    with unread:
        run(published, catalog, checkpoint=b"another")


def forbid_reading(monkeypatch: pytest.MonkeyPatch) -> Any:
    def fail(*_: object, **__: object) -> None:
        raise AssertionError("read")

    monkeypatch.setattr("bronze.dataset.dataset.Dataset.find_manifest", fail)
    monkeypatch.setattr(EventLog, "load", fail)
    return pytest.raises(AssertionError, match="read")


@pytest.mark.parametrize("what", ["row", "event", "partition", "checkpoint", "digest"])
def test_whatever_changes_makes_rows_compared(
    published: Workspace, catalog: Catalog, database: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(published, catalog)
    read = forbid_reading(monkeypatch)
    execute(database, "UPDATE _meta_lineage SET created_at = now()")  # says nothing of the partition
    run(published, catalog)
    if what == "row":
        execute(database, "UPDATE _meta_lineage SET byte_size = 1 WHERE ledger_start = 2")
    elif what == "event":
        published.log.set_head(FOREIGN)
    elif what == "partition":
        published.manifest(GRID[0]).parent.rename(published.data / "gone")
    elif what == "digest":
        execute(database, "DROP TABLE _meta_reconciled")
    with read:
        run(published, catalog, checkpoint=b"x" if what == "checkpoint" else b"")


def test_without_checkpoint_and_events_all_is_compared(
    published: Workspace, catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing would tell that a partition was replaced."""
    run(published, catalog, log=False)
    with forbid_reading(monkeypatch):
        run(published, catalog, log=False)


def test_only_new_partitions_are_compared(
    published: Workspace, catalog: Catalog, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = run(published, catalog)
    del first.rows[GRID[5]]
    execute(database, "DROP TABLE _meta_reconciled")
    read: list[Partition] = []
    find = type(published.dataset).find_manifest

    def note(self: Any, era: Any, partition: Partition, **options: Any) -> Any:
        read.append(partition)
        return find(self, era, partition, **options)

    monkeypatch.setattr("bronze.dataset.dataset.Dataset.find_manifest", note)
    monkeypatch.setattr(EventLog, "load", lambda self: pytest.fail("all events read"))
    assert run(published, catalog, compared=first.rows).written == []
    assert read == [GRID[5]]


def test_reconcile_writes_no_file(published: Workspace, catalog: Catalog) -> None:
    before = files(published.data.parent)
    run(published, catalog)
    assert files(published.data.parent) == before


@pytest.mark.parametrize("value", ["garbage", "sha256:ABC", FOREIGN.upper(), FOREIGN + "0", "日"])
def test_garbage_is_no_chain_head(published: Workspace, catalog: Catalog, database: str, value: str) -> None:
    run(published, catalog)
    execute(database, f"UPDATE _meta_lineage SET pas_event_hash = '{value}'")
    with pytest.raises(StateError, match="what the chain's head is cannot be told"):
        catalog.last_event(ERA, PRIMARY_TABLE)


def test_range_that_is_none_has_no_head(
    published: Workspace, catalog: Catalog, database: str, postgres: PostgresServer
) -> None:
    run(published, catalog)
    execute(database, "UPDATE _meta_lineage SET ledger_end = 1 WHERE ledger_start = 52")
    with pytest.raises(StateError, match="of ledgers 52-1 "):
        catalog.last_event(ERA, PRIMARY_TABLE)


def test_partitions_not_committed_get_no_row(published: Workspace, catalog: Catalog, database: str) -> None:
    lineage = published.connections.lineage_context()
    done = reconcile(ERA, published.dataset, published.log, catalog, lineage, next_ledger=42)
    assert done.written == GRID[:4]
    assert chain_order(database) == [2, 12, 22, 32]
