"""Encode one partition and publish it: parquet first, manifest last, each created only if absent.

A partition exists when its manifest does. A parquet file without a manifest is what a dead run left: it
is replaced unless it is the same, never trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest, file_name
from bronze.dataset.parquet import HashingSink, NullSink
from bronze.errors import ConflictError, ObjectExistsError
from bronze.ingest.encoder import EncodedPartition, PartitionEncoder
from bronze.outcomes import Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer
from bronze.storage.store import Upload
from bronze.timestamps import rfc3339


@dataclass(frozen=True, slots=True)
class PartitionCopier:
    """Publishes partitions of one lake at one destination."""

    dataset: Dataset
    encoder: PartitionEncoder
    producer: Producer

    def publish(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Make `partition` exist, or find that it does.

        Args:
            files: first ledgers of the names of the lake files it is read from, ascending.

        Raises:
            DataError: something that was read is wrong; nothing is published.
            ConflictError: another partition with other content lies there.
            StoreError, OSError: it may help to try again.
        """
        return self.begin(era, partition, files)()

    def begin(self, era: Era, partition: Partition, files: Iterable[int]) -> Callable[[], PartitionSummary]:
        """Do the part of `publish` that works; what is returned does the part that waits for the destination.

        That is to be called once, by any thread, whatever the encoder does meanwhile. Both raise what `publish` raises.
        """
        self.encoder.begin(partition)  # what it reads comes while the manifest is looked for
        found = self.dataset.find_manifest(era, partition, file=not self.dataset.is_remote)
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
            # One publisher at a time between the parquet file and its manifest, so that they belong together.
            with begun, self.dataset.store.lock(self.dataset.directory(era, partition)):
                outcome = self._put(era, manifest, upload)
            return self._summary(era, manifest, encoded.ledgers, outcome, encoded)

        return finish

    def dry_run(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Read, verify and encode `partition` as `publish` would, and write nothing; raises what it raises."""
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
            file=file_name(partition),
            checksum=sink.checksum,
            row_count=encoded.row_count,
            byte_size=sink.size,
            producer=self.producer,
            created_at=rfc3339(),
            ledgers=encoded.ledgers,
        )

    def _put(self, era: Era, manifest: Manifest, upload: Upload) -> Outcome:
        dataset, partition = self.dataset, manifest.partition
        # Creating tells as well whether the partition is there; only what may replace it has to know before.
        looks = era.allow_overwrite or not dataset.is_remote
        found = dataset.find_manifest(era, partition) if looks else None
        if found is None:
            try:
                upload.publish(checksum=manifest.checksum)
            except ObjectExistsError:
                found = None if looks else dataset.find_manifest(era, partition)
                if found is None:
                    self._replace_orphan(era, manifest, upload, force=False)
        if found is not None:
            if found.checksum == manifest.checksum:
                dataset.ensure_durable(era, partition)
                return Outcome.UNCHANGED
            self._replace(era, manifest, found, upload)
        manifest_key = dataset.manifest_key(era, partition)
        try:
            dataset.store.create(manifest_key, manifest.to_bytes())
        except ObjectExistsError:  # another copier's, where nothing keeps the two apart
            other = dataset.find_manifest(era, partition)
            if other is None or other.checksum != manifest.checksum:
                raise ConflictError(
                    f"{dataset.object_url(manifest_key)} was created by another copier at the same time with the"
                    f" checksum {other.checksum if other else 'of nothing'}, this one made {manifest.checksum}"
                ) from None
            return Outcome.UNCHANGED
        return Outcome.REPLACED if found is not None else Outcome.WRITTEN

    def _replace(self, era: Era, manifest: Manifest, found: Manifest, upload: Upload) -> None:
        """Put the parquet file where that of the manifest `found` lies, which has other content."""
        dataset, partition = self.dataset, manifest.partition
        if not era.allow_overwrite:
            raise ConflictError(
                f"{dataset.object_url(dataset.parquet_key(era, partition))} was published with the checksum"
                f" {found.checksum}, but the lake gives {manifest.checksum} now: a copier of another version, or a"
                " lake that changed; set allow_overwrite to replace it"
            )
        # Without its manifest the partition does not exist while its file changes.
        dataset.store.delete(dataset.manifest_key(era, partition))
        try:
            upload.publish(checksum=manifest.checksum)
        except ObjectExistsError:
            self._replace_orphan(era, manifest, upload, force=True)

    def _replace_orphan(self, era: Era, manifest: Manifest, upload: Upload, *, force: bool) -> None:
        """Put the parquet file where one without a manifest lies; `force`: that one is to be replaced."""
        dataset = self.dataset
        key = dataset.parquet_key(era, manifest.partition)
        there = dataset.checksum(key)
        if there == manifest.checksum:
            return
        if not (force or dataset.store.supports_locking):
            # It may be another copier's, about to create its manifest: nothing keeps the two apart.
            raise ConflictError(
                f"{dataset.object_url(key)} has the checksum {there} and no manifest, but the lake gives"
                f" {manifest.checksum}: another version's copier is at work, or died. When none is, remove the file"
            )
        upload.publish(replace=True, checksum=manifest.checksum)

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
            start=manifest.partition.start,
            end=manifest.partition.end,
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
            raw_bytes=encoded.raw_bytes if encoded else 0,
            files=encoded.files if encoded else 0,
            producer=f"{manifest.producer.name}@{manifest.producer.version}",
            git_sha=manifest.producer.git_sha,
        )
