"""Opens what a job names: stores, lake, dataset, chains, catalog and delivery endpoint."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

from bronze.archives.opening import open_witness
from bronze.archives.state_file import ArchiveStateFile
from bronze.archives.witness import Witness
from bronze.audit.delivery import DeliveryCursor, EventDelivery
from bronze.audit.endpoint import DeliveryEndpoint
from bronze.audit.event_log import EventLog
from bronze.catalog.catalog import Catalog
from bronze.catalog.lineage import LineageContext
from bronze.commit.archive_catch_up import ArchiveCatchUp
from bronze.commit.archive_check import ArchiveCheck
from bronze.commit.archive_record import ArchiveRecord
from bronze.commit.attestation import ChainAttestation
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.errors import ConfigError
from bronze.ingest.copier import PartitionCopier
from bronze.ingest.encoder import PartitionEncoder
from bronze.job.build import check_build
from bronze.job.secrets import Secrets
from bronze.job.spec import ArchiveSpec, CopyJob, LakeSpec
from bronze.job.stop_signal import StopSignal
from bronze.lake.lake import Lake
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.opening import open_store
from bronze.storage.store import Store


class Connections:
    """Opens what `job` names; nothing is opened before it is asked for. Not picklable: send the job instead.

    Stores are shared by the whole process and stay open. Connections to the catalog belong to this object: each thread
    gets its own, and `close` ends them all.

    Args:
        secrets: must hold what the job says it needs.

    Raises:
        ConfigError: the job has a catalog or an endpoint, but `secrets` does not name it; or the job was launched by
            another version of this program.
    """

    def __init__(self, job: CopyJob, secrets: Secrets) -> None:
        check_build(job.run.build)
        for is_needed, secret, what in (
            (job.chain.has_catalog, secrets.dsn, "the connection string of the catalog"),
            (job.chain.has_endpoint, secrets.endpoint, "the URL of the delivery endpoint"),
        ):
            if is_needed and not secret:
                raise ConfigError(f"this process was not given {what}, which its run needs")
        self.job = job
        self.secrets = secrets
        self._of_thread = threading.local()
        self._catalogs: list[Catalog] = []

    @classmethod
    def of_worker(cls, job: CopyJob) -> Self:
        """The connections of a worker, with the secrets that it finds (`Secrets.for_worker`). Raises `ConfigError`."""
        chain = job.chain
        found = Secrets.for_worker(job.run.run_id, dsn_secret=chain.dsn_secret, endpoint_secret=chain.endpoint_secret)
        return cls(job, found)

    def source(self) -> LakeSpec:
        """The specification of the lake; the job must have one."""
        if self.job.source is None:
            raise ValueError("the job has no lake")
        return self.job.source

    def lake(self) -> Lake:
        """The lake, as it was opened when the run was planned; the job must have one."""
        source = self.source()
        return Lake(open_store(source.location), source.layout, source.passphrase)

    def dataset(self) -> Dataset:
        """The dataset that partitions are published to."""
        target = self.job.target
        return Dataset(open_store(target.location), target.prefix, target.table)

    def copier(self) -> PartitionCopier:
        """A new copier with a decode buffer of its own: each thread needs one. Its encoder is to be closed."""
        source, run = self.source(), self.job.run
        stop = StopSignal(run.stop) if run.stop else None
        encoder = PartitionEncoder(
            self.lake(),
            verify=source.verify,
            authenticity=source.authenticity,
            compression=self.job.target.compression,
            max_object=source.max_file_bytes,
            threads=run.threads,
            read_ahead=source.read_ahead,
            stopped=stop.is_requested if stop else lambda: False,
        )
        committed = {(one.chain, one.partition): one.checksum for one in run.missing}
        again = {(one.chain, one.partition): one.checksum for one in run.again}
        return PartitionCopier(self.dataset(), encoder, run.producer, committed, again, self.job.eras)

    def event_log(self, era: Era) -> EventLog | None:
        """The event files of the era's chain; None when no audit stream is written."""
        events = self.job.chain.events
        return EventLog(open_store(events), era) if events else None

    def checkpoint(self, era: Era) -> CheckpointFile | None:
        """The checkpoint of the era's chain; None when it is switched off."""
        chain = self.job.chain
        if chain.checkpoint is None:
            return None
        return CheckpointFile(open_store(chain.checkpoint), era, chain.copier_id, single=chain.single_era)

    def delivery_cursor(self, era: Era) -> DeliveryCursor | None:
        """The record of how far the era's chain is delivered; None when no audit stream is written."""
        events = self.job.chain.events
        return DeliveryCursor(open_store(events), era.chain) if events else None

    def sequencer(self, era: Era) -> Sequencer:
        """A new sequencer of the era's chain."""
        return Sequencer(
            era,
            self.dataset(),
            self.job.run.producer,
            events=self.event_log(era),
            checkpoint=self.checkpoint(era),
            downstream=self.downstream(),
            is_exclusive=self.job.run.is_exclusive,
            attestation=self.attestation(era),
            archives=self._archive_check(era),
        )

    def attestation(self, era: Era) -> ChainAttestation | None:
        """How far the era's chain is attested, kept beside its head or its checkpoint; None when that is not asked."""
        chain = self.job.chain
        if chain.attestation is None:
            return None
        return ChainAttestation(chain.attestation, era, self.dataset(), self._state_store())

    def archive_catch_up(self, era: Era, partitions: Iterable[Partition]) -> ArchiveCatchUp | None:
        """What asks the history archives about the committed `partitions` of the era; None without archives."""
        spec = self.job.chain.archives
        if spec is None:
            return None
        witnesses, record = self._witnesses(spec, era)
        return ArchiveCatchUp(era, self.dataset(), witnesses, record, spec.needed, partitions)

    def _archive_check(self, era: Era) -> ArchiveCheck | None:
        spec = self.job.chain.archives
        if spec is None:
            return None
        witnesses, record = self._witnesses(spec, era)
        return ArchiveCheck(era, self.dataset(), witnesses, record, spec.needed)

    def _witnesses(self, spec: ArchiveSpec, era: Era) -> tuple[list[Witness], ArchiveRecord]:
        store = self._state_store()
        file = ArchiveStateFile(store, f"anchored_{era.file_prefix}.json", era.chain) if store else None
        witnesses = [open_witness(url, era.chain, spec.passphrase, self.job.run.run_id) for url in spec.urls]
        return witnesses, ArchiveRecord(spec.urls, file)

    def _state_store(self) -> Store | None:
        """Where caches of a chain are kept: beside its head, or its checkpoint; None when it has neither."""
        place = self.job.chain.events or self.job.chain.checkpoint
        return open_store(place) if place else None

    def downstream(self) -> Downstream:
        """The catalog and the delivery endpoint that commits of this thread are reported to."""
        chain = self.job.chain
        return Downstream(
            catalog=self.catalog(),
            lineage_context=self.lineage_context(),
            catalog_strict=chain.catalog_strict,
            deliverer=self.delivery if self.delivers else None,
            delivery_strict=chain.delivery_strict,
        )

    def catalog(self) -> Catalog | None:
        """The connection of this thread to the catalog; None when the job has no catalog."""
        if not self.job.chain.has_catalog:
            return None
        found: Catalog | None = getattr(self._of_thread, "catalog", None)
        if found is None:
            self._of_thread.catalog = found = Catalog(self.secrets.dsn, self.job.chain.catalog_namespace)
            self._catalogs.append(found)
        return found

    @property
    def delivers(self) -> bool:
        """Whether there is an audit stream, and an endpoint for its events."""
        chain = self.job.chain
        return chain.events is not None and chain.has_endpoint

    def delivery(self, era: Era) -> EventDelivery:
        """The delivery of the era's events; only where the job `delivers`."""
        log, cursor = self.event_log(era), self.delivery_cursor(era)
        if log is None or cursor is None or not self.delivers:
            raise ValueError("the job delivers no events")
        return EventDelivery(log, cursor, DeliveryEndpoint(self.secrets.endpoint, self.job.run.retry))

    def lineage_context(self) -> LineageContext:
        """What lineage says of every partition of this run; the lake is left out where the job has none."""
        target = self.job.target
        location, prefix = target.location, target.prefix.strip("/")
        root = f"file://{location.path}" if location.scheme == "local" else self.dataset().store.url
        return LineageContext(
            table=target.table,
            storage_root=f"{root}/{prefix}/" if prefix else f"{root}/",
            source_type="archive",
            source_location=self.lake().store.url if self.job.source else "",
        )

    def stores(self) -> list[Store]:
        """The stores that the run writes to, each once."""
        locations = (self.job.target.location, self.job.chain.events, self.job.chain.checkpoint)
        return [open_store(location) for location in dict.fromkeys(location for location in locations if location)]

    def close(self) -> None:
        """Close the connections of all threads to the catalog; the locks that they hold end."""
        while self._catalogs:
            self._catalogs.pop().close()
        self._of_thread = threading.local()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
