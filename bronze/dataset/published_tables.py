"""Find what is published below a prefix, knowing nothing but where that is, and read single ledgers of it.

In a notebook (docs/verifying.md):

>>> (table,) = open_tables(url)
>>> [str(partition) for partition in table.partitions]
['2-11', '12-21', '22-31', '32-41', '42-51', '52-61']
>>> table.manifest(table.partitions[0]).row_count
10
>>> table.read_ledger(17)[:4].hex()  # which version of LedgerCloseMeta it is: 0
'00000000'
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import Manifest
from bronze.errors import ObjectNotFoundError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.path_names import is_plain_segment
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
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

    def partition_of(self, ledger: int) -> Partition | None:
        """The partition whose range holds `ledger`, or None."""
        return next((one for one in self.partitions if one.start <= ledger <= one.end), None)

    def manifest(self, partition: Partition) -> Manifest | None:
        """The manifest of a partition, or None where it is not published. Raises `StateError` when it is unusable."""
        return self.dataset.find_manifest(self.era, partition, check_file=False)

    def read_ledger(self, ledger: int) -> bytes:
        """The close meta of `ledger` as it is published: raw XDR. A few range requests on object stores.

        Raises:
            ObjectNotFoundError: no partition holds it, or its file is missing.
            StateError: the file is damaged, or has no row of the ledger though its name says so.
            OSError, StoreError: it cannot be read.
        """
        from bronze.dataset.ledger_reader import read_ledger  # pyarrow loads slowly

        partition = self.partition_of(ledger)
        if partition is None:
            raise ObjectNotFoundError(f"no partition of {self.era.chain} holds ledger {ledger}")
        key = self.dataset.parquet_key(self.era, partition)
        try:
            with closing(self.dataset.store.open_read(key)) as file:
                found = read_ledger(file, ledger)
        except ValueError as error:
            raise StateError(f"{self.dataset.object_url(key)} cannot be read: {error}") from error
        if found is None:
            raise StateError(f"{self.dataset.object_url(key)} has no row of ledger {ledger}")
        return found


def open_tables(url: str) -> list[PublishedTable]:
    """The tables below `url`: the absolute path, ``s3://`` or ``gs://`` URL of a bronze prefix.

    Raises:
        ConfigError: it is none of these.
        StoreError: it cannot be listed.
    """
    return find_tables(open_store(StorageLocation(url)))


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
