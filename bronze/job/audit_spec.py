"""The serializable specification of an audit of one era's partitions, shipped to every worker."""

from __future__ import annotations

from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.ingest.lake_ledgers import LakeLedgers
from bronze.lake.lake import Lake
from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.verify.finding import Level
from bronze.verify.partition_check import PartitionCheck
from bronze.verify.row_check import LedgerSource


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditLake:
    """The lake that rows are compared with, as it was opened when the audit began."""

    location: StorageLocation
    layout: LakeLayout
    max_object: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSpec:
    """What each worker checks of the partitions that it is given.

    Attributes:
        location, prefix, table: where they are published.
        level: how deep to check.
        verify: which hashes of each ledger are recomputed.
        passphrase: of the network; None when it is not known.
        lake: needed for the level ``source``.
    """

    location: StorageLocation
    prefix: str
    table: str
    era: Era
    level: Level
    verify: VerifyLevel = VerifyLevel.FULL
    passphrase: str | None = None
    lake: AuditLake | None = None

    def open(self) -> PartitionCheck:
        """The check, connected."""
        return PartitionCheck(
            dataset=Dataset(open_store(self.location), self.prefix, self.table),
            era=self.era,
            level=self.level,
            verify=self.verify,
            passphrase=self.passphrase,
            source=self._ledgers if self.lake else None,
        )

    def _ledgers(self, _: Partition) -> LedgerSource:
        assert self.lake is not None
        lake = Lake(open_store(self.lake.location), self.lake.layout, None)
        return LakeLedgers(lake, max_object=self.lake.max_object).read
