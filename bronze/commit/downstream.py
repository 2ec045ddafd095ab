"""The systems a commit is reported to: catalog and delivery endpoint, each strict or best effort.

The failure of a strict one stops the commit. After the failure of a best-effort one the commit continues, and a later
run catches up: rows by comparing manifests with lineage, events from the delivery cursor on. One such failure leaves
that system alone for the rest of a wave, so that a system that does not answer delays the copy once and not for each
partition.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from bronze.audit.event import Event
from bronze.errors import CatalogError, DeliveryError, DeliveryRejectedError
from bronze.log_fields import error_fields
from bronze.measurements import METADATA_ERROR, METADATA_RECORDED, report
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

if TYPE_CHECKING:  # psycopg2 and requests are loaded by who opens a catalog and an endpoint
    from bronze.audit.delivery import EventDelivery
    from bronze.catalog.catalog import Catalog
    from bronze.catalog.lineage import LineageContext, RecordedPartition

_LOG = logging.getLogger(__name__)


class Downstream:
    """The catalog and the endpoint of a run, each of them optional.

    Args:
        deliverer: makes the delivery of an era's events; None without an endpoint.
    """

    def __init__(
        self,
        *,
        catalog: Catalog | None = None,
        lineage_context: LineageContext | None = None,
        catalog_strict: bool = False,
        deliverer: Callable[[Era], EventDelivery] | None = None,
        delivery_strict: bool = False,
    ) -> None:
        self._catalog = catalog
        self._lineage_context = lineage_context
        self._catalog_strict = catalog_strict
        self._deliverer = deliverer
        self._delivery_strict = delivery_strict

    def record(
        self, era: Era, summary: PartitionSummary, event_hash: str, corrected: Callable[[], Collection[str] | None]
    ) -> None:
        """Write the partition's lineage and that it passed. Raises `CatalogError` when the catalog is strict.

        Args:
            corrected: returns that of `Catalog.record`. It reads event files: called only where there is a catalog.
        """
        if self._catalog is None or self._lineage_context is None:
            return
        try:
            row = self._lineage_context.lineage(summary, summary.storage_path, event_hash)
            self._catalog.record(era, self._lineage_context.table, row, corrected())
        except CatalogError as error:
            report(METADATA_ERROR, 1, **error_fields(error))
            if self._catalog_strict:
                raise
            _LOG.warning(
                "%s; its rows are written later, the copy continues (catalog.strict is false)",
                error,
                extra=error_fields(error),
            )
            self._catalog = None
        else:
            report(METADATA_RECORDED)

    def deliver(self, era: Era, event: Event) -> None:
        """Deliver `event` and all before it that were not. Raises delivery errors when the delivery is strict."""
        if self._deliverer is None:
            return
        try:
            self._deliverer(era).deliver(event)
        except (DeliveryError, DeliveryRejectedError) as error:
            if self._delivery_strict:
                raise
            _LOG.warning(
                "%s; events are kept and delivered later, the copy continues (pas.strict is false)",
                error,
                extra=error_fields(error),
            )
            self._deliverer = None

    def last_event(self, era: Era, *, needed: bool) -> tuple[Partition, str] | None:
        """The partition and hash of the event that the catalog recorded last; None when it has none.

        Args:
            needed: whether the chain is known to have begun: then a catalog that cannot say is an error.

        Raises:
            CatalogError: it cannot say, and is strict or needed.
        """
        if self._catalog is None or self._lineage_context is None:
            return None
        try:
            return self._catalog.last_event(era, self._lineage_context.table)
        except CatalogError as error:
            if self._catalog_strict or needed:
                raise
            _LOG.warning("%s; the chain %s starts without it", error, era.chain)
            return None

    def recorded(self, era: Era) -> dict[Partition, RecordedPartition]:
        """The catalog's rows of the era's partitions; none without a catalog. Raises `CatalogError`."""
        if self._catalog is None or self._lineage_context is None:
            return {}
        return self._catalog.recorded(era, self._lineage_context.table)
