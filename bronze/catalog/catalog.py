"""The catalog in PostgreSQL: datasets, lineage, quality and changes; its tables are created when missing.

Each partition is one transaction and may be recorded twice. A lost connection is opened again at the next call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self, TypeVar

from psycopg2.extensions import cursor as Cursor

from bronze.catalog import statements
from bronze.catalog.connection import CatalogConnection
from bronze.catalog.lineage import Lineage, RecordedPartition
from bronze.checksums import is_checksum
from bronze.dataset.schema import schema_text
from bronze.errors import StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import this_producer
from bronze.stellar import MAX_LEDGER

#: A statement that takes longer waits for a lock that somebody forgot, or for a server that is gone.
_TIMEOUT_SECONDS = 30.0
#: Characters of `application_name` that PostgreSQL keeps.
_MAX_APPLICATION_NAME = 63

Result = TypeVar("Result")


class Catalog:
    """The catalog behind one connection string; connects at the first call. Not to be shared by threads.

    Every method raises `CatalogUnavailableError` (transient) when there is no server, no connection or no answer in
    time, and `CatalogError` when the server refuses a statement. Neither message holds a secret.

    Args:
        dsn: libpq's connection string or URL; never shown.
        namespace: name of this deployment, shown in the server's list of connections.
        schema: the table's schema as text; its SHA-256 is registered. None: the schema this version writes.
        timeout_seconds: how long a statement, a lock or an answer may take.

    Raises:
        ConfigError: `dsn` is not a connection string.
    """

    def __init__(
        self, dsn: str, namespace: str, *, schema: str | None = None, timeout_seconds: float = _TIMEOUT_SECONDS
    ) -> None:
        name = statements.valid_text(f"bronze-copier/{namespace}", _MAX_APPLICATION_NAME)
        self._connection = CatalogConnection(dsn, name, timeout_seconds)
        self._schema_hash = hashlib.sha256((schema_text() if schema is None else schema).encode()).hexdigest()

    @property
    def where(self) -> str:
        """The server and database, ``host:port/database``, without secrets; asks nobody."""
        return self._connection.where

    def register(self, era: Era, table: str) -> None:
        """Register the era's dataset, as recording does too; another schema than the registered one is a change."""
        self._write(era, table, lambda cursor, dataset: None)

    def record(self, era: Era, table: str, row: Lineage, corrected: Collection[str] | None = None) -> None:
        """Record a committed partition: its lineage and that it passed, in one transaction.

        Events are to be recorded in the order of their chain (not of the ledgers): see `last_event`. Another
        checksum than the recorded one is a correction, noted among the changes.

        Args:
            corrected: the hashes of the partition's events before that of `row`: of another checksum and any other
                event the recorded row is of a later correction, and stays. None: they are not known.
        """
        self._write(era, table, lambda cursor, dataset: statements.record_lineage(cursor, dataset, era, row, corrected))

    def correct(self, era: Era, table: str, row: Lineage) -> None:
        """Write what a published partition's row should be, the event's hash too when it is empty.

        What is corrected is noted among the changes. Where the file is the same, the row keeps where it came from.
        """
        self._write(era, table, lambda cursor, dataset: statements.correct_lineage(cursor, dataset, era, row))

    def reorder(self, era: Era, table: str, partitions: Sequence[Partition]) -> None:
        """Put the rows of `partitions` behind all others, in the order given: see `last_event`."""
        self._write(era, table, lambda cursor, dataset: statements.renumber_lineage(cursor, dataset, partitions))

    def record_failure(self, era: Era, table: str, partition: Partition, message: str) -> None:
        """Record that `partition` could not be published, and why; a partition with lineage stays passed."""
        self._write(era, table, lambda cursor, dataset: statements.record_failure(cursor, dataset, partition, message))

    def recorded(self, era: Era, table: str) -> dict[Partition, RecordedPartition]:
        """The partitions that have lineage, in ledger order; none when the dataset is not registered.

        Text that is not printable ASCII is replaced, since it is nothing that this program wrote there.
        """
        return self._read(era, table, statements.select_recorded, {})

    def unusable_rows(self, era: Era, table: str) -> list[str]:
        """The lineage rows whose ledgers are not a range, a sentence each; `recorded` leaves them out."""
        return self._read(era, table, statements.select_unusable, [])

    def digest(self, era: Era, table: str) -> str:
        """The digest that `keep_digest` kept; empty when there is none."""
        return self._read(era, table, statements.select_digest, "")

    def keep_digest(self, era: Era, table: str, digest: str) -> None:
        """Keep a digest of the dataset's rows, in a table of its own that is created when missing."""
        self._write(era, table, lambda cursor, dataset: statements.write_digest(cursor, dataset, digest))

    def last_event(self, era: Era, table: str) -> tuple[Partition, str] | None:
        """The partition and the hash of the audit event that was recorded last, or None.

        That is the chain's head when events were recorded in the order of the chain. It need not be the one of
        the highest ledgers: a gap that is filled later and a correction are appended to the chain too.

        Raises:
            StateError: the row holds no range of ledgers, or no hash of an event.
        """
        found = self._read(era, table, statements.select_last_event, None)
        if found is None:
            return None
        start, end, event_hash = found
        if not 0 <= start <= end <= MAX_LEDGER or not is_checksum(event_hash):
            raise StateError(
                f"the catalog's last row of {era.chain} with an audit event is of ledgers {start}-{end} and has the"
                f" hash {event_hash!r}: that is no event, and what the chain's head is cannot be told from it. Restore"
                " the event files or the chain heads"
            )
        return Partition(start, end), event_hash

    def check(self, era: Era, table: str) -> float:
        """Write and read everything that recording a partition does, in a transaction that is rolled back.

        Returns:
            The server's time, in seconds since 1970.

        Raises:
            CatalogUnavailableError, CatalogError: that does not work.
        """
        last = Partition(MAX_LEDGER, MAX_LEDGER)
        row = Lineage(
            partition=last,
            row_count=1,
            byte_size=1,
            checksum=f"sha256:{'0' * 64}",
            event_hash="",
            storage_path="",
            storage_uri="",
            producer=this_producer(),
            source_type="",
            source_location="",
        )

        def work(cursor: Cursor) -> float:
            dataset = statements.register_dataset(cursor, era, table, self._schema_hash)
            statements.record_failure(cursor, dataset, last, "a trial")
            statements.record_lineage(cursor, dataset, era, row)
            statements.correct_lineage(cursor, dataset, era, replace(row, byte_size=2))
            statements.select_recorded(cursor, dataset)
            return statements.select_time(cursor)

        return self._connection.try_and_undo(work)

    def lock(self, chain: str) -> None:
        """Lock `chain` against every other copier with this catalog, until `close` or the end of the process.

        Nothing happens when it is locked here already. After a lost connection the lock is taken again before
        anything else; every method raises `ConflictError` when another copier was faster.

        Raises:
            ConflictError: another copier holds the lock, and kept it for two seconds.
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

    def _write(self, era: Era, table: str, work: Callable[[Cursor, int], None]) -> None:
        """Run `work` on the dataset, which is registered first, in one transaction."""
        self._connection.transaction(
            lambda cursor: work(cursor, statements.register_dataset(cursor, era, table, self._schema_hash))
        )

    def _read(self, era: Era, table: str, query: Callable[[Cursor, int], Result], default: Result) -> Result:
        """The result of `query` on the dataset; `default` when it is not registered."""

        def read(cursor: Cursor) -> Result:
            dataset = statements.find_dataset(cursor, era, table)
            return default if dataset is None else query(cursor, dataset)

        return self._connection.transaction(read)
