"""The catalog in PostgreSQL: datasets, lineage, quality, changes; made when missing, adopted when there.

Tables and columns are those of the older copier, with ``pas_event_hash`` added. Each partition is one
transaction and may be recorded twice. A lost connection is opened again at the next call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

from psycopg2.extensions import cursor as Cursor

from bronze.catalog.connection import CatalogConnection
from bronze.dataset.schema import schema_text
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer

_DOMAIN = "bronze"
#: Seconds a statement may take: longer, and it waits for a lock somebody forgot, or for a server that is gone.
_PATIENCE_SECONDS = 30.0
#: Characters of an error message that are kept; the log has all of it.
_LONGEST_MESSAGE = 4000
#: What the older copier's columns hold at most, in characters.
_PRODUCER_WIDTH, _SOURCE_TYPE_WIDTH, _CHANGE_VERSION_WIDTH = 64, 32, 32

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Lineage:
    """A committed partition as the catalog keeps it.

    Attributes:
        row_count: ledgers in it.
        byte_size, checksum: of its parquet file; the checksum is ``sha256:`` and hex.
        event_hash: hash of its audit event; empty when it has none.
        storage_path: its directory without the store's prefix.
        storage_uri: its parquet file, in full.
        producer: who made the file, as its manifest says.
        source_type, source_location: what kind of place the lake is in, and which; without credentials.
    """

    partition: Partition
    row_count: int
    byte_size: int
    checksum: str
    event_hash: str
    storage_path: str
    storage_uri: str
    producer: Producer
    source_type: str
    source_location: str


class Catalog:
    """The catalog behind one connection string; connects at the first call. Not to be shared by threads.

    Every method raises `CatalogUnavailableError` (transient) when there is no server, no connection or no answer in
    time, and `CatalogError` when the server refuses a statement. Neither message holds a secret.

    Args:
        dsn: libpq's connection string or URL; never shown.
        namespace: what this deployment is called, as the server's list of connections shows it.
        schema: the table's schema as text; its SHA-256 is registered.
        patience: seconds that a statement, a lock or an answer may take.

    Raises:
        ConfigError: `dsn` is no connection string.
    """

    def __init__(
        self, dsn: str, namespace: str, *, schema: str | None = None, patience: float = _PATIENCE_SECONDS
    ) -> None:
        self._connection = CatalogConnection(dsn, _clean(f"bronze-copier/{namespace}", 63), patience)
        self._schema_hash = hashlib.sha256((schema_text() if schema is None else schema).encode()).hexdigest()

    def register(self, era: Era, table: str) -> None:
        """Register the era's dataset, as recording does too; another schema than the registered one is a change."""
        self._writing(era, table, lambda cursor, dataset: None)

    def record(self, era: Era, table: str, row: Lineage) -> None:
        """Record a committed partition: its lineage and that it passed, in one transaction.

        Events are to be recorded in the order of their chain (not of the ledgers): see `last_event`. Another
        checksum than the recorded one is a correction, noted among the changes.
        """
        self._writing(era, table, lambda cursor, dataset: _record(cursor, dataset, era, row))

    def record_failure(self, era: Era, table: str, partition: Partition, message: str) -> None:
        """Record that `partition` could not be published, and why; a partition with lineage stays passed."""

        def record(cursor: Cursor, dataset: int) -> None:
            cursor.execute(
                "SELECT FROM _meta_lineage WHERE (dataset_id, ledger_start, ledger_end) = (%s, %s, %s)",
                (dataset, partition.start, partition.end),
            )
            if cursor.fetchone() is None:
                _quality(cursor, dataset, partition, _clean(message, _LONGEST_MESSAGE))

        self._writing(era, table, record)

    def recorded(self, era: Era, table: str) -> dict[Partition, tuple[str, str]]:
        """The partitions that have lineage: checksum, and hash of the audit event (empty when none is recorded)."""

        def recorded(cursor: Cursor, dataset: int) -> dict[Partition, tuple[str, str]]:
            cursor.execute(
                "SELECT ledger_start, ledger_end, checksum, coalesce(pas_event_hash, '') FROM _meta_lineage"
                " WHERE dataset_id = %s ORDER BY ledger_start, ledger_end",
                (dataset,),
            )
            return {Partition(start, end): (checksum, event) for start, end, checksum, event in cursor.fetchall()}

        return self._reading(era, table, recorded, {})

    def last_event(self, era: Era, table: str) -> tuple[Partition, str] | None:
        """The partition and the hash of the audit event that was recorded last, or None.

        That is the chain's head when events were recorded in the order of the chain. It need not be the one of
        the highest ledgers: a gap that is filled later and a correction are appended to the chain too.
        """

        def last(cursor: Cursor, dataset: int) -> tuple[Partition, str] | None:
            cursor.execute(
                "SELECT ledger_start, ledger_end, pas_event_hash FROM _meta_lineage"
                " WHERE dataset_id = %s AND pas_event_hash <> '' ORDER BY id DESC LIMIT 1",
                (dataset,),
            )
            found = cursor.fetchone()
            return None if found is None else (Partition(found[0], found[1]), str(found[2]))

        return self._reading(era, table, last, None)

    def lock(self, chain: str) -> None:
        """Keep every other copier with this catalog from `chain`, until `close` or the end of the process.

        Nothing happens when it is locked here already. After a lost connection it is taken again before anything
        else; every method raises `ConflictError` when another copier was faster.

        Raises:
            ConflictError: another copier has it, and kept it for two seconds.
        """
        self._connection.lock(chain)

    def close(self) -> None:
        """Close the connection; its locks end."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _writing(self, era: Era, table: str, work: Callable[[Cursor, int], None]) -> None:
        def write(cursor: Cursor) -> None:
            work(cursor, _registered(cursor, era, table, self._schema_hash))

        self._connection.transaction(write)

    def _reading(self, era: Era, table: str, work: Callable[[Cursor, int], Result], nothing: Result) -> Result:
        def read(cursor: Cursor) -> Result:
            found = _dataset(cursor, era, table)
            return nothing if found is None else work(cursor, found[0])

        return self._connection.transaction(read)


def _dataset(cursor: Cursor, era: Era, table: str, lock: str = "") -> tuple[int, str | None] | None:
    cursor.execute(
        "SELECT id, schema_hash FROM _meta_datasets"
        f" WHERE (domain, dataset, version, era_id, network) = (%s, %s, %s, %s, %s) {lock}",
        (_DOMAIN, table, era.version_label, era.era_id, era.network),
    )
    found = cursor.fetchone()
    return None if found is None else (int(found[0]), found[1])


def _registered(cursor: Cursor, era: Era, table: str, schema_hash: str) -> int:
    """The dataset's id, registered when it was not. Its row is locked: who writes to a dataset does so alone."""
    lock = "FOR NO KEY UPDATE"
    found = _dataset(cursor, era, table, lock)
    if found is None:
        cursor.execute(
            "INSERT INTO _meta_datasets (domain, dataset, version, era_id, network, schema_hash, description)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (domain, dataset, version, era_id, network) DO NOTHING",
            (_DOMAIN, table, era.version_label, era.era_id, era.network, schema_hash,
             "raw LedgerCloseMeta, one row a ledger"),
        )  # fmt: skip
        found = _dataset(cursor, era, table, lock)
        assert found is not None
    dataset, before = found
    if before != schema_hash:
        cursor.execute(
            "UPDATE _meta_datasets SET schema_hash = %s, updated_at = now() WHERE id = %s", (schema_hash, dataset)
        )
        if before:
            _change(cursor, dataset, era, "schema_change", f"schema hash {before} became {schema_hash}")
    return dataset


