"""The SQL of the catalog's tables. Every function runs its statements in the transaction of the cursor it is given.

Tables and columns are those of the older copier, with ``pas_event_hash`` added (``schema.sql``). Every write may be
repeated: what is recorded already is not written again.
"""

from __future__ import annotations

from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import encodings

from bronze.catalog.lineage import Lineage, RecordedPartition
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

_DOMAIN = "bronze"
_DESCRIPTION = "raw LedgerCloseMeta, one row a ledger"
#: Characters that the older copier's columns hold at most.
_PRODUCER_WIDTH, _SOURCE_TYPE_WIDTH, _CHANGE_VERSION_WIDTH = 64, 32, 32
#: Characters of an error message that are kept; the log has all of it.
_MAX_MESSAGE_CHARACTERS = 4000


def find_dataset(cursor: Cursor, era: Era, table: str) -> int | None:
    """The id of the era's dataset; None when it is not registered."""
    found = _select_dataset(cursor, era, table)
    return None if found is None else found[0]


def register_dataset(cursor: Cursor, era: Era, table: str, schema_hash: str) -> int:
    """The id of the era's dataset, which is registered when it is not; a new schema hash is recorded as a change.

    Its row stays locked until the transaction ends: a dataset has one writer at a time.
    """
    found = _select_dataset(cursor, era, table, lock="FOR NO KEY UPDATE")
    if found is None:
        cursor.execute(
            "INSERT INTO _meta_datasets (domain, dataset, version, era_id, network, schema_hash, description)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (domain, dataset, version, era_id, network) DO NOTHING",
            (_DOMAIN, table, era.version_label, era.era_id, era.network, schema_hash, _DESCRIPTION),
        )
        found = _select_dataset(cursor, era, table, lock="FOR NO KEY UPDATE")
        assert found is not None
    dataset, recorded_hash = found
    if recorded_hash != schema_hash:
        cursor.execute(
            "UPDATE _meta_datasets SET schema_hash = %s, updated_at = now() WHERE id = %s", (schema_hash, dataset)
        )
        if recorded_hash:
            _insert_change(cursor, dataset, era, "schema_change", f"schema hash {recorded_hash} became {schema_hash}")
    return dataset


def select_recorded(cursor: Cursor, dataset: int) -> dict[Partition, RecordedPartition]:
    """The partitions that have lineage, in ledger order."""
    cursor.execute(
        "SELECT ledger_start, ledger_end, checksum, coalesce(pas_event_hash, '') FROM _meta_lineage"
        " WHERE dataset_id = %s ORDER BY ledger_start, ledger_end",
        (dataset,),
    )
    return {
        Partition(start, end): RecordedPartition(checksum, event_hash)
        for start, end, checksum, event_hash in cursor.fetchall()
    }


def select_last_event(cursor: Cursor, dataset: int) -> tuple[Partition, str] | None:
    """The partition and the hash of the event that was recorded last; None when none is recorded."""
    cursor.execute(
        "SELECT ledger_start, ledger_end, pas_event_hash FROM _meta_lineage"
        " WHERE dataset_id = %s AND pas_event_hash <> '' ORDER BY id DESC LIMIT 1",
        (dataset,),
    )
    found = cursor.fetchone()
    return None if found is None else (Partition(found[0], found[1]), str(found[2]))


def record_lineage(cursor: Cursor, dataset: int, era: Era, row: Lineage) -> None:
    """Write the partition's lineage, its links and that it passed; another checksum than before is a correction."""
    _upsert_lineage(cursor, dataset, era, row)
    _link_lineage(cursor, dataset, row.partition)
    _upsert_quality(cursor, dataset, row.partition, None)


def record_failure(cursor: Cursor, dataset: int, partition: Partition, message: str) -> None:
    """Write that the partition failed, and why, unless it has lineage."""
    cursor.execute(
        "SELECT FROM _meta_lineage WHERE (dataset_id, ledger_start, ledger_end) = (%s, %s, %s)",
        (dataset, partition.start, partition.end),
    )
    if cursor.fetchone() is None:
        text = _storable(cursor, valid_text(message, _MAX_MESSAGE_CHARACTERS))
        _upsert_quality(cursor, dataset, partition, text)


def valid_text(text: str, max_characters: int | None = None) -> str:
    """`text` as PostgreSQL accepts it: without NUL and lone surrogates, cut off at `max_characters`."""
    return text.replace("\0", "").encode(errors="replace").decode()[:max_characters]


def _storable(cursor: Cursor, text: str) -> str:
    """`text` with escapes for the characters that the database's encoding lacks; only for text that people read."""
    name = str(cursor.connection.info.parameter_status("server_encoding"))
    if name == "SQL_ASCII":  # any bytes are stored as they are
        return text
    codec = encodings.get(name, "utf_8")
    return text.encode(codec, "backslashreplace").decode(codec)


