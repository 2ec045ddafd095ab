"""Copy one partition: skip it when it exists, else encode and publish it, or, for a dry run, only encode it."""

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
    """Copies partitions of one lake into one dataset.

    Attributes:
        encoder: encodes one partition at a time, so each thread needs a copier of its own.
        producer: recorded in every manifest.
    """

    dataset: Dataset
    encoder: PartitionEncoder
    producer: Producer

    def copy(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Make `partition` exist in the dataset, or find that it does.

        Args:
            files: first ledgers of the names of the lake files that hold it, ascending.

        Raises:
            DataError: a lake file or a ledger is not what it has to be; nothing is published.
            ConflictError: the partition exists with other content.
            RunStoppedError: the run was asked to stop.
            StoreError, OSError: the lake or the dataset failed; `bronze.errors.is_transient` tells whether to retry.
        """
        return self.start(era, partition, files)()

    def start(self, era: Era, partition: Partition, files: Iterable[int]) -> Callable[[], PartitionSummary]:
        """Encode `partition`, or find that it exists; return a function that publishes it.

        That function waits for the dataset and needs the encoder no longer: call it once, from any thread, while the
        next partition is encoded. Both raise as `copy`.
        """
        self.encoder.prefetch(partition)  # the lake answers while the manifest is looked up
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
            open_upload = stack.pop_all()

        def finish() -> PartitionSummary:
            with open_upload:
                outcome = Publication(dataset=self.dataset, era=era, manifest=manifest, upload=upload).publish()
            # The same bytes may have been published by another program: the manifest that is there counts.
            found = self.dataset.find_manifest(era, partition) if outcome is Outcome.UNCHANGED else None
            return self._summary(era, found or manifest, encoded.ledgers, outcome, encoded)

        return finish

    def dry_run(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Read, verify and encode `partition` as `copy` would, but write nothing. Raises as `copy`."""
        sink = HashingSink(NullSink())
        encoded = self.encoder.encode(era, partition, files, sink)
        return self._summary(
            era, self._manifest(era, partition, sink, encoded), encoded.ledgers, Outcome.DRY_RUN, encoded
        )

    def close(self) -> None:
        """End the threads that read and decode ahead."""
        self.encoder.close()

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
