"""What the launching process does for the chains around the waves of a run.

The workers record and deliver each partition as they commit it. Here: the locks of the chains, failures, and what was
missed while the catalog or the endpoint could not be reached.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from bronze.catalog.catalog import Catalog
from bronze.catalog.lineage import RecordedPartition
from bronze.commit.position import ChainPosition
from bronze.commit.reconcile import reconcile
from bronze.commit.recovery import restore
from bronze.errors import CatalogError
from bronze.job.connections import Connections
from bronze.log_fields import error_fields
from bronze.measurements import METADATA_ERROR, METADATA_RECORDED, report
from bronze.outcomes import PartitionFailure
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from pipeline.launch.deliver import deliver_all
from pipeline.launch.listings import Listings

_LOG = logging.getLogger(__name__)
#: Most sentences in one message.
_MAX_SENTENCES = 5


class ChainSession:
    """One run's hold of its chains: keeps other copiers away, and catalog and delivery complete. A dry run has none.

    Args:
        connections: of the launching process; the thread that opens the session does everything else too.
        positions: where each era's chain continued when the run was prepared, in the order of the job's eras.
        listings: what is published, which the catalog is compared with.
    """

    def __init__(self, connections: Connections, positions: Sequence[ChainPosition], listings: Listings) -> None:
        self._connections = connections
        self._positions = positions
        self._listings = listings
        self._job = connections.job
        #: The catalog's rows, by chain, that were compared in this run and are right.
        self._compared: dict[str, Mapping[Partition, RecordedPartition]] = {}
        self._catalog: Catalog | None = None if self._job.run.dry_run else connections.catalog()

    def open(self) -> None:
        """Lock the chains, restore what lags behind their event files, and record what earlier runs could not.

        Raises:
            ConflictError: another copier commits to one of the chains.
            CatalogError: the catalog is strict, and cannot be used or has rows that cannot be made right.
            StateError: event files, chain head and checkpoint contradict each other.
        """
        if self._job.run.dry_run:
            return
        is_reached = self._with_catalog(self._lock)
        for era in self._job.eras:
            self._restore(era)
        if is_reached:
            # What others have committed since is theirs to record, and looked for once more at the end.
            self._with_catalog(self._open_catalog)

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
            report(METADATA_ERROR, 1, **error_fields(error))
            if self._job.chain.catalog_strict:
                raise
            _LOG.warning("%s; that partitions failed is not recorded", error, extra=error_fields(error))

    def close(self) -> list[str]:
        """Record and deliver what was missed, and release the chains.

        Returns:
            What is still not recorded or not delivered, a sentence each.
        """
        outstanding = []
        if self._catalog is not None:
            try:
                outstanding += self._close_catalog()
                if not outstanding:
                    report(METADATA_RECORDED)
            except CatalogError as error:
                report(METADATA_ERROR, 1, **error_fields(error))
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
        except CatalogError as error:
            report(METADATA_ERROR, 1, **error_fields(error))
            if self._job.chain.catalog_strict:
                raise
            _LOG.warning("%s; the copy continues, its rows are written later (catalog.strict is false)", error)
            return False
        report(METADATA_RECORDED)
        return True

    def _lock(self) -> None:
        assert self._catalog is not None
        for era in self._job.eras:
            self._catalog.lock(era.chain)

    def _restore(self, era: Era) -> None:
        at = self._connections
        restore(era, at.dataset(), at.event_log(era), at.checkpoint(era), at.downstream())

    def _reconcile(self, positions: Sequence[ChainPosition]) -> list[str]:
        """Make the catalog's rows right; return what it does not say as it should, a sentence each."""
        assert self._catalog is not None
        at, unrecorded = self._connections, []
        for era, position in zip(self._job.eras, positions, strict=True):
            done = reconcile(
                era,
                at.dataset(),
                at.event_log(era),
                self._catalog,
                at.lineage_context(),
                position.next_ledger,
                compared=self._compared.get(era.chain),
                checkpoint=checkpoint.content() if (checkpoint := at.checkpoint(era)) else b"",
                partitions=self._listings.of(era).list_partitions(era),
            )
            if done.written:
                _LOG.info("wrote %d catalog rows of %s that were missing or differed", len(done.written), era.chain)
            unrecorded += done.unrecorded
            # A partition that is replaced may keep its row: then all manifests are read again at the end.
            self._compared[era.chain] = {} if era.allow_overwrite else done.rows
        return unrecorded

    def _open_catalog(self) -> None:
        unrecorded = self._reconcile(self._positions)
        for sentence in unrecorded:
            _LOG.warning("%s", sentence)
        if unrecorded and self._job.chain.catalog_strict:
            raise CatalogError(_summary(unrecorded))

    def _close_catalog(self) -> list[str]:
        unrecorded = self._reconcile([self._connections.sequencer(era).position() for era in self._job.eras])
        return [f"rows not yet recorded in the catalog: {_summary(unrecorded)}"] if unrecorded else []


def _summary(sentences: Sequence[str]) -> str:
    """The first few of `sentences`, and how many more there are."""
    more = len(sentences) - _MAX_SENTENCES
    return "; ".join(sentences[:_MAX_SENTENCES]) + (f"; and {more} more" if more > 0 else "")