def _select_dataset(cursor: Cursor, era: Era, table: str, *, lock: str = "") -> tuple[int, str | None] | None:
    """The dataset's id and recorded schema hash."""
    cursor.execute(
        "SELECT id, schema_hash FROM _meta_datasets"
        f" WHERE (domain, dataset, version, era_id, network) = (%s, %s, %s, %s, %s) {lock}",
        (_DOMAIN, table, era.version_label, era.era_id, era.network),
    )
    found = cursor.fetchone()
    return None if found is None else (int(found[0]), found[1])


def _upsert_lineage(cursor: Cursor, dataset: int, era: Era, row: Lineage) -> None:
    partition = row.partition
    cursor.execute(
        "SELECT id, checksum, coalesce(pas_event_hash, '') FROM _meta_lineage"
        " WHERE (dataset_id, ledger_start, ledger_end) = (%s, %s, %s)",
        (dataset, partition.start, partition.end),
    )
    existing = cursor.fetchone()
    values = {
        "row_count": row.row_count,
        "byte_size": row.byte_size,
        "checksum": row.checksum,
        "storage_path": valid_text(row.storage_path),
        "storage_uri": valid_text(row.storage_uri),
        "producer_version": valid_text(f"{row.producer.name}@{row.producer.version}", _PRODUCER_WIDTH),
        "producer_git_sha": valid_text(row.producer.git_sha, _PRODUCER_WIDTH),
        "source_type": valid_text(row.source_type, _SOURCE_TYPE_WIDTH),
        "source_location": valid_text(row.source_location),
        "pas_event_hash": row.event_hash or None,
    }
    columns, placeholders = ", ".join(values), ", ".join(["%s"] * len(values))
    if existing is None:
        cursor.execute(
            f"INSERT INTO _meta_lineage (dataset_id, ledger_start, ledger_end, {columns})"
            f" VALUES (%s, %s, %s, {placeholders})",
            (dataset, partition.start, partition.end, *values.values()),
        )
        return
    lineage_id, checksum, event_hash = existing
    if checksum != row.checksum:
        _insert_change(cursor, dataset, era, "correction", f"{partition}: {checksum} became {row.checksum}")
    elif not row.event_hash:  # the file is the same: a run without an audit stream keeps the event of an earlier one
        values["pas_event_hash"] = event_hash or None
    # `select_last_event` goes by the id: a new event of an old partition is the last of its chain.
    renumber = "id = DEFAULT, " if row.event_hash not in ("", event_hash) else ""
    cursor.execute(
        f"UPDATE _meta_lineage SET {renumber}({columns}) = ({placeholders})"
        f" WHERE id = %s AND ({columns}) IS DISTINCT FROM ({placeholders})",
        (*values.values(), lineage_id, *values.values()),
    )


def _link_lineage(cursor: Cursor, dataset: int, partition: Partition) -> None:
    """Set prev_hash of `partition` and of the one after it: they may be recorded, and corrected, in any order."""
    cursor.execute(
        "WITH linked AS (SELECT id, (SELECT before.checksum FROM _meta_lineage AS before"
        " WHERE before.dataset_id = lineage.dataset_id AND before.ledger_end = lineage.ledger_start - 1"
        " ORDER BY before.ledger_start LIMIT 1) AS checksum"
        " FROM _meta_lineage AS lineage WHERE dataset_id = %s AND ledger_start IN (%s, %s))"
        " UPDATE _meta_lineage SET prev_hash = linked.checksum FROM linked"
        " WHERE _meta_lineage.id = linked.id AND prev_hash IS DISTINCT FROM linked.checksum",
        (dataset, partition.start, partition.end + 1),
    )


def _upsert_quality(cursor: Cursor, dataset: int, partition: Partition, error: str | None) -> None:
    """Write whether the partition passed: it did when `error` is None."""
    cursor.execute(
        "INSERT INTO _meta_quality (dataset_id, ledger_start, ledger_end, passed, error_message)"
        " VALUES (%s, %s, %s, %s, %s) ON CONFLICT (dataset_id, ledger_start, ledger_end) DO UPDATE SET"
        " passed = EXCLUDED.passed, error_message = EXCLUDED.error_message, created_at = now()"
        " WHERE (_meta_quality.passed, coalesce(_meta_quality.error_message, ''))"
        " IS DISTINCT FROM (EXCLUDED.passed, coalesce(EXCLUDED.error_message, ''))",
        (dataset, partition.start, partition.end, error is None, error),
    )


def _insert_change(cursor: Cursor, dataset: int, era: Era, kind: str, description: str) -> None:
    version = era.version_label[:_CHANGE_VERSION_WIDTH]
    cursor.execute(
        "INSERT INTO _meta_changes (dataset_id, change_type, description, old_version, new_version)"
        " VALUES (%s, %s, %s, %s, %s)",
        (dataset, kind, description, version, version),
    )
