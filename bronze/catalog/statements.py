"""The SQL of the catalog's tables. Every function runs its statements in the transaction of the cursor it is given.

Tables and columns are those of the older copier, with ``pas_event_hash`` added (``schema.sql``). Every write may be
repeated: what is recorded already is not written again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from psycopg2.extensions import cursor as Cursor
from psycopg2.extensions import encodings

from bronze.catalog.lineage import PRODUCER_WIDTH, Lineage, RecordedPartition, producer_text
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.stellar import MAX_LEDGER

_DOMAIN = "bronze"
_DESCRIPTION = "raw LedgerCloseMeta, one row a ledger"
#: Characters that the older copier's columns hold at most.
_SOURCE_TYPE_WIDTH, _CHANGE_VERSION_WIDTH = 32, 32
#: Characters of an error message that are kept; the log has all of it.
_MAX_MESSAGE_CHARACTERS = 4000


#: A row of lineage that is of a partition.
_IS_RANGE = f"(ledger_start >= 0 AND ledger_start <= ledger_end AND ledger_end <= {MAX_LEDGER})"


def _plain(column: str) -> str:
    """SQL of the column as text that any connection can read: not what others may have put there in any encoding."""
    text = f"coalesce({column}::text, '')"
    return f"CASE WHEN {text} COLLATE \"C\" ~ '^[ -~]*$' THEN left({text}, 1000) ELSE '(not plain text)' END"


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
    """The partitions that have lineage, in ledger order, without rows whose ledgers are not a range."""
    texts = ("checksum", "pas_event_hash", "prev_hash", "storage_path", "producer_version", "producer_git_sha")
    cursor.execute(
        "SELECT ledger_start, ledger_end, id, coalesce(row_count, -1), coalesce(byte_size, -1),"
        f" {', '.join(_plain(column) for column in texts)} FROM _meta_lineage"
        f" WHERE dataset_id = %s AND {_IS_RANGE} ORDER BY ledger_start, ledger_end",
        (dataset,),
    )
    names = ("row_id", "row_count", "byte_size", "checksum", "event_hash", "prev_hash", "storage_path")
    return {
        Partition(start, end): RecordedPartition(**dict(zip((*names, "producer", "git_sha"), values, strict=True)))
        for start, end, *values in cursor.fetchall()
    }


def select_unusable(cursor: Cursor, dataset: int) -> list[str]:
    """The rows whose ledgers are not a range, a sentence each."""
    cursor.execute(
        f"SELECT id, ledger_start, ledger_end FROM _meta_lineage WHERE dataset_id = %s AND NOT {_IS_RANGE} ORDER BY id",
        (dataset,),
    )
    return [
        f"row {row_id} of _meta_lineage has the ledgers {start} to {end}, which is not a range: remove it"
        for row_id, start, end in cursor.fetchall()
    ]


def select_last_event(cursor: Cursor, dataset: int) -> tuple[int, int, str] | None:
    """Start, end and hash of the event that was recorded last, unchecked; None when none is recorded."""
    cursor.execute(
        f"SELECT ledger_start, ledger_end, {_plain('pas_event_hash')} FROM _meta_lineage"
        " WHERE dataset_id = %s AND pas_event_hash <> '' ORDER BY id DESC LIMIT 1",
        (dataset,),
    )
    found = cursor.fetchone()
    return None if found is None else (found[0], found[1], str(found[2]))


def record_lineage(
    cursor: Cursor, dataset: int, era: Era, row: Lineage, corrected: Collection[str] | None = None
) -> None:
    """Write the partition's lineage, its links and that it passed; another checksum than before is a correction.

    Args:
        corrected: see `bronze.catalog.catalog.Catalog.record`.
    """
    _upsert_lineage(cursor, dataset, era, row, corrected=corrected)
    _link_lineage(cursor, dataset, row.partition)
    _upsert_quality(cursor, dataset, row.partition, None)


def correct_lineage(cursor: Cursor, dataset: int, era: Era, row: Lineage) -> None:
    """Write the partition's lineage over what its row says; what was other than it should be is noted as a change."""
    _upsert_lineage(cursor, dataset, era, row, corrects=True)
    _link_lineage(cursor, dataset, row.partition)
    _upsert_quality(cursor, dataset, row.partition, None)


def renumber_lineage(cursor: Cursor, dataset: int, partitions: Sequence[Partition]) -> None:
    """Give the rows of `partitions` new ids, in the order given."""
    for partition in partitions:
        cursor.execute(
            "UPDATE _meta_lineage SET id = DEFAULT WHERE (dataset_id, ledger_start, ledger_end) = (%s, %s, %s)",
            (dataset, partition.start, partition.end),
        )


def select_time(cursor: Cursor) -> float:
    """The server's time, in seconds since 1970."""
    cursor.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
    found = cursor.fetchone()
    assert found is not None
    return float(found[0])