def _record(cursor: Cursor, dataset: int, era: Era, row: Lineage) -> None:
    part = row.partition
    cursor.execute(
        "SELECT id, checksum, coalesce(pas_event_hash, '') FROM _meta_lineage"
        " WHERE (dataset_id, ledger_start, ledger_end) = (%s, %s, %s)",
        (dataset, part.start, part.end),
    )
    before = cursor.fetchone()
    values = {
        "row_count": row.row_count,
        "byte_size": row.byte_size,
        "checksum": row.checksum,
        "storage_path": _clean(row.storage_path),
        "storage_uri": _clean(row.storage_uri),
        "producer_version": _clean(f"{row.producer.name}@{row.producer.version}", _PRODUCER_WIDTH),
        "producer_git_sha": _clean(row.producer.git_sha, _PRODUCER_WIDTH),
        "source_type": _clean(row.source_type, _SOURCE_TYPE_WIDTH),
        "source_location": _clean(row.source_location),
        "pas_event_hash": row.event_hash or None,
    }
    columns, places = ", ".join(values), ", ".join(["%s"] * len(values))
    if before is None:
        cursor.execute(
            f"INSERT INTO _meta_lineage (dataset_id, ledger_start, ledger_end, {columns})"
            f" VALUES (%s, %s, %s, {places})",
            (dataset, part.start, part.end, *values.values()),
        )
    else:
        lineage, checksum, event_hash = before
        if checksum != row.checksum:
            _change(cursor, dataset, era, "correction", f"{part}: {checksum} became {row.checksum}")
        elif not row.event_hash:  # a run without an audit stream takes nothing from the event of the same file
            values["pas_event_hash"] = event_hash or None
        # `last_event` goes by the id: a new event of an old partition is the last of its chain.
        renumber = "id = DEFAULT, " if row.event_hash not in ("", event_hash) else ""
        cursor.execute(
            f"UPDATE _meta_lineage SET {renumber}({columns}) = ({places})"
            f" WHERE id = %s AND ({columns}) IS DISTINCT FROM ({places})",
            (*values.values(), lineage, *values.values()),
        )
    _link(cursor, dataset, part)
    _quality(cursor, dataset, part, None)


