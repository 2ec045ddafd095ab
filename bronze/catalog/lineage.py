"""The lineage of a committed partition: what the catalog keeps of it, and what all partitions of a run share."""

from __future__ import annotations

from dataclasses import dataclass

from bronze.dataset.manifest import Manifest, parquet_file_name
from bronze.outcomes import PartitionSummary
from bronze.partitioning.partition import Partition
from bronze.producer import Producer

#: Characters that the columns of the producer hold at most.
PRODUCER_WIDTH = 64


def producer_text(producer: Producer) -> str:
    """A producer as lineage has it, cut off at the column's width.

    >>> producer_text(Producer("bronze-copier", "v1.2.3", "abc123"))
    'bronze-copier@v1.2.3'
    """
    return f"{producer.name}@{producer.version}"[:PRODUCER_WIDTH]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lineage:
    """The catalog's row of a committed partition.

    Attributes:
        row_count: ledgers in it.
        byte_size: bytes of its parquet file.
        checksum: of its parquet file, ``sha256:`` and hex.
        event_hash: hash of its audit event; empty when it has none.
        storage_path: its directory, without the store's prefix.
        storage_uri: its parquet file, in full.
        producer: the program that made the file, as its manifest says.
        source_type: kind of source the ledgers were read from.
        source_location: URL of the lake, without credentials.
    """

    partition: Partition
    row_count: int
    byte_size: int
    checksum: str
    event_hash: str
    storage_path: str
    storage_uri: str
    producer: Producer
    source_type: str
    source_location: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPartition:
    """What the catalog's row of a partition says: to be believed only as far as it matches manifest and event.

    Attributes:
        row_id: grows in the order in which events were recorded.
        event_hash: of its audit event; empty when it has none.
        prev_hash: checksum of the partition that ends before it; empty when there is none.
        producer: name and version of the program that made the file.
    """

    row_id: int
    row_count: int
    byte_size: int
    checksum: str
    event_hash: str
    prev_hash: str
    storage_path: str
    producer: str
    git_sha: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LineageContext:
    """The part of lineage that is the same for every partition of a run.

    Attributes:
        table: the table's name.
        storage_root: URI that storage paths are relative to, with a slash at its end.
        source_type: kind of source the ledgers are read from.
        source_location: URL of the lake, without credentials.
    """

    table: str
    storage_root: str
    source_type: str
    source_location: str

    def uri(self, storage_path: str, partition: Partition) -> str:
        """The partition's parquet file, in full."""
        return f"{self.storage_root}{storage_path}/{parquet_file_name(partition)}"

    def lineage(self, published: PartitionSummary | Manifest, storage_path: str, event_hash: str) -> Lineage:
        """The catalog's row of a published partition, from its summary or its manifest."""
        return Lineage(
            partition=published.partition,
            row_count=published.row_count,
            byte_size=published.byte_size,
            checksum=published.checksum,
            event_hash=event_hash,
            storage_path=storage_path,
            storage_uri=self.uri(storage_path, published.partition),
            producer=published.producer,
            source_type=self.source_type,
            source_location=self.source_location,
        )
