"""A dataset: the published partitions of one table below a prefix of a store, with their keys and manifests.

Every partition is a directory with one parquet file and one manifest:

>>> from bronze.storage.local import LocalStore
>>> dataset = Dataset(LocalStore("/data"), "bronze", "ledgers_lcm_raw")
>>> era = Era(era_id="e1", version_label="v1", network="pubnet", ledger_start=2, ledger_end=0, partition_size=10)
>>> dataset.parquet_key(era, Partition(2, 11))
'bronze/pubnet/e1/v1/ledgers_lcm_raw/range=2-11/part-2-11.parquet'
>>> dataset.manifest_key(era, Partition(2, 11))
'bronze/pubnet/e1/v1/ledgers_lcm_raw/range=2-11/_manifest.json'
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass

from bronze.dataset.manifest import (
    MANIFEST_NAME,
    MAX_MANIFEST_BYTES,
    LedgerLinks,
    Manifest,
    parquet_file_name,
    parse_manifest,
)
from bronze.errors import ObjectExistsError, ObjectNotFoundError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.json_object import read_json_object
from bronze.storage.store import Store, join
from bronze.waiting import stop_if_asked

#: In a partition's directory from before its replacement begins until its correction is in the chain.
REPLACING_NAME = "_replacing.json"

_CHUNK_BYTES = 1 << 20
_RANGE = re.compile(r"range=(0|[1-9][0-9]{0,9})-(0|[1-9][0-9]{0,9})")


@dataclass(frozen=True, slots=True)
class Dataset:
    """The published partitions of all eras.

    Attributes:
        prefix: key prefix of everything in the dataset; may be empty.
        table: name of the table.
    """

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
        """The partition's directory: the key prefix of everything in it."""
        return join(self.prefix, self.storage_path(era, partition))

    def parquet_key(self, era: Era, partition: Partition) -> str:
        """Key of the partition's parquet file."""
        return join(self.directory(era, partition), parquet_file_name(partition))

    def manifest_key(self, era: Era, partition: Partition) -> str:
        """Key of the partition's manifest."""
        return join(self.directory(era, partition), MANIFEST_NAME)

    def replacing_key(self, era: Era, partition: Partition) -> str:
        """Key of the mark that the partition is being replaced."""
        return join(self.directory(era, partition), REPLACING_NAME)

    def object_url(self, key: str) -> str:
        """The object's address for messages."""
        return f"{self.store.url}/{key}"

    def list_partitions(self, era: Era) -> list[Partition]:
        """The partitions of the era that have a directory, published or not, in ledger order; one listing."""
        children = self.store.list_children(join(self.prefix, era.chain, self.table))
        found = [parse_range(child.name) for child in children if child.is_prefix]
        return sorted(partition for partition in found if partition)

    def list_directories(self, era: Era) -> Iterator[tuple[Partition, frozenset[str]]]:
        """Each partition of the era that has a directory, with the names of the objects in it; in any order."""
        for name, names in self.store.list_directories(join(self.prefix, era.chain, self.table)):
            if partition := parse_range(name):
                yield partition, names

    def find_manifest(self, era: Era, partition: Partition, *, check_file: bool = True) -> Manifest | None:
        """The manifest of the partition, or None when the partition is not published.

        Args:
            check_file: compare the size of the parquet file too, which costs one more request on object stores.

        Raises:
            StateError: the manifest is unusable, describes another partition or fewer rows than the partition has
                ledgers; or the parquet file is missing or has another size.
        """
        key = self.manifest_key(era, partition)
        parse = functools.partial(parse_manifest, table=self.table)
        try:
            manifest = read_json_object(self.store, key, MAX_MANIFEST_BYTES, parse, kind="manifest")
        except ObjectNotFoundError:
            return None
        described = (manifest.network, manifest.era_id, manifest.version_label, manifest.partition)
        expected = (era.network, era.era_id, era.version_label, partition)
        if described != expected:
            raise StateError(
                f"manifest {self.object_url(key)} describes {_words(described)}, expected {_words(expected)}"
            )
        if manifest.row_count != partition.ledger_count:
            raise StateError(
                f"manifest {self.object_url(key)} describes an incomplete partition: it says {manifest.row_count} rows,"
                f" {partition} has {partition.ledger_count} ledgers. Remove the manifest to have the partition made"
                " again"
            )
        if check_file:
            self._check_file(era, manifest)
        return manifest

    def has_file(self, era: Era, partition: Partition) -> bool:
        """Whether the partition's parquet file is there."""
        return self.store.size(self.parquet_key(era, partition)) is not None

    def remove_orphan(self, era: Era, partition: Partition) -> bool:
        """Remove the parquet file of the partition unless it has a manifest; return whether that was so."""
        with self.store.lock(self.directory(era, partition)):  # who publishes it holds the lock up to the manifest
            if self.store.size(self.manifest_key(era, partition)) is not None:
                return False
            self.store.delete(self.parquet_key(era, partition))
            return True

    def mark_replacing(self, era: Era, partition: Partition) -> None:
        """Mark that the partition is being replaced: until its correction is in the chain, the two contradict."""
        with suppress(ObjectExistsError):
            self.store.create(self.replacing_key(era, partition), b"{}\n")

    def unmark_replacing(self, era: Era, partition: Partition) -> None:
        """Remove the mark of `mark_replacing`; nothing happens when there is none."""
        self.store.delete(self.replacing_key(era, partition))

    def _check_file(self, era: Era, manifest: Manifest) -> None:
        parquet = self.object_url(self.parquet_key(era, manifest.partition))
        size = self.store.size(self.parquet_key(era, manifest.partition))
        if size is None:
            raise StateError(
                f"manifest {self.object_url(self.manifest_key(era, manifest.partition))} stands without its parquet"
                f" file {parquet}: restore the file, or make it again: {again_command(manifest.partition)}"
            )
        if size != manifest.byte_size:
            raise StateError(
                f"{parquet} has {size} bytes, its manifest says {manifest.byte_size}: restore the file, or make it"
                f" again: {again_command(manifest.partition)}"
            )

    def links(self, era: Era, manifest: Manifest) -> LedgerLinks:
        """What links the published partition that `manifest` describes to its neighbours.

        Where the manifest does not say it (the older copier's), it is read from the parquet file.

        Raises:
            StateError: the parquet file cannot be read, or holds other ledgers than its partition.
        """
        if manifest.ledgers is not None:
            return manifest.ledgers
        from bronze.dataset.parquet import read_ledger_links  # pyarrow loads slowly, and new manifests need none

        partition, key = manifest.partition, self.parquet_key(era, manifest.partition)
        try:
            with closing(self.store.open_read(key)) as file:
                links = read_ledger_links(file)
        except (ObjectNotFoundError, OSError, ValueError) as error:
            raise StateError(f"{self.object_url(key)} cannot be read to link its partition: {error}") from error
        if (links.first, links.last) != (partition.first_ledger, partition.end):
            raise StateError(
                f"{self.object_url(key)} begins with ledger {links.first} and ends with ledger {links.last}, but its"
                f" partition is {partition}: restore the file, or make it again: {again_command(partition)}"
            )
        return links

    def find_links(self, era: Era, partition: Partition) -> LedgerLinks | None:
        """What links the partition to its neighbours, or None when it has no manifest.

        Raises:
            StateError: as `find_manifest` without `check_file`, and as `links`.
        """
        manifest = self.find_manifest(era, partition, check_file=False)
        return None if manifest is None else self.links(era, manifest)

    def compression(self, era: Era, partition: Partition) -> str:
        """The compression of a published parquet file, as the settings call it, or else as Parquet does.

        Raises:
            StateError: the parquet file cannot be read.
        """
        from bronze.dataset.parquet import read_compression  # pyarrow loads slowly

        key = self.parquet_key(era, partition)
        try:
            with closing(self.store.open_read(key)) as file:
                found = read_compression(file)
        except (ObjectNotFoundError, OSError, ValueError) as error:
            raise StateError(f"{self.object_url(key)} cannot be read: {error}: {again_command(partition)}") from error
        return "none" if found == "uncompressed" else found

    def ensure_durable(self, era: Era, partition: Partition) -> None:
        """Make a partition that was found published durable: its writer may have crashed before that was certain."""
        self.store.ensure_durable(self.manifest_key(era, partition))

    def checksum(self, key: str, *, may_stop: bool = False) -> str:
        """``sha256:`` and the hex digest of the object's bytes, which are read in chunks.

        Args:
            may_stop: give up when this process is asked to stop.

        Raises:
            ObjectNotFoundError: there is no such object.
            RunStoppedError: it was asked to stop.
        """
        digest = hashlib.sha256()
        with closing(self.store.open_read(key)) as file:
            while chunk := file.read(_CHUNK_BYTES):
                if may_stop:
                    stop_if_asked(f"reading {self.object_url(key)}")
                digest.update(chunk)
        return f"sha256:{digest.hexdigest()}"


def again_command(partition: Partition) -> str:
    """The command that makes a damaged or missing partition anew, for messages."""
    return f"bronze-copier run --partition {partition} --again"


def parse_range(name: str) -> Partition | None:
    """The partition whose directory is called `name`; None when no partition's is."""
    match = _RANGE.fullmatch(name)
    return Partition(int(match[1]), int(match[2])) if match and int(match[1]) <= int(match[2]) else None


def _words(identity: tuple[str, str, str, Partition]) -> str:
    network, era_id, version_label, partition = identity
    return f"{network}/{era_id}/{version_label} {partition}"
