"""How far each era is: what is published, committed, delivered and recorded, and how far behind the lake that is.

Costs a few requests for each era, whatever its length, unless events are not yet delivered: then all of them are read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from bronze.audit.delivery import count_undelivered
from bronze.authenticity.quorum import Attestation
from bronze.commit.anchoring import Anchoring
from bronze.commit.checkpoint import Checkpoint
from bronze.commit.existence import find_overlaps
from bronze.dataset.listing import DatasetListing, list_dataset
from bronze.errors import BronzeError, DataError, StoreError
from bronze.job.connections import Connections
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.partition_index import PartitionIndex
from bronze.timestamps import seconds_of
from pipeline.launch.archives import committed_partitions
from pipeline.launch.prepare import connect_without_lake, open_configured_lake
from pipeline.settings.directories import checked_locations
from pipeline.settings.model import Settings
from pipeline.sizes import number_of


@dataclass(slots=True, kw_only=True)
class EraStatus:
    """The state of one era; None where something does not exist or is not known.

    Attributes:
        chain: ``network/era_id/version_label``.
        ledger_start, ledger_end: the era's ledgers, inclusive; an end of 0 means that it is open-ended.
        partitions: number of published partitions.
        first, last: inclusive ledgers that they reach from and to.
        gaps: ledgers up to the last committed one (the last published one where no checkpoint is kept) that no
            partition covers. What lies behind it is still to be copied, also between partitions that are published.
        problems: what is wrong with published partitions, a sentence each: ledgers of one are in another one too, of
            this era or of another one of its version; or its parquet file is missing.
        committed: the last committed ledger.
        committed_partition: the partition that was committed last.
        updated_at: when the checkpoint was written, RFC 3339.
        age_s: seconds since then.
        head: hash of the last event.
        events: number of events of the chain.
        undelivered: events that the endpoint does not have yet; None without an endpoint.
        unrecorded: published partitions that the catalog has no row of; None without a catalog.
        newest: the newest ledger of the lake.
        lag: ledgers of the era from the last committed one to the newest.
        signed_through: the last ledger of the newest partition that a node signed whose signature was checked.
        attestation: how far the validators of the settings stand behind the chain; None when nobody's is asked for.
        anchoring: how far history archives confirm the chain, as they said when a run asked; None without any.
        failures: what could not be found out, a sentence each.
    """

    chain: str
    ledger_start: int
    ledger_end: int
    partitions: int = 0
    first: int | None = None
    last: int | None = None
    gaps: list[Partition] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    committed: int | None = None
    committed_partition: Partition | None = None
    updated_at: str = ""
    age_s: float | None = None
    head: str = ""
    events: int | None = None
    undelivered: int | None = None
    unrecorded: int | None = None
    newest: int | None = None
    lag: int | None = None
    signed_through: int | None = None
    attestation: Attestation | None = None
    anchoring: Anchoring | None = None
    failures: list[str] = field(default_factory=list)


def read_status(connections: Connections, newest: int | None, *, now: datetime | None = None) -> list[EraStatus]:
    """The status of every era of the job. Writes nothing; what cannot be read is a failure of its era.

    Args:
        newest: the newest ledger of the lake; None when it is not known.
        now: the present time; None: the clock's.
    """
    published: dict[Era, Sequence[Partition]] = {}
    return [_era_status(connections, era, newest, now or datetime.now(UTC), published) for era in connections.job.eras]


def _era_status(
    connections: Connections, era: Era, newest: int | None, now: datetime, others: dict[Era, Sequence[Partition]]
) -> EraStatus:
    """The status of `era`; what is published of it is added to `others`, the eras before it."""
    status = EraStatus(chain=era.chain, ledger_start=era.ledger_start, ledger_end=era.ledger_end, newest=newest)
    checkpoint: Checkpoint | None = None
    try:
        file = connections.checkpoint(era)
        checkpoint = file.load() if file else None
    except (BronzeError, OSError) as error:
        status.failures.append(f"the checkpoint cannot be read: {error}")
    if checkpoint is not None:
        status.committed = checkpoint.last_ledger
        status.committed_partition = checkpoint.partition
        status.updated_at = checkpoint.updated_at
        status.age_s = _age(checkpoint.updated_at, now)
    _add_events(status, connections, era, checkpoint)
    published: Sequence[Partition] = ()
    try:
        listing = list_dataset(connections.dataset(), era)
        published = listing.published
        status.partitions = len(published)
        if published:
            status.first, status.last = published[0].start, max(one.end for one in published)
            manifest = connections.dataset().find_manifest(era, published[-1], check_file=False)
            signers = manifest.authenticity.signers if manifest and manifest.authenticity else ()
            status.signed_through = max((ledger for _, ledger in signers), default=None)
        reached = status.committed or 0
        if connections.job.chain.checkpoint is None:
            reached = max(reached, status.last or 0)
        catch_up = connections.archive_catch_up(era, committed_partitions(listing, status.committed or 0))
        status.anchoring = catch_up.read() if catch_up else None
        status.gaps = listing.uncovered_ranges(reached + 1) if reached else []
        status.problems = _problems(connections, listing, others)
        others[era] = published
    except (BronzeError, OSError) as error:
        status.failures.append(f"what is published cannot be read: {error}")
    _add_attestation(status, connections, era)
    _add_catalog(status, connections, era, published)
    if newest is not None:
        done = status.committed if status.committed is not None else era.ledger_start - 1
        status.lag = max(0, min(newest, era.last_ledger) - done)
    return status


def _problems(connections: Connections, listing: DatasetListing, others: dict[Era, Sequence[Partition]]) -> list[str]:
    era = listing.era
    overlaps = find_overlaps(listing, connections.event_log(era))
    found = [f"partition {partition}: {sentence}" for partition, sentence in overlaps.items()]
    for other, theirs in others.items():
        if (other.network, other.version_label) == (era.network, era.version_label):
            index = PartitionIndex(theirs)
            twice = [one for one in listing.published if index.overlapping(one)]
            if twice:
                found.append(
                    f"{number_of(len(twice), 'partition')} ({twice[0]} and on, up to ledger {twice[-1].end}) with"
                    f" ledgers that era {other.era_id} has published too, so that readers find these twice: find out"
                    " which era they belong to, and remove the partitions of the other one"
                )
    found += [
        f"partition {partition}: its parquet file is missing: `bronze-copier run --partition {partition} --again`"
        for partition in listing.bare
        if partition not in listing.replaced
    ]
    return found


def _add_attestation(status: EraStatus, connections: Connections, era: Era) -> None:
    try:
        attestation = connections.attestation(era)
        if attestation is not None and status.committed is not None:
            status.attestation = attestation.through(status.committed)
    except (BronzeError, OSError) as error:
        status.failures.append(f"how far the chain is attested cannot be read: {error}")


def _age(updated_at: str, now: datetime) -> float | None:
    written_at = seconds_of(updated_at)
    return None if written_at is None else max(0.0, now.timestamp() - written_at)


def _add_events(status: EraStatus, connections: Connections, era: Era, checkpoint: Checkpoint | None) -> None:
    try:
        log = connections.event_log(era)
        if log is None:
            return
        end = checkpoint.chain if checkpoint else None
        if end is not None:
            status.head, status.events = end.head, end.events
        else:
            status.head, status.events = log.head() or "", len(log.names())
        if connections.delivers:
            cursor = connections.delivery_cursor(era)
            status.undelivered = count_undelivered(log, cursor) if cursor else None
    except (BronzeError, OSError) as error:
        status.failures.append(f"the audit events cannot be read: {error}")


def _add_catalog(status: EraStatus, connections: Connections, era: Era, published: Sequence[Partition]) -> None:
    if not connections.job.chain.has_catalog:
        return
    try:
        catalog = connections.catalog()
        rows = catalog.recorded(era, connections.job.target.table) if catalog else {}
        status.unrecorded = len(set(published) - rows.keys())
    except (BronzeError, OSError) as error:
        status.failures.append(f"the catalog cannot be read: {error}")


def configured_standing(settings: Settings, era_ids: Sequence[str]) -> list[EraStatus]:
    """The status of the eras that the settings name, without that of the lake.

    Raises:
        ConfigError: the settings, or what they refer to, are not usable.
    """
    with connect_without_lake(settings, era_ids, writes=False) as connections:
        return read_status(connections, None)


def configured_status(settings: Settings, era_ids: Sequence[str]) -> list[EraStatus]:
    """The status of the eras that the settings name; a lake that cannot be read is a failure of each.

    Raises:
        ConfigError: the settings, or what they refer to, are not usable.
    """
    with connect_without_lake(settings, era_ids, writes=False) as connections:
        newest, failure = None, ""
        try:
            location = checked_locations(settings, writes=False).lake
            assert location is not None
            object_ = open_configured_lake(settings, location, connections.job.eras).newest()
            newest = object_.ledger if object_ else None
        except (DataError, StoreError, OSError) as error:
            failure = f"the lake cannot be read: {error}"
        found = read_status(connections, newest)
    for one in found:
        one.failures += [failure] if failure else []
    return found
