"""Backfill missing catalog rows by comparing manifests with lineage. Stateless.

A copy whose catalog cannot be reached continues (unless ``catalog.strict``); the next run that reaches it finds the
partitions that are committed and not yet recorded, and records them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bronze.audit.event_log import EventLog
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

if TYPE_CHECKING:  # psycopg2 and pyarrow are loaded by who opens a catalog and a dataset
    from bronze.catalog.catalog import Catalog
    from bronze.catalog.lineage import LineageContext
    from bronze.dataset.dataset import Dataset


def reconcile(
    era: Era, dataset: Dataset, log: EventLog | None, catalog: Catalog, lineage: LineageContext, next_ledger: int
) -> list[Partition]:
    """Record every committed partition of `era` whose lineage is missing or differs; return them.

    Args:
        log: the chain's event files; None when no audit stream is written.
        next_ledger: the first ledger that is not committed; partitions that reach it are left to their commit.

    Raises:
        CatalogError: the catalog cannot be reached, or refuses.
        StateError: a manifest or an event file is damaged.
    """
    catalog.register(era, lineage.table)
    recorded = catalog.recorded(era, lineage.table)
    incomplete = []
    for partition in dataset.list_partitions(era):
        checksum, event_hash = recorded.get(partition, ("", ""))
        if partition.end < next_ledger and not (checksum and (event_hash or log is None)):
            incomplete.append(partition)
    added = []
    for partition in _in_chain_order(incomplete, log):
        manifest = dataset.find_manifest(era, partition)
        if manifest is None:
            continue
        event = log.latest(partition)[0] if log else None
        if event is None and recorded.get(partition, ("", ""))[0] == manifest.checksum:
            continue  # its event was pruned, or never made
        event_hash = event.event_hash if event else ""
        storage_path = dataset.storage_path(era, partition)
        catalog.record(era, lineage.table, lineage.lineage(manifest, storage_path, event_hash))
        added.append(partition)
    return added


def _in_chain_order(partitions: list[Partition], log: EventLog | None) -> list[Partition]:
    """Order partitions as their events follow each other: the catalog takes what it records last for the chain's head.

    Those without an event come first.
    """
    if log is None or not partitions:  # do not read every event file for nothing
        return partitions
    order = {event.partition: number for number, event in enumerate(log.load())}
    return sorted(partitions, key=lambda partition: order.get(partition, -1))