def select_digest(cursor: Cursor, dataset: int) -> str:
    """The digest that `write_digest` wrote last; empty when there is none."""
    if not _has_digests(cursor):
        return ""
    cursor.execute(f"SELECT {_plain('digest')} FROM _meta_reconciled WHERE dataset_id = %s", (dataset,))
    found = cursor.fetchone()
    return str(found[0]) if found else ""


def write_digest(cursor: Cursor, dataset: int, digest: str) -> None:
    """Keep a digest of the dataset's rows; its table is created when missing."""
    if not _has_digests(cursor):
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS _meta_reconciled ("
            "dataset_id INTEGER PRIMARY KEY REFERENCES _meta_datasets (id), digest TEXT NOT NULL,"
            " updated_at TIMESTAMPTZ DEFAULT now())"
        )
    cursor.execute(
        "INSERT INTO _meta_reconciled (dataset_id, digest) VALUES (%s, %s) ON CONFLICT (dataset_id) DO UPDATE SET"
        " digest = EXCLUDED.digest, updated_at = now() WHERE _meta_reconciled.digest <> EXCLUDED.digest",
        (dataset, digest),
    )


def _has_digests(cursor: Cursor) -> bool:
    cursor.execute("SELECT to_regclass('_meta_reconciled') IS NOT NULL")
    found = cursor.fetchone()
    return found is not None and bool(found[0])


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


def _upsert_lineage(
    cursor: Cursor,
    dataset: int,
    era: Era,
    row: Lineage,
    *,
    corrects: bool = False,
    corrected: Collection[str] | None = None,
) -> None:
    partition = row.partition
    values: dict[str, str | int | None] = {
        "row_count": row.row_count,
        "byte_size": row.byte_size,
        "checksum": row.checksum,
        "storage_path": valid_text(row.storage_path),
        "storage_uri": valid_text(row.storage_uri),
        "producer_version": valid_text(producer_text(row.producer)),
        "producer_git_sha": valid_text(row.producer.git_sha, PRODUCER_WIDTH),
        "source_type": valid_text(row.source_type, _SOURCE_TYPE_WIDTH),
        "source_location": valid_text(row.source_location),
        "pas_event_hash": row.event_hash or None,
    }
    cursor.execute(
        f"SELECT id, {', '.join(_plain(column) for column in values)} FROM _meta_lineage"
        " WHERE (dataset_id, ledger_start, ledger_end) = (%s, %s, %s)",
        (dataset, partition.start, partition.end),
    )
    existing = cursor.fetchone()
    if existing is None:
        cursor.execute(
            f"INSERT INTO _meta_lineage (dataset_id, ledger_start, ledger_end, {', '.join(values)})"
            f" VALUES (%s, %s, %s, {', '.join(['%s'] * len(values))})",
            (dataset, partition.start, partition.end, *values.values()),
        )
        return
    lineage_id, before = existing[0], dict(zip(values, existing[1:], strict=True))
    if before["checksum"] != row.checksum:
        if corrected is not None and before["pas_event_hash"] not in {"", row.event_hash, *corrected}:
            return  # a worker that was taken for lost goes on with what was corrected meanwhile
        _insert_change(cursor, dataset, era, "correction", f"{partition}: {before['checksum']} became {row.checksum}")
    elif corrects:  # the file is the same: where it came from is better known to the row
        for name in ("storage_uri", "source_type", "source_location"):
            del values[name]
        _note_correction(cursor, dataset, era, partition, before, values)
    elif not row.event_hash:  # the file is the same: a run without an audit stream keeps the event of an earlier one
        del values["pas_event_hash"]
    # `select_last_event` goes by the id: a new event of an old partition is the last of its chain.
    renumber = "id = DEFAULT, " if row.event_hash not in ("", before["pas_event_hash"]) else ""
    columns, placeholders = ", ".join(values), ", ".join(["%s"] * len(values))
    cursor.execute(
        f"UPDATE _meta_lineage SET {renumber}({columns}) = ({placeholders})"
        f" WHERE id = %s AND ({columns}) IS DISTINCT FROM ({placeholders})",
        (*values.values(), lineage_id, *values.values()),
    )


def _note_correction(
    cursor: Cursor,
    dataset: int,
    era: Era,
    partition: Partition,
    before: Mapping[str, str],
    values: Mapping[str, str | int | None],
) -> None:
    """Note the columns of the row that say something else; an event's hash that was missing is no correction."""
    after = {name: "" if value is None else str(value) for name, value in values.items()}
    differ = [name for name, value in after.items() if value != before[name]]
    if not before["pas_event_hash"]:
        differ = [name for name in differ if name != "pas_event_hash"]
    if differ:
        words = ", ".join(f"{name} {before[name] or 'none'} became {after[name] or 'none'}" for name in differ)
        _insert_change(cursor, dataset, era, "correction", f"{partition}: {words}")


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
