"""Make a published partition anew, with the content that is stated of it: mends damaged files and changes nothing else.

The file is replaced in one step by one with the stated bytes, and a manifest that is right stays as it is. So a run
that dies on the way leaves either what was there or the mended partition; where the manifest is replaced too, a
partition without a manifest, which every run makes again.
"""

from __future__ import annotations

from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import Manifest
from bronze.errors import BronzeError, ConflictError, StateError
from bronze.lake.lake import Lake
from bronze.outcomes import Outcome
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.store import Upload


def describe_objects(lake: Lake, partition: Partition) -> str:
    """The addresses of the lake objects that hold the partition, for messages: the first one and the last one."""
    starts = lake.file_starts(partition.start, partition.end)
    first, last = (lake.describe_found(lake.key(start)) for start in (starts[0], starts[-1]))
    return f"object {first}" if first == last else f"{len(starts)} objects, {first} to {last}"


def check_same_content(dataset: Dataset, era: Era, manifest: Manifest, stated: str, objects: str) -> None:
    """Check that a partition that was encoded again has the checksum that is stated of it.

    Args:
        manifest: of the partition as it was encoded now.
        stated: the checksum in the partition's event, or in its manifest where it has no event.
        objects: the lake objects that it was encoded from, for the message.

    Raises:
        ConflictError: it has another one; nothing was replaced.
    """
    if manifest.checksum == stated:
        return
    directory = dataset.object_url(dataset.directory(era, manifest.partition))
    raise ConflictError(
        f"{directory} cannot be made again: it was published with the checksum {stated}, but the lake gives"
        f" {manifest.checksum} now ({objects}): a copier of another version or with other settings, or a lake that"
        " changed. Nothing was replaced. Restore the directory from a backup, or set allow_overwrite to publish what"
        " the lake gives now and have the correction recorded in the chain"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """A partition that was encoded again with the content that is stated of it, ready to be published.

    Attributes:
        manifest: describes the partition; written only where the published one is missing or wrong.
        upload: holds all bytes of the parquet file, under the key that `dataset` gives it. Its owner closes it.
    """

    dataset: Dataset
    era: Era
    manifest: Manifest
    upload: Upload

    def publish(self) -> Outcome:
        """Replace what is missing or damaged of the published partition.

        Returns:
            UNCHANGED when nothing was.

        Raises:
            StoreError, OSError: the store could not do it; a transient one may be retried with a new upload.
        """
        dataset, era, partition = self.dataset, self.era, self.manifest.partition
        with dataset.store.lock(dataset.directory(era, partition)):
            outcome = Outcome.UNCHANGED
            if not self._is_file_good():
                self.upload.publish(replace=True, checksum=self.manifest.checksum)
                outcome = Outcome.WRITTEN
            if not self._is_manifest_good():
                dataset.store.delete(dataset.manifest_key(era, partition))
                dataset.store.create(dataset.manifest_key(era, partition), self.manifest.to_bytes())
                outcome = Outcome.WRITTEN
            dataset.ensure_durable(era, partition)
        return outcome

    def _is_file_good(self) -> bool:
        try:
            return self.dataset.checksum(self.dataset.parquet_key(self.era, self.manifest.partition)) == (
                self.manifest.checksum
            )
        except (BronzeError, OSError):  # missing, or it cannot be read: it is replaced by its own content
            return False

    def _is_manifest_good(self) -> bool:
        made = self.manifest
        try:
            found = self.dataset.find_manifest(self.era, made.partition, check_file=False)
        except StateError:
            return False
        return (
            found is not None
            and (found.checksum, found.byte_size, found.row_count) == (made.checksum, made.byte_size, made.row_count)
            and found.ledgers in (None, made.ledgers)
        )
