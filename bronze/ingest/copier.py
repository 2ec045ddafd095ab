"""Copy one partition: skip it when it exists, else encode and publish it, or, for a dry run, only encode it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, MadeWith, Manifest
from bronze.dataset.neighbours import check_published_neighbours
from bronze.dataset.publication import Publication
from bronze.dataset.sink import HashingSink, NullSink
from bronze.errors import ConflictError, StoreError
from bronze.ingest.encoder import PartitionEncoder
from bronze.ingest.renewal import Renewal, check_same_content, describe_objects
from bronze.ingest.rows import EncodedPartition
from bronze.measurements import STORAGE_ERROR, UPLOAD, report
from bronze.outcomes import Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.producer import Producer, pyarrow_version
from bronze.timestamps import rfc3339
from bronze.xdr.table import STELLAR_SDK


@dataclass(frozen=True, slots=True)
class PartitionCopier:
    """Copies partitions of one lake into one dataset.

    Attributes:
        encoder: encodes one partition at a time, so each thread needs a copier of its own.
        producer: recorded in every manifest.
        committed: by chain and partition, the checksum that the chain states (empty when it states none), of partitions
            that are in the chain but not in the dataset: they are published with that content only, unless
            `Era.allow_overwrite`.
        again: by chain and partition, the checksum that is stated of partitions that are to be made anew, whether they
            are published or not; they are published with that content only.
        eras: the eras of the run: what is published of them is compared with a partition beside it.
    """

    dataset: Dataset
    encoder: PartitionEncoder
    producer: Producer
    committed: Mapping[tuple[str, Partition], str] = field(default_factory=dict)
    again: Mapping[tuple[str, Partition], str] = field(default_factory=dict)
    eras: tuple[Era, ...] = ()

    def copy(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Make `partition` exist in the dataset, or find that it does.

        Args:
            files: first ledgers of the names of the lake files that hold it, ascending.

        Raises:
            DataError: a lake file or a ledger is not what it has to be; nothing is published.
            VerificationError: it does not link to a published partition right before or behind it.
            ConflictError: the partition exists with other content, or is in the chain with other content.
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
        is_again = (era.chain, partition) in self.again
        found = None if is_again else self._find_manifest(era, partition)
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
            is_correction = self._is_correction(era, manifest)
            open_upload = stack.pop_all()

        def finish() -> PartitionSummary:
            with open_upload, _measured_upload():
                if is_again:
                    renewal = Renewal(dataset=self.dataset, era=era, manifest=manifest, upload=upload)
                    outcome = renewal.publish()
                else:
                    if not era.allow_overwrite:  # what follows is overwritten later, and may differ until then
                        check_published_neighbours(self.dataset, self.eras or (era,), era, partition, encoded.ledgers)
                    outcome = Publication(
                        dataset=self.dataset, era=era, manifest=manifest, upload=upload, is_correction=is_correction
                    ).publish()
            # The same bytes may have been published by another program: the manifest that is there counts.
            is_found = is_again or outcome is Outcome.UNCHANGED
            found = self.dataset.find_manifest(era, partition) if is_found else None
            return self._summary(era, found or manifest, encoded.ledgers, outcome, encoded)

        return finish

    def dry_run(self, era: Era, partition: Partition, files: Iterable[int]) -> PartitionSummary:
        """Read, verify and encode `partition` as `copy` would, but write nothing. Raises as `copy`."""
        sink = HashingSink(NullSink())
        encoded = self.encoder.encode(era, partition, files, sink)
        manifest = self._manifest(era, partition, sink, encoded)
        self._is_correction(era, manifest)
        return self._summary(era, manifest, encoded.ledgers, Outcome.DRY_RUN, encoded)

    def _find_manifest(self, era: Era, partition: Partition) -> Manifest | None:
        """The manifest of the published partition; None when it is to be encoded."""
        if (era.chain, partition) not in self.committed:
            return self.dataset.find_manifest(era, partition, check_file=not self.dataset.is_remote)
        found = self.dataset.find_manifest(era, partition, check_file=False)
        return found if found is not None and self.dataset.has_file(era, partition) else None

    def _is_correction(self, era: Era, manifest: Manifest) -> bool:
        """Whether the chain states another checksum of the partition. Raises `ConflictError` where it must not."""
        stated = self.again.get((era.chain, manifest.partition))
        if stated is not None:
            objects = describe_objects(self.encoder.lake, manifest.partition)
            check_same_content(self.dataset, era, manifest, stated, objects)
            return False
        committed = self.committed.get((era.chain, manifest.partition), "")
        if committed in ("", manifest.checksum):
            return False
        if not era.allow_overwrite:
            directory = self.dataset.object_url(self.dataset.directory(era, manifest.partition))
            raise ConflictError(
                f"{directory} is missing and cannot be made again: it was committed with the checksum {committed}, but"
                f" the lake gives {manifest.checksum} now: a copier of another version or with other settings, or a"
                " lake that changed. Restore the directory, or set allow_overwrite to publish what the lake gives now"
                " and have the correction recorded in the chain"
            )
        return True

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
            authenticity=encoded.authenticity,
            made_with=MadeWith(
                pyarrow=pyarrow_version(), reader_table=STELLAR_SDK, verification=self.encoder.verify.value
            ),
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
            authenticity=manifest.authenticity,
            raw_bytes=encoded.raw_bytes if encoded else 0,
            files=encoded.files if encoded else 0,
        )


@contextmanager
def _measured_upload() -> Iterator[None]:
    """Measure how long the block takes to publish, or count that it could not."""
    started = time.perf_counter()
    try:
        yield
    except (StoreError, OSError):
        report(STORAGE_ERROR)
        raise
    report(UPLOAD, time.perf_counter() - started)
