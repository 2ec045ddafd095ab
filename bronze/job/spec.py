"""What a worker has to know of a run: small, picklable and without secrets.

Stores are opened from it in each process; nothing that holds a connection or a credential is pickled.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from bronze.audit.delivery import Delivered, Deliverer
from bronze.audit.endpoint import Endpoint
from bronze.audit.event_log import EventLog
from bronze.catalog.catalog import Catalog
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.downstream import Outward, Provenance
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Destination
from bronze.ingest.copier import Publisher
from bronze.ingest.encoder import PartitionEncoder
from bronze.lake.lake import Lake
from bronze.lake.layout import LakeLayout
from bronze.ledger.hashes import Verify
from bronze.partitioning.era import Era
from bronze.producer import Producer
from bronze.retry import RetryPolicy
from bronze.storage.location import Place
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
        lake_place, layout: where the lake is, and how it is laid out; None for what needs no lake.
        destination_place: where what is published goes.
        prefix: key prefix of all partitions below the destination's root.
        max_object: most bytes that one lake file may decode to.
        events_place: of the audit stream's files; None when no audit stream is written.
        checkpoint_place: of the checkpoint; None when it is switched off.
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
    lake_place: Place | None
    layout: LakeLayout | None
    passphrase: str | None
    verify: Verify
    max_object: int
    destination_place: Place
    prefix: str
    table: str
    compression: str
    events_place: Place | None
    checkpoint_place: Place | None
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
        assert self.lake_place is not None
        assert self.layout is not None
        return Lake(self.lake_place.open(), self.layout, self.passphrase)

    def destination(self) -> Destination:
        """Where partitions go."""
        return Destination(self.destination_place.open(), self.prefix, self.table)

    def is_stopped(self) -> bool:
        """Whether the run was asked to stop."""
        return bool(self.stop_file) and os.path.exists(self.stop_file)  # noqa: PTH110 - asked for every lake file

    def publisher(self) -> Publisher:
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
        return Publisher(self.destination(), encoder, self.producer)

    def events(self, era: Era) -> EventLog | None:
        """The event files of the era's chain; None when no audit stream is written."""
        return EventLog(self.events_place.open(), era) if self.events_place else None

    def checkpoint(self, era: Era) -> CheckpointFile | None:
        """The checkpoint of the era's chain; None when it is switched off."""
        if self.checkpoint_place is None:
            return None
        return CheckpointFile(self.checkpoint_place.open(), era, self.copier_id, single=self.single_era)

    def sequencer(self, era: Era) -> Sequencer:
        """The sequencer of the era's chain."""
        return Sequencer(
            era,
            self.destination(),
            self.producer,
            events=self.events(era),
            checkpoint=self.checkpoint(era),
            outward=self.outward(),
        )

    def outward(self) -> Outward:
        """The catalog and the endpoint."""
        return Outward(
            catalog=self.catalog(),
            provenance=self.provenance(),
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
        return bool(self.events_place and os.environ.get(ENDPOINT_VARIABLE))

    def deliverer(self, era: Era) -> Deliverer:
        """The deliverer of the era's events; there must be an audit stream and an endpoint."""
        log = self.events(era)
        assert log is not None
        assert self.events_place is not None
        endpoint = Endpoint(os.environ[ENDPOINT_VARIABLE], self.retry)
        return Deliverer(log, Delivered(self.events_place.open(), era.chain), endpoint)

    def provenance(self) -> Provenance:
        """What lineage says of every partition of this run; without a lake nothing is recorded that names one."""
        source = self.lake().store.url if self.lake_place else ""
        place, prefix = self.destination_place, self.prefix.strip("/")
        root = f"file://{place.path}" if place.scheme == "local" else self.destination().store.url
        return Provenance(self.table, f"{root}/{prefix}/" if prefix else f"{root}/", "archive", source)

    def stores(self) -> list[Store]:
        """The stores that this run writes to, each once."""
        places = (self.destination_place, self.events_place, self.checkpoint_place)
        return [place.open() for place in dict.fromkeys(place for place in places if place)]


def _catalog(dsn: str, namespace: str) -> Catalog:
    known: tuple[str, str, Catalog] | None = getattr(_OF_THREAD, "catalog", None)
    if known is None or known[:2] != (dsn, namespace):
        _OF_THREAD.catalog = known = (dsn, namespace, Catalog(dsn, namespace))
    return known[2]
