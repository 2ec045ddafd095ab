"""Find what is published below a prefix, knowing nothing but where that is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.path_names import is_plain_segment
from bronze.storage.store import Store, join


@dataclass(frozen=True, slots=True)
class PublishedTable:
    """One era's table, with the era as far as its directories tell.

    Attributes:
        era: begins with its first partition, has no end, and the most frequent partition size.
        partitions: those that have a directory, in ledger order.
    """

    dataset: Dataset
    era: Era
    partitions: tuple[Partition, ...]


def find_tables(store: Store, prefix: str = "") -> list[PublishedTable]:
    """The tables ``network/era_id/version_label/table`` below `prefix` that have at least one partition's directory.

    A listing for each directory of these four levels.
    """
    found = []
    for network in _directories(store, prefix):
        for era_id in _directories(store, join(prefix, network)):
            for label in _directories(store, join(prefix, network, era_id)):
                for table in _directories(store, join(prefix, network, era_id, label)):
                    one = _table(Dataset(store, prefix, table), network, era_id, label)
                    if one is not None:
                        found.append(one)
    return found


def _table(dataset: Dataset, network: str, era_id: str, label: str) -> PublishedTable | None:
    def era(start: int, size: int) -> Era:
        return Era(
            network=network, era_id=era_id, version_label=label, ledger_start=start, ledger_end=0, partition_size=size
        )

    partitions = dataset.list_partitions(era(0, 1))
    if not partitions:
        return None
    size, _ = Counter(map(len, partitions)).most_common(1)[0]
    return PublishedTable(dataset, era(partitions[0].start, size), tuple(partitions))


def _directories(store: Store, prefix: str) -> Iterator[str]:
    for child in store.list_children(prefix):
        if child.is_prefix and is_plain_segment(child.name):
            yield child.name
