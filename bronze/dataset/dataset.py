"""Where partitions go: keys of parquet files and manifests below a store's root.

``{prefix}/{network}/{era_id}/{version_label}/{table}/range={start}-{end}/part-{start}-{end}.parquet``
"""

from __future__ import annotations

import hashlib
import re
from contextlib import closing
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from bronze.dataset import manifest as manifests
from bronze.dataset.manifest import LedgerLinks, Manifest, parse_ledgers, parse_manifest
from bronze.errors import ObjectNotFoundError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, uncovered_ranges
from bronze.storage.store import Store, join

_CHUNK = 1 << 20
#: Columns of the parquet file that link a partition to its neighbours.
_LINKING = ["ledger_sequence", "ledger_hash", "previous_ledger_hash"]
_RANGE = re.compile(r"range=(\d{1,10})-(\d{1,10})")


@dataclass(frozen=True, slots=True)
class Dataset:
    """A store, the prefix in it and the table's name."""

    store: Store
    prefix: str
    table: str

    @property
    def is_remote(self) -> bool:
        """Whether each step of publishing costs a request to another machine."""
        return self.store.is_remote

    def storage_path(self, era: Era, partition: Partition) -> str:
        """The partition's directory as events name it: without the prefix."""
        return join(era.chain, self.table, f"range={partition}")

    def directory(self, era: Era, partition: Partition) -> str:
        """Key prefix of everything of the partition."""
        return join(self.prefix, self.storage_path(era, partition))

    def parquet_key(self, era: Era, partition: Partition) -> str:
        """Key of the partition's parquet file."""
        return join(self.directory(era, partition), manifests.file_name(partition))

    def manifest_key(self, era: Era, partition: Partition) -> str:
        """Key of the partition's manifest."""
        return join(self.directory(era, partition), manifests.NAME)

    def object_url(self, key: str) -> str:
        """The object as people look for it."""
        return f"{self.store.url}/{key}"

    def find_manifest(self, era: Era, partition: Partition, *, file: bool = True) -> Manifest | None:
        """The manifest of the partition, or None when it is not published.

        Args:
            file: look at the size of its parquet file too, which on object stores is a request more.

        Raises:
            StateError: the manifest is of another partition or a short one, or its parquet file is missing
                or has another size.
        """
        key = self.manifest_key(era, partition)
        try:
            data = self.store.read(key)
        except ObjectNotFoundError:
            return None
        found = parse_manifest(data, self.object_url(key), self.table)
        stated = (found.network, found.era_id, found.version_label, found.partition)
        expected = (era.network, era.era_id, era.version_label, partition)
        if stated != expected:
            raise StateError(f"manifest {self.object_url(key)} is of {_words(stated)}, expected {_words(expected)}")
        rows = partition.ledger_count
        if found.row_count != rows:
            raise StateError(
                f"manifest {self.object_url(key)} is of a short partition: it says {found.row_count} rows, {partition}"
                f" has {rows} ledgers. Remove the manifest to have the partition made again"
            )
        if not file:
            return found
        parquet = self.parquet_key(era, partition)
        size = self.store.size(parquet)
        if size is None:
            raise StateError(
                f"manifest {self.object_url(key)} stands without its parquet file {self.object_url(parquet)}: restore"
                " the file, or remove the manifest to have the partition made again"
            )
        if size != found.byte_size:
            raise StateError(
                f"{self.object_url(parquet)} has {size} bytes, its manifest says {found.byte_size}: restore the file,"
                " or remove the manifest to have the partition made again"
            )
        return found

    def links(self, era: Era, manifest: Manifest) -> LedgerLinks:
        """What links the published partition of `manifest` to its neighbours.

        The older copier's manifests do not say: it is read from the first and last row of the parquet file.

        Raises:
            StateError: the parquet file cannot be read, or holds other ledgers than its partition.
        """
        if manifest.ledgers is not None:
            return manifest.ledgers
        partition, key = manifest.partition, self.parquet_key(era, manifest.partition)
        try:
            # pyarrow leaves a file that it was handed open.
            with closing(self.store.open_read(key)) as source, pq.ParquetFile(source) as file:
                first = file.read_row_group(0, columns=_LINKING).slice(length=1).to_pylist()[0]
                last = file.read_row_group(file.metadata.num_row_groups - 1, columns=_LINKING).to_pylist()[-1]
            found = parse_ledgers(
                {
                    "first": first["ledger_sequence"],
                    "last": last["ledger_sequence"],
                    "previous_hash": first["previous_ledger_hash"],
                    "first_hash": first["ledger_hash"],
                    "last_hash": last["ledger_hash"],
                }
            )
        except (pa.ArrowException, ObjectNotFoundError, OSError, ValueError, TypeError, IndexError, KeyError) as error:
            raise StateError(f"{self.object_url(key)} cannot be read to link its partition: {error}") from error
        if (found.first, found.last) != (partition.first_ledger, partition.end):
            raise StateError(
                f"{self.object_url(key)} begins with ledger {found.first} and ends with ledger {found.last}, but its"
                f" partition is {partition}: restore the file, or remove the manifest to have the partition made again"
            )
        return found

    def ensure_durable(self, era: Era, partition: Partition) -> None:
        """Make sure that a partition that was found published stays so."""
        self.store.ensure_durable(self.manifest_key(era, partition))

    def checksum(self, key: str) -> str:
        """``sha256:`` and the hex digest of the object's bytes, read a piece at a time."""
        digest = hashlib.sha256()
        file = self.store.open_read(key)
        try:
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
        finally:
            file.close()
        return f"sha256:{digest.hexdigest()}"

    def uncovered_ranges(self, era: Era, next_ledger: int) -> list[Partition]:
        """The ranges of the era's ledgers before `next_ledger` that no published partition covers; one listing.

        They come from a checkpoint that was set forward by hand, and stay until it is set back.
        """
        published = [
            partition
            for partition in self.list_partitions(era)
            if partition.start < next_ledger and self.store.size(self.manifest_key(era, partition)) is not None
        ]
        return uncovered_ranges(published, era.ledger_start, next_ledger - 1)

    def list_partitions(self, era: Era) -> list[Partition]:
        """The partitions of the era that have a directory, published or not, in ledger order; one listing."""
        found = []
        for entry in self.store.list_children(join(self.prefix, era.chain, self.table)):
            match = _RANGE.fullmatch(entry.name) if entry.is_prefix else None
            if match and int(match[1]) <= int(match[2]):
                found.append(Partition(int(match[1]), int(match[2])))
        return sorted(found)


def _words(identity: tuple[str, str, str, Partition]) -> str:
    network, era_id, version_label, partition = identity
    return f"{network}/{era_id}/{version_label} {partition}"
