"""What a worker has to know of a run: small, picklable and without secrets.

Stores are opened from it in each process; nothing that holds a connection or a credential is pickled.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from bronze.audit.delivery import DeliveryCursor, EventDelivery
from bronze.audit.endpoint import DeliveryEndpoint
from bronze.audit.event_log import EventLog
from bronze.catalog.catalog import Catalog
from bronze.catalog.lineage import LineageContext
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.ingest.copier import PartitionCopier
from bronze.ingest.encoder import PartitionEncoder
from bronze.lake.lake import Lake
from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.producer import Producer
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.storage.store import Store

#: Secrets reach the workers of this machine through their environment, never through what is pickled.
DSN_VARIABLE = "BRONZE_WORKER_CATALOG_DSN"
ENDPOINT_VARIABLE = "BRONZE_WORKER_PAS_ENDPOINT"

#: A catalog is not to be shared by threads; it is closed when its thread has ended.
_OF_THREAD = threading.local()


@dataclass(frozen=True, slots=True)
class CopyJob:
    """One run.

    Attributes:
        eras: the eras that are copied.
        single_era: whether the settings name one era in all (decides the checkpoint's name).
        lake_location, layout: where the lake is, and how it is laid out; None for what needs no lake.
        dataset_location: where what is published goes.
        prefix: key prefix of all partitions below the destination's root.
        max_object: most bytes that one lake file may decode to.
        events_location: of the audit stream's files; None when no audit stream is written.
        checkpoint_location: of the checkpoint; None when it is switched off.
        read_ahead: lake objects that are asked for at once by each worker; 0: chosen.
        catalog_strict, delivery_strict: whether a failure of the catalog, or of the delivery, stops the run.
        catalog_namespace: what this deployment is called.
        stop_file: while this file exists, no more is begun.
        threads: threads that work on one partition.
        dry_run: read, verify and encode, write nothing.
    """

    eras: tuple[Era, ...]
    single_era: bool
    copier_id: str
    lake_location: StorageLocation | None
    layout: LakeLayout | None
    passphrase: str | None
    verify: VerifyLevel
    max_object: int
    dataset_location: StorageLocation
    prefix: str
    table: str
    compression: str
    events_location: StorageLocation | None
    checkpoint_location: StorageLocation | None
    retry: RetryPolicy
    producer: Producer
    catalog_strict: bool = False
    catalog_namespace: str = ""
    delivery_strict: bool = False
    stop_file: str = ""
    threads: int = 1
    read_ahead: int = 0
    dry_run: bool = False

    def era(self, chain: str) -> Era:
        """The era whose chain is `chain`."""
        return next(era for era in self.eras if era.chain == chain)

    def lake(self) -> Lake:
        """The lake, as it was opened when the run was planned; there must be one."""
        assert self.lake_location is not None
        assert self.layout is not None
        return Lake(open_store(self.lake_location), self.layout, self.passphrase)

    def dataset(self) -> Dataset:
        """Where partitions go."""
        return Dataset(open_store(self.dataset_location), self.prefix, self.table)

    def is_stopped(self) -> bool:
        """Whether the run was asked to stop."""
        return bool(self.stop_file) and os.path.exists(self.stop_file)  # noqa: PTH110 - asked for every lake file

    def publisher(self) -> PartitionCopier:
        """A publisher with a buffer of its own: one for each thread."""
        encoder = PartitionEncoder(
            self.lake(),
            verify=self.verify,
            compression=self.compression,
            max_object=self.max_object,
            threads=self.threads,
            read_ahead=self.read_ahead,
            stopped=self.is_stopped,
        )
        return PartitionCopier(self.dataset(), encoder, self.producer)

    def events(self, era: Era) -> EventLog | None:
        """The event files of the era's chain; None when no audit stream is written."""
        return EventLog(open_store(self.events_location), era) if self.events_location else None

    def checkpoint(self, era: Era) -> CheckpointFile | None:
        """The checkpoint of the era's chain; None when it is switched off."""
        if self.checkpoint_location is None:
            return None
        return CheckpointFile(open_store(self.checkpoint_location), era, self.copier_id, single=self.single_era)

    def cursor(self, era: Era) -> DeliveryCursor | None:
        """The delivery cursor of the era's chain; None when no audit stream is written."""
        return DeliveryCursor(open_store(self.events_location), era.chain) if self.events_location else None

    def sequencer(self, era: Era) -> Sequencer:
        """The sequencer of the era's chain."""
        return Sequencer(
            era,
            self.dataset(),
            self.producer,
            events=self.events(era),
            checkpoint=self.checkpoint(era),
            downstream=self.downstream(),
        )

    def downstream(self) -> Downstream:
        """The catalog and the endpoint."""
        return Downstream(
            catalog=self.catalog(),
            lineage_context=self.lineage_context(),
            catalog_strict=self.catalog_strict,
            deliverer=self.deliverer if self.delivers else None,
            delivery_strict=self.delivery_strict,
        )

    def catalog(self) -> Catalog | None:
        """Get this thread's connection to the catalog; None when there is no catalog."""
        dsn = os.environ.get(DSN_VARIABLE, "")
        return _catalog(dsn, self.catalog_namespace) if dsn else None

    @property
    def delivers(self) -> bool:
        """Whether there are events, and an endpoint for them."""
        return bool(self.events_location and os.environ.get(ENDPOINT_VARIABLE))

    def deliverer(self, era: Era) -> EventDelivery:
        """The deliverer of the era's events; there must be an audit stream and an endpoint."""
        log = self.events(era)
        assert log is not None
        assert self.events_location is not None
        endpoint = DeliveryEndpoint(os.environ[ENDPOINT_VARIABLE], self.retry)
        return EventDelivery(log, DeliveryCursor(open_store(self.events_location), era.chain), endpoint)

    def lineage_context(self) -> LineageContext:
        """What lineage says of every partition of this run; without a lake nothing is recorded that names one."""
        source = self.lake().store.url if self.lake_location else ""
        location, prefix = self.dataset_location, self.prefix.strip("/")
        root = f"file://{location.path}" if location.scheme == "local" else self.dataset().store.url
        return LineageContext(
            table=self.table,
            storage_root=f"{root}/{prefix}/" if prefix else f"{root}/",
            source_type="archive",
            source_location=source,
        )

    def stores(self) -> list[Store]:
        """The stores that this run writes to, each once."""
        places = (self.dataset_location, self.events_location, self.checkpoint_location)
        return [open_store(location) for location in dict.fromkeys(location for location in places if location)]


def _catalog(dsn: str, namespace: str) -> Catalog:
    known: tuple[str, str, Catalog] | None = getattr(_OF_THREAD, "catalog", None)
    if known is None or known[:2] != (dsn, namespace):
        _OF_THREAD.catalog = known = (dsn, namespace, Catalog(dsn, namespace))
    return known[2]