def _link(cursor: Cursor, dataset: int, partition: Partition) -> None:
    """Put prev_hash of `partition` and of what follows it: they may be recorded, and corrected, in any order."""
    cursor.execute(
        "WITH linked AS (SELECT id, (SELECT before.checksum FROM _meta_lineage AS before"
        " WHERE before.dataset_id = lineage.dataset_id AND before.ledger_end = lineage.ledger_start - 1"
        " ORDER BY before.ledger_start LIMIT 1) AS checksum"
        " FROM _meta_lineage AS lineage WHERE dataset_id = %s AND ledger_start IN (%s, %s))"
        " UPDATE _meta_lineage SET prev_hash = linked.checksum FROM linked"
        " WHERE _meta_lineage.id = linked.id AND prev_hash IS DISTINCT FROM linked.checksum",
        (dataset, partition.start, partition.end + 1),
    )


def _quality(cursor: Cursor, dataset: int, partition: Partition, error: str | None) -> None:
    cursor.execute(
        "INSERT INTO _meta_quality (dataset_id, ledger_start, ledger_end, passed, error_message)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (dataset_id, ledger_start, ledger_end) DO UPDATE SET"
        " passed = EXCLUDED.passed, error_message = EXCLUDED.error_message, created_at = now()"
        " WHERE (_meta_quality.passed, coalesce(_meta_quality.error_message, ''))"
        " IS DISTINCT FROM (EXCLUDED.passed, coalesce(EXCLUDED.error_message, ''))",
        (dataset, partition.start, partition.end, error is None, error),
    )


def _change(cursor: Cursor, dataset: int, era: Era, kind: str, description: str) -> None:
    version = era.version_label[:_CHANGE_VERSION_WIDTH]
    cursor.execute(
        "INSERT INTO _meta_changes (dataset_id, change_type, description, old_version, new_version)"
        " VALUES (%s, %s, %s, %s, %s)",
        (dataset, kind, description, version, version),
    )


def _clean(text: str, longest: int | None = None) -> str:
    """`text` as PostgreSQL takes it: no NUL, no half of a surrogate pair; cut where it is too long."""
    return text.replace("\0", "").encode(errors="replace").decode()[:longest]
