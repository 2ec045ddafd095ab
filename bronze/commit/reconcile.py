"""Makes up for what the catalog missed: compares manifests with lineage, remembers nothing.

A copy whose catalog could not be reached goes on (unless ``catalog.strict``); the next run that reaches it
finds what is committed and not recorded, and records it.
"""

from __future__ import annotations

from bronze.audit.event_log import EventLog
from bronze.catalog.catalog import Catalog
from bronze.job.spec import CopyJob
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition


def reconcile(job: CopyJob, era: Era, catalog: Catalog) -> list[Partition]:
    """Record every committed partition of `era` whose lineage is missing or other; return them.

    Raises:
        CatalogError: the catalog cannot be reached, or refuses.
        StateError: a manifest or an event file is damaged.
    """
    dataset, lineage_context = job.dataset(), job.lineage_context()
    catalog.register(era, lineage_context.table)
    recorded = catalog.recorded(era, lineage_context.table)
    log = job.events(era)
    next_ledger = job.sequencer(era).position().next_ledger
    doubtful = []
    for partition in dataset.list_partitions(era):
        checksum, event_hash = recorded.get(partition, ("", ""))
        if partition.end < next_ledger and not (checksum and (event_hash or log is None)):
            doubtful.append(partition)
    missed = []
    for partition in _in_chain_order(doubtful, log):
        manifest = dataset.find_manifest(era, partition)
        if manifest is None:
            continue
        event = log.latest(partition)[0] if log else None
        if event is None and recorded.get(partition, ("", ""))[0] == manifest.checksum:
            continue  # its event was pruned, or never made
        storage_path = dataset.storage_path(era, partition)
        event_hash = event.event_hash if event else ""
        row = lineage_context.lineage(manifest, storage_path, event_hash)
        catalog.record(era, lineage_context.table, row)
        missed.append(partition)
    return missed


def _in_chain_order(partitions: list[Partition], log: EventLog | None) -> list[Partition]:
    """As their events follow each other: what the catalog records last is what it takes for the chain's head."""
    if log is None or not partitions:  # reading every event file is not for nothing
        return partitions
    order = {event.partition: location for location, event in enumerate(log.load())}
    return sorted(partitions, key=lambda partition: order.get(partition, -1))
