"""What one listing of a dataset shows of an era's partitions: published, incomplete, or being replaced.

A partition is published when both of its files are there. One file alone is what a run leaves that was killed between
the two, or what somebody removed: it is never a partition.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from bronze.dataset.dataset import REPLACING_NAME, Dataset
from bronze.dataset.manifest import MANIFEST_NAME, Manifest, parquet_file_name
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, uncovered_ranges


@dataclass(frozen=True, slots=True, kw_only=True)
class DatasetListing:
    """The partitions of `era` by the names in their directories; each tuple is in ledger order.

    Attributes:
        published: both files are there.
        orphans: the parquet file is there, the manifest is not.
        bare: the manifest is there, the parquet file is not.
        replaced: their replacement (`allow_overwrite`) had begun and is not known to be in the chain; they may be in
            any of the other tuples too, or in none.
        empty: neither file is there.
    """

    dataset: Dataset
    era: Era
    published: tuple[Partition, ...]
    orphans: tuple[Partition, ...]
    bare: tuple[Partition, ...]
    replaced: tuple[Partition, ...]
    empty: tuple[Partition, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing of the era is there: no partition, nor a part of one."""
        return not (self.published or self.orphans or self.bare or self.replaced)

    def list_partitions(self, era: Era) -> list[Partition]:
        """The partitions that have a manifest, in ledger order; `era` is the one that was listed."""
        return sorted((*self.published, *self.bare))

    def find_manifest(self, era: Era, partition: Partition) -> Manifest | None:
        """See `Dataset.find_manifest`; does not look for a manifest that was not listed."""
        is_listed = _holds(self.published, partition) or _holds(self.bare, partition)
        return self.dataset.find_manifest(era, partition) if is_listed else None

    def uncovered_ranges(self, next_ledger: int) -> list[Partition]:
        """The ranges of the era's ledgers before `next_ledger` that no published partition covers.

        They come from a checkpoint that was set forward by hand, and stay until it is set back.
        """
        return uncovered_ranges(self.list_partitions(self.era), self.era.ledger_start, next_ledger - 1)


def _holds(partitions: tuple[Partition, ...], wanted: Partition) -> bool:
    """Whether `wanted` is one of `partitions`, which are in ledger order."""
    at = bisect_left(partitions, wanted)
    return at < len(partitions) and partitions[at] == wanted


def list_dataset(dataset: Dataset, era: Era) -> DatasetListing:
    """List the partitions of `era`; one listing, whatever their number (on disks: one for each directory)."""
    kinds: dict[str, list[Partition]] = {kind: [] for kind in ("published", "orphans", "bare", "replaced", "empty")}
    for partition, names in dataset.list_directories(era):
        has_file, has_manifest = parquet_file_name(partition) in names, MANIFEST_NAME in names
        if has_file and has_manifest:
            kinds["published"].append(partition)
        else:
            kinds["orphans" if has_file else "bare" if has_manifest else "empty"].append(partition)
        if REPLACING_NAME in names:
            kinds["replaced"].append(partition)
    return DatasetListing(dataset=dataset, era=era, **{kind: tuple(sorted(found)) for kind, found in kinds.items()})
