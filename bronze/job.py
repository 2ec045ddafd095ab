"""What a worker has to know of a run: small, picklable and without secrets.

Stores are opened from it in each process; nothing that holds a connection or a credential is pickled.
"""

from __future__ import annotations

from dataclasses import dataclass

from bronze.checkpoint import CheckpointFile
from bronze.destination import Destination
from bronze.encode import PartitionEncoder
from bronze.eras import Era
from bronze.event_log import EventLog
from bronze.lake import Lake
from bronze.lake_keys import LakeLayout
from bronze.local_store import LocalStore
from bronze.producer import Producer
from bronze.publish import Publisher
from bronze.retry import RetryPolicy
from bronze.sequencer import Sequencer
from bronze.verify import Verify


@dataclass(frozen=True, slots=True)
class CopyJob:
    """One run.

    Attributes:
        eras: the eras that are copied.
        single_era: whether the settings name one era in all (decides the checkpoint's name).
        lake_root, destination_root: local directories.
        prefix: key prefix of all partitions below the destination's root.
        max_object: most bytes that one lake file may decode to.
        events_root: directory of the audit stream's files; None when no audit stream is written.
        checkpoint_root: directory of the checkpoint; None when it is switched off.
        threads: threads that work on one partition.
        dry_run: read, verify and encode, write nothing.
    """

    eras: tuple[Era, ...]
    single_era: bool
    copier_id: str
    lake_root: str
    layout: LakeLayout
    passphrase: str | None
    verify: Verify
    max_object: int
    destination_root: str
    prefix: str
    table: str
    compression: str
    events_root: str | None
    checkpoint_root: str | None
    retry: RetryPolicy
    producer: Producer
    threads: int = 1
    dry_run: bool = False

    def era(self, chain: str) -> Era:
        """The era whose chain is `chain`."""
        return next(era for era in self.eras if era.chain == chain)

    def lake(self) -> Lake:
        """The lake, as it was opened when the run was planned."""
        return Lake(LocalStore(self.lake_root), self.layout, self.passphrase)

    def destination(self) -> Destination:
        """Where partitions go."""
        return Destination(LocalStore(self.destination_root), self.prefix, self.table)

    def publisher(self) -> Publisher:
        """A publisher with a buffer of its own: one for each thread."""
        encoder = PartitionEncoder(
            self.lake(),
            verify=self.verify,
            compression=self.compression,
            max_object=self.max_object,
            threads=self.threads,
        )
        return Publisher(self.destination(), encoder, self.producer)

    def sequencer(self, era: Era) -> Sequencer:
        """The sequencer of the era's chain."""
        return Sequencer(
            era,
            self.destination(),
            self.producer,
            events=EventLog(LocalStore(self.events_root), era) if self.events_root else None,
            checkpoint=(
                CheckpointFile(LocalStore(self.checkpoint_root), era, self.copier_id, single=self.single_era)
                if self.checkpoint_root
                else None
            ),
        )

    def temporary_roots(self) -> list[LocalStore]:
        """The stores that a dead run may have left temporary files in."""
        roots = dict.fromkeys(root for root in (self.destination_root, self.events_root, self.checkpoint_root) if root)
        return [LocalStore(root) for root in roots]
