"""What the launching process does for the chains around the waves of a run.

The workers record and deliver each partition as they commit it. Here: the locks of the chains, failures, and what was
missed while the catalog or the endpoint could not be reached.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from bronze.catalog.catalog import Catalog
from bronze.commit.position import ChainPosition
from bronze.commit.reconcile import reconcile
from bronze.commit.recovery import restore
from bronze.errors import CatalogError
from bronze.job.connections import Connections
from bronze.outcomes import PartitionFailure
from bronze.partitioning.era import Era
from pipeline.launch.deliver import deliver_all

_LOG = logging.getLogger(__name__)


class ChainSession:
    """One run's hold of its chains: keeps other copiers away, and catalog and delivery complete. A dry run has none.

    Args:
        connections: of the launching process; the thread that opens the session does everything else too.
        positions: where each era's chain continued when the run was prepared, in the order of the job's eras.
    """

    def __init__(self, connections: Connections, positions: Sequence[ChainPosition]) -> None:
        self._connections = connections
        self._positions = positions
        self._job = connections.job
        self._catalog: Catalog | None = None if self._job.run.dry_run else connections.catalog()

    def open(self) -> None:
        """Lock the chains, restore what lags behind their event files, and record what earlier runs could not.

        Raises:
            ConflictError: another copier commits to one of the chains.
            CatalogError: the catalog is strict and cannot be used.
            StateError: event files, chain head and checkpoint contradict each other.
        """
        if self._job.run.dry_run:
            return
        is_reached = self._with_catalog(self._lock)
        for era in self._job.eras:
            self._restore(era)
        if is_reached:
            # What others have committed since is theirs to record, and looked for once more at the end.
            self._with_catalog(lambda: self._reconcile(self._positions))

    def record_failures(self, failures: Iterable[PartitionFailure]) -> None:
        """Record partitions that could not be published, and why. Raises `CatalogError` when the catalog is strict."""
        if self._catalog is None:
            return
        try:
            for failure in failures:
                if not failure.published:
                    era = self._job.era(failure.chain)
                    self._catalog.record_failure(era, self._job.target.table, failure.partition, failure.message)
        except CatalogError as error:
            if self._job.chain.catalog_strict:
                raise
            _LOG.warning("%s; that partitions failed is not recorded", error)

    def close(self) -> list[str]:
        """Record and deliver what was missed, and release the chains.

        Returns:
            What is still not recorded or not delivered, a sentence each.
        """
        outstanding = []
        if self._catalog is not None:
            try:
                self._reconcile([self._connections.sequencer(era).position() for era in self._job.eras])
            except CatalogError as error:
                outstanding.append(f"rows not yet recorded in the catalog: {error}")
            self._catalog.close()
        if not self._job.run.dry_run:
            outstanding += deliver_all(self._connections)[1]
        return outstanding

    def _with_catalog(self, act: Callable[[], None]) -> bool:
        """Call `act`; return whether the catalog could be used. Raises `CatalogError` when the catalog is strict."""
        if self._catalog is None:
            return False
        try:
            act()
            return True
        except CatalogError as error:
            if self._job.chain.catalog_strict:
                raise
            _LOG.warning("%s; the copy continues, its rows are written later (catalog.strict is false)", error)
            return False

    def _lock(self) -> None:
        assert self._catalog is not None
        for era in self._job.eras:
            self._catalog.lock(era.chain)

    def _restore(self, era: Era) -> None:
        at = self._connections
        restore(era, at.dataset(), at.event_log(era), at.checkpoint(era), at.downstream())

    def _reconcile(self, positions: Sequence[ChainPosition]) -> None:
        assert self._catalog is not None
        at = self._connections
        for era, position in zip(self._job.eras, positions, strict=True):
            missed = reconcile(
                era, at.dataset(), at.event_log(era), self._catalog, at.lineage_context(), position.next_ledger
            )
            if missed:
                _LOG.info("recorded %d partitions of %s that the catalog lacked", len(missed), era.chain)
