"""Copy one partition: skip it when it is published already, else encode it and publish it, or only encode it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.dataset.publication import Publication
from bronze.dataset.sink import HashingSink, NullSink
from bronze.ingest.encoder import PartitionEncoder
from bronze.ingest.rows import EncodedPartition
from bronze.outcomes import Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.timestamps import rfc3339


@dataclass(frozen=True, slots=True)
class PartitionCopier:
    """Publishes partitions of one lake at one destination."""

    dataset: Dataset
    encoder: PartitionEncoder
    producer: Producer

    def copy(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Make `partition` exist, or find that it does.

        Args:
            files: first ledgers of the names of the lake files it is read from, ascending.

        Raises:
            DataError: something that was read is wrong; nothing is published.
            ConflictError: another partition with other content lies there.
            StoreError, OSError: it may help to try again.
        """
        return self.start(era, partition, files)()

    def start(self, era: Era, partition: Partition, files: Iterable[int]) -> Callable[[], PartitionSummary]:
        """Do the part of `copy` that works; what is returned does the part that waits for the destination.

        That is to be called once, by any thread, whatever the encoder does meanwhile. Both raise what `copy` raises.
        """
        self.encoder.prefetch(partition)  # what it reads comes while the manifest is looked for
        found = self.dataset.find_manifest(era, partition, check_file=not self.dataset.is_remote)
        if found is not None and not era.allow_overwrite:
            self.dataset.ensure_durable(era, partition)
            skipped = self._summary(era, found, self.dataset.links(era, found), Outcome.SKIPPED)
            return lambda: skipped
        with ExitStack() as stack:
            upload = stack.enter_context(
                self.dataset.store.upload(self.dataset.parquet_key(era, partition), caller_hashes=True)
            )
            sink = HashingSink(upload)
            encoded = self.encoder.encode(era, partition, files, sink)
            manifest = self._manifest(era, partition, sink, encoded)
            begun = stack.pop_all()

        def finish() -> PartitionSummary:
            with begun:
                outcome = Publication(dataset=self.dataset, era=era, manifest=manifest, upload=upload).publish()
            return self._summary(era, manifest, encoded.ledgers, outcome, encoded)

        return finish

    def dry_run(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Read, verify and encode `partition` as `copy` would, and write nothing; raises what it raises."""
        sink = HashingSink(NullSink())
        encoded = self.encoder.encode(era, partition, files, sink)
        return self._summary(
            era, self._manifest(era, partition, sink, encoded), encoded.ledgers, Outcome.DRY_RUN, encoded
        )

    def _manifest(self, era: Era, partition: Partition, sink: HashingSink, encoded: EncodedPartition) -> Manifest:
        return Manifest(
            partition=partition,
            network=era.network,
            era_id=era.era_id,
            version_label=era.version_label,
            table=self.dataset.table,
            checksum=sink.checksum,
            row_count=encoded.row_count,
            byte_size=sink.size,
            producer=self.producer,
            created_at=rfc3339(),
            ledgers=encoded.ledgers,
        )

    def _summary(
        self,
        era: Era,
        manifest: Manifest,
        ledgers: LedgerLinks,
        outcome: Outcome,
        encoded: EncodedPartition | None = None,
    ) -> PartitionSummary:
        return PartitionSummary(
            chain=era.chain,
            partition=manifest.partition,
            outcome=outcome,
            first=ledgers.first,
            last=ledgers.last,
            row_count=manifest.row_count,
            byte_size=manifest.byte_size,
            checksum=manifest.checksum,
            previous_hash=ledgers.previous_hash,
            first_hash=ledgers.first_hash,
            last_hash=ledgers.last_hash,
            storage_path=self.dataset.storage_path(era, manifest.partition),
            producer=manifest.producer,
            raw_bytes=encoded.raw_bytes if encoded else 0,
            files=encoded.files if encoded else 0,
        )
