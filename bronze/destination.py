"""Where partitions go: keys of parquet files and manifests below a store's root.

``{prefix}/{network}/{era_id}/{version_label}/{table}/range={start}-{end}/part-{start}-{end}.parquet``
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from bronze import manifest as manifests
from bronze.eras import Era
from bronze.errors import ObjectMissing, StateError
from bronze.grid import Partition
from bronze.lake_keys import FIRST_LEDGER
from bronze.manifest import Manifest, parse_manifest
from bronze.store import Store, join

_CHUNK = 1 << 20
_RANGE = re.compile(r"range=(\d{1,10})-(\d{1,10})")


@dataclass(frozen=True, slots=True)
class Destination:
    """A store, the prefix in it and the table's name."""

    store: Store
    prefix: str
    table: str

    @property
    def is_remote(self) -> bool:
        """Whether each step of publishing costs a request to another machine."""
        return not self.store.excludes

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

    def describe(self, key: str) -> str:
        """The object as people look for it."""
        return f"{self.store.url}/{key}"

    def published(self, era: Era, partition: Partition, *, file: bool = True) -> Manifest | None:
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
        except ObjectMissing:
            return None
        found = parse_manifest(data, self.describe(key), self.table)
        stated = (found.network, found.era_id, found.version_label, found.partition)
        expected = (era.network, era.era_id, era.version_label, partition)
        if stated != expected:
            raise StateError(f"manifest {self.describe(key)} is of {_words(stated)}, expected {_words(expected)}")
        rows = partition.end - max(partition.start, FIRST_LEDGER) + 1
        if found.row_count != rows:
            raise StateError(
                f"manifest {self.describe(key)} is of a short partition: it says {found.row_count} rows, {partition}"
                f" has {rows} ledgers. Remove the manifest to have the partition made again"
            )
        if not file:
            return found
        parquet = self.parquet_key(era, partition)
        size = self.store.size(parquet)
        if size is None:
            raise StateError(
                f"manifest {self.describe(key)} stands without its parquet file {self.describe(parquet)}: restore the"
                " file, or remove the manifest to have the partition made again"
            )
        if size != found.byte_size:
            raise StateError(
                f"{self.describe(parquet)} has {size} bytes, its manifest says {found.byte_size}: restore the file, or"
                " remove the manifest to have the partition made again"
            )
        return found

    def settle(self, era: Era, partition: Partition) -> None:
        """Make sure that a partition that was found published stays so."""
        self.store.settle(self.manifest_key(era, partition))

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

    def ranges(self, era: Era) -> list[Partition]:
        """The partitions of the era that have a directory, published or not, in ledger order; one listing."""
        found = []
        for entry in self.store.children(join(self.prefix, era.chain, self.table)):
            match = _RANGE.fullmatch(entry.name) if entry.is_prefix else None
            if match and int(match[1]) <= int(match[2]):
                found.append(Partition(int(match[1]), int(match[2])))
        return sorted(found)


def _words(identity: tuple[str, str, str, Partition]) -> str:
    network, era_id, version_label, partition = identity
    return f"{network}/{era_id}/{version_label} {partition}"
