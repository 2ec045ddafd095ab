"""The rules by which a partition is published: create only, replace only what may be replaced, report conflicts.

The parquet file comes first and the manifest last: a partition exists when its manifest does. A parquet file without
a manifest is an orphan that a crashed run left behind; it is kept when its bytes are the same, and never trusted.

A replacement leaves a mark in the partition's directory before it changes anything. The mark goes when the correction
is in the chain (`bronze.commit.existence`), so whatever a run that died in between left is seen by every later run.
"""

from __future__ import annotations

from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import Manifest
from bronze.errors import ConflictError, ObjectExistsError
from bronze.outcomes import Outcome
from bronze.partitioning.era import Era
from bronze.storage.store import Upload


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    """An encoded partition that is ready to be published.

    Attributes:
        manifest: describes the partition; not written yet.
        upload: holds all bytes of the parquet file, under the key that `dataset` gives it. Its owner closes it.
        is_correction: whether the chain says that the partition has other content, which this one replaces.
    """

    dataset: Dataset
    era: Era
    manifest: Manifest
    upload: Upload
    is_correction: bool = False

    def publish(self) -> Outcome:
        """Make the partition exist with this content, or find that it does.

        Raises:
            ConflictError: the partition was published with other content and must not be replaced, or another copier
                is publishing other content at the same time.
            StateError: the manifest found at the partition's key cannot be used.
            StoreError, OSError: the store could not do it; a transient one may be retried with a new upload.
        """
        # One publisher at a time between the parquet file and its manifest, so that they belong together.
        with self.dataset.store.lock(self.dataset.directory(self.era, self.manifest.partition)):
            return self._publish()

    def _publish(self) -> Outcome:
        dataset, era, manifest = self.dataset, self.era, self.manifest
        # Creating the file shows as well whether the partition exists; only a replacement has to know it before.
        looks_first = era.allow_overwrite or not dataset.is_remote
        found = self._find_published() if looks_first else None
        if self.is_correction:
            dataset.mark_replacing(era, manifest.partition)
        if found is None:
            try:
                self.upload.publish(checksum=manifest.checksum)
            except ObjectExistsError:
                found = None if looks_first else dataset.find_manifest(era, manifest.partition)
                if found is None:
                    self._replace_orphan(force=False)
        if found is not None:
            if found.checksum == manifest.checksum:
                dataset.ensure_durable(era, manifest.partition)
                return Outcome.UNCHANGED
            self._replace(found)
        if not self._create_manifest():
            return Outcome.UNCHANGED
        return Outcome.WRITTEN if found is None else Outcome.REPLACED

    def _find_published(self) -> Manifest | None:
        """The manifest of the published partition; None when it is not published or lost a file like this one."""
        dataset, era, partition = self.dataset, self.era, self.manifest.partition
        found = dataset.find_manifest(era, partition, check_file=False)
        if found is not None and not dataset.has_file(era, partition):
            if found.checksum == self.manifest.checksum:
                return None
            if era.allow_overwrite:
                return found
        return dataset.find_manifest(era, partition)

    def _create_manifest(self) -> bool:
        """Create the manifest; false when there is one for the same parquet file, for example another copier's."""
        dataset, manifest = self.dataset, self.manifest
        key = dataset.manifest_key(self.era, manifest.partition)
        try:
            dataset.store.create(key, manifest.to_bytes())
        except ObjectExistsError:  # it lost its parquet file, or the store cannot lock
            other = dataset.find_manifest(self.era, manifest.partition)
            if other is None or other.checksum != manifest.checksum:
                raise ConflictError(
                    f"{dataset.object_url(key)} was created by another copier at the same time with the checksum"
                    f" {other.checksum if other else 'of nothing'}, this one made {manifest.checksum}"
                ) from None
            return False
        return True

    def _replace(self, found: Manifest) -> None:
        """Replace the parquet file of the published partition `found`, which has other content."""
        dataset, era, manifest = self.dataset, self.era, self.manifest
        if not era.allow_overwrite:
            raise ConflictError(
                f"{dataset.object_url(dataset.parquet_key(era, manifest.partition))} was published with the checksum"
                f" {found.checksum}, but the lake gives {manifest.checksum} now: a copier of another version, or a"
                " lake that changed; set allow_overwrite to replace it"
            )
        dataset.mark_replacing(era, manifest.partition)
        # Without its manifest the partition does not exist while its file changes.
        dataset.store.delete(dataset.manifest_key(era, manifest.partition))
        try:
            self.upload.publish(checksum=manifest.checksum)
        except ObjectExistsError:
            self._replace_orphan(force=True)

    def _replace_orphan(self, *, force: bool) -> None:
        """Replace a parquet file that has no manifest, unless its bytes are the same.

        Args:
            force: replace it even where the store cannot lock, because this publication removed its manifest.
        """
        dataset, manifest = self.dataset, self.manifest
        key = dataset.parquet_key(self.era, manifest.partition)
        checksum = dataset.checksum(key)
        if checksum == manifest.checksum:
            return
        if not (force or dataset.store.supports_locking):
            # It may belong to another copier that is about to create its manifest: nothing keeps the two apart.
            raise ConflictError(
                f"{dataset.object_url(key)} has the checksum {checksum} and no manifest, but the lake gives"
                f" {manifest.checksum}: a copier of another version is running, or died. When none is running,"
                " remove the file"
            )
        self.upload.publish(replace=True, checksum=manifest.checksum)
