"""Compare what a worker reports of a partition with what is published, before an event states it.

A summary travels through a runner between machines. The manifest in the store, and the size of the parquet file, are
what readers will find; so these decide. One read and one request for the size, whatever the chain's length.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.errors import StateError
from bronze.outcomes import PartitionSummary
from bronze.partitioning.era import Era

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset


def check_published(era: Era, dataset: Dataset, summary: PartitionSummary) -> Manifest:
    """Check that `summary` describes the partition as it is published; return its manifest.

    Raises:
        StateError: the partition is not published, its manifest or file is damaged, or the manifest says something
            else than `summary`; the message names both values.
    """
    name = f"{summary.chain} {summary.partition}"
    if summary.chain != era.chain:
        raise StateError(f"partition {name} was reported to the chain {era.chain}: nothing is committed")
    manifest = dataset.find_manifest(era, summary.partition)
    if manifest is None:
        key = dataset.object_url(dataset.manifest_key(era, summary.partition))
        raise StateError(f"partition {name} was reported as published, but has no manifest {key}: run again")
    links = dataset.links(era, manifest)
    for what, reported, published in (
        ("checksum", summary.checksum, manifest.checksum),
        ("row_count", summary.row_count, manifest.row_count),
        ("byte_size", summary.byte_size, manifest.byte_size),
        ("ledgers", summary_links(summary), links),
        ("producer", summary.producer, manifest.producer),
        ("authenticity", summary.authenticity, manifest.authenticity),
        ("storage_path", summary.storage_path, dataset.storage_path(era, summary.partition)),
    ):
        if reported != published:
            raise StateError(
                f"partition {name} was reported with {what} {reported}, but"
                f" {dataset.object_url(dataset.manifest_key(era, summary.partition))} says {published}: nothing is"
                " committed. Another copier has replaced the partition meanwhile, or the report was changed on its way:"
                " run again"
            )
    return manifest


def summary_links(summary: PartitionSummary) -> LedgerLinks:
    """What links the partition of `summary`, as it was reported."""
    return LedgerLinks(
        first=summary.first,
        last=summary.last,
        previous_hash=summary.previous_hash,
        first_hash=summary.first_hash,
        last_hash=summary.last_hash,
    )
