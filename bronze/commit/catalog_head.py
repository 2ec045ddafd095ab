"""Whether the catalog may say what the head of a chain is, whose event files and chain head are gone.

Its last recorded event is the head only if no event was made that it does not know. Each published partition that was
committed must have a row with the checksum of its manifest: where one is missing or differs, the partition was made, or
replaced, while the catalog could not be reached, and so was an event that other events may follow.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from bronze.errors import StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

if TYPE_CHECKING:  # psycopg2 and pyarrow are loaded by who opens a catalog and a dataset
    from bronze.catalog.lineage import RecordedPartition
    from bronze.dataset.dataset import Dataset


def check_catalog_head(
    era: Era, dataset: Dataset, rows: Mapping[Partition, RecordedPartition], last_ledger: int
) -> None:
    """Compare the catalog's rows with the manifests of partitions up to `last_ledger` (inclusive).

    Raises:
        StateError: a row is missing or differs, or a manifest is damaged.
    """
    for partition in dataset.list_partitions(era):
        if partition.end > last_ledger:
            continue
        manifest = dataset.find_manifest(era, partition, check_file=False)
        if manifest is None:
            continue
        row = rows.get(partition)
        if row is None or row.checksum != manifest.checksum:
            says = "has no row of it" if row is None else f"says {row.checksum}"
            raise StateError(
                f"the event files and the chain head of {era.chain} are gone, and the catalog cannot say where it"
                f" ended: partition {partition} has the checksum {manifest.checksum}, the catalog {says}. Restore the"
                " event files or the chain heads: a chain continued from an older event would fork"
            )
