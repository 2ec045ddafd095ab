"""The advisory locks of chains: held by a transaction that stays open, on a connection of their own.

A session's lock would not do. A pooler in transaction mode gives the session to other clients: two copiers get the lock
at once, and it outlives the copier that took it. A transaction keeps its connection, and ends with its client. It reads
and writes nothing, so that it holds up no vacuum.
"""

from __future__ import annotations

import hashlib

import psycopg2.errors
from psycopg2.extensions import cursor as Cursor

from bronze.catalog.session import ConnectionLostError, ServerSession
from bronze.errors import CatalogError, ConflictError

#: The server may take this long to notice that a copier was killed, and to release its lock; nobody waits longer.
_LOCK_TIMEOUT_MS = 2000


class ChainLocks:
    """The locks that this copier holds, on `session`, which nothing else uses."""

    def __init__(self, session: ServerSession) -> None:
        self._session = session
        self._chains: dict[str, None] = {}

    def take(self, chain: str) -> None:
        """Lock `chain`, until `close` or the end of the process; nothing happens when it is locked here already.

        Raises:
            ConflictError: another copier holds it, or has meanwhile taken another chain's lock that was held here.
            ConnectionLostError: there is no connection to be had.
            CatalogUnavailableError, CatalogError: no answer in time, or the server refused.
        """
        if chain in self._chains:
            return
        self.ensure()
        if not self._session.is_open:
            self._session.open()
        try:
            self._session.run_unfinished(lambda cursor: _lock(cursor, chain))
            self._chains[chain] = None
        finally:
            if not self._chains:  # no transaction is left open for nothing
                self._session.close()

    def ensure(self) -> None:
        """Make sure that the locks are held still: those of a connection that was lost are taken again.

        Raises:
            As in `take`.
        """
        if not self._chains:
            return
        if self._session.is_open:
            try:
                self._session.run_unfinished(lambda cursor: cursor.execute("SELECT 1"))
                return
            except (ConnectionLostError, CatalogError):  # the latter of a transaction that ended
                self._session.close()
        self._session.open()
        try:
            for chain in self._chains:
                self._session.run_unfinished(lambda cursor, chain=chain: _lock(cursor, chain))  # type: ignore[misc]
        except BaseException:
            self._session.close()
            raise

    def close(self) -> None:
        """Release the locks."""
        self._chains.clear()
        self._session.finish()


def _lock(cursor: Cursor, chain: str) -> None:
    """Lock `chain` in the cursor's transaction, which keeps its other locks when this one is not to be had."""
    key = int.from_bytes(hashlib.sha256(f"bronze-copier {chain}".encode()).digest()[:8], "big", signed=True)
    cursor.execute(f"SAVEPOINT one_lock; SET LOCAL lock_timeout = {_LOCK_TIMEOUT_MS}")
    try:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", (key,))
    except (psycopg2.errors.LockNotAvailable, psycopg2.errors.DeadlockDetected):
        cursor.execute("ROLLBACK TO SAVEPOINT one_lock")
        raise ConflictError(
            f"another copier is committing to the chain {chain} (it holds the catalog's lock): run again when it"
            " has ended"
        ) from None
