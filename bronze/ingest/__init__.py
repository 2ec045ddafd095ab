"""Copy partitions: lake files in, a verified and published parquet partition out.

What lives here works on one partition at a time. What is copied and in which order (`bronze.partitioning`,
`transforms`), how a partition is published (`bronze.dataset`) and committed (`bronze.commit`) does not live here.

Begin at `PartitionCopier.copy`. `encoder` reads, verifies and links the ledgers of a partition, `decoder` decodes lake
files, `rows` makes row groups of their ledgers.
"""

from bronze.ingest.copier import PartitionCopier
from bronze.ingest.encoder import PartitionEncoder
from bronze.ingest.rows import EncodedPartition

__all__ = ["EncodedPartition", "PartitionCopier", "PartitionEncoder"]
