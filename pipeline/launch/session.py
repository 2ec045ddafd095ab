"""What the launching program does for the catalog and the endpoint around the waves of a run.

The workers record and deliver each partition as they commit it. Here: the chains' locks, failures, and what
was missed while the other side could not be reached.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable

from bronze.catalog.catalog import Catalog
from bronze.commit.reconcile import reconcile
from bronze.commit.recovery import restore
from bronze.errors import CatalogError, DeliveryError, DeliveryRejectedError
from bronze.job.spec import CopyJob
from bronze.outcomes import PartitionFailure

_LOG = logging.getLogger(__name__)


class ChainSession:
    """Keeps the catalog and the delivery of one run complete."""

    def __init__(self, job: CopyJob) -> None:
        self._job = job
        self._catalog: Catalog | None = None if job.dry_run else job.catalog()

    def open(self) -> None:
        """Lock the chains, put right what lags behind their event files, and record what earlier runs could not.

        Raises:
            ConflictError: another copier commits to one of the chains.
            CatalogError: the catalog is strict and cannot be used.
            StateError: event files, chain head and checkpoint contradict each other.
        """
        if self._job.dry_run:
            return
        reached = self._with_catalog(self._lock)
        for era in self._job.eras:
            job = self._job
            restore(era, job.dataset(), job.events(era), job.checkpoint(era), job.downstream())
        if reached:
            self._with_catalog(self._reconcile)

    def _with_catalog(self, act: Callable[[], None]) -> bool:
        """Act; return whether that was possible. Raises what a strict catalog raises."""
        if self._catalog is None:
            return False
        try:
            act()
            return True
        except CatalogError as error:
            if self._job.catalog_strict:
                raise
            _LOG.warning("%s; the copy goes on, its rows are written later (catalog.strict is false)", error)
            return False

    def _lock(self) -> None:
        assert self._catalog is not None
        for era in self._job.eras:
            self._catalog.lock(era.chain)

    def failed(self, failures: Iterable[PartitionFailure]) -> None:
        """Record partitions that could not be published, and why."""
        if self._catalog is None:
            return
        try:
            for failure in failures:
                if not failure.published:
                    era = self._job.era(failure.chain)
                    self._catalog.record_failure(era, self._job.table, failure.partition, failure.message)
        except CatalogError as error:
            if self._job.catalog_strict:
                raise
            _LOG.warning("%s; that partitions failed is not recorded", error)

    def close(self) -> list[str]:
        """Make up for what was missed, and let the chains go.

        Returns:
            What is not yet recorded or delivered, a sentence each.
        """
        outstanding = []
        if self._catalog is not None:
            try:
                self._reconcile()
            except CatalogError as error:
                outstanding.append(f"rows not yet recorded in the catalog: {error}")
            self._catalog.close()
        if not self._job.dry_run:
            outstanding += deliver_all(self._job)[1]
        return outstanding

    def _reconcile(self) -> None:
        assert self._catalog is not None
        for era in self._job.eras:
            job = self._job
            next_ledger = job.sequencer(era).position().next_ledger
            context = job.lineage_context()
            missed = reconcile(era, job.dataset(), job.events(era), self._catalog, context, next_ledger)
            if missed:
                _LOG.info("recorded %d partitions of %s that the catalog lacked", len(missed), era.chain)


def deliver_all(job: CopyJob) -> tuple[int, list[str]]:
    """Deliver every event that was not, of all eras of the job.

    Returns:
        How many were sent, and what is not yet delivered, a sentence each.
    """
    sent, outstanding = 0, []
    for era in job.eras if job.delivers else ():
        try:
            sent += job.deliverer(era).deliver()
        except (DeliveryError, DeliveryRejectedError) as error:
            outstanding.append(f"events of {era.chain} not yet delivered to the endpoint: {error}")
    return sent, outstanding
