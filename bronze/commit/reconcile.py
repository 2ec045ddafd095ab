"""Compare the catalog's rows with manifests and events, write what is missing, and correct what differs.

A copy whose catalog cannot be reached continues (unless ``catalog.strict``). The next run that reaches it finds the
partitions that are not recorded and those that were replaced meanwhile. Nothing in the catalog is believed by itself:
a manifest says what a partition is, an event file what its event is.

A partition that cannot be compared or written, since its manifest, its event or its row is damaged, costs its row and
not the run: it is named in `Reconciliation.unrecorded`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.catalog.lineage import PRODUCER_WIDTH, producer_text
from bronze.checksums import is_checksum
from bronze.errors import CatalogError, CatalogUnavailableError, StateError, StoreError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.partition_index import PartitionIndex

if TYPE_CHECKING:  # psycopg2 and pyarrow are loaded by who opens a catalog and a dataset
    from bronze.catalog.catalog import Catalog
    from bronze.catalog.lineage import LineageContext, RecordedPartition
    from bronze.dataset.dataset import Dataset
    from bronze.dataset.manifest import Manifest

#: Manifests that are read at once from another machine.
_READERS = 16


@dataclass(slots=True, kw_only=True)
class Reconciliation:
    """What `reconcile` found and did.

    Attributes:
        written: the partitions whose rows were missing or other than they should be, in the order of writing.
        unrecorded: what the catalog does not say as it should, a sentence each.
        rows: the rows that were compared, now or before, and are right.
    """

    written: list[Partition] = field(default_factory=list)
    unrecorded: list[str] = field(default_factory=list)
    rows: dict[Partition, RecordedPartition] = field(default_factory=dict)


def reconcile(
    era: Era,
    dataset: Dataset,
    log: EventLog | None,
    catalog: Catalog,
    lineage: LineageContext,
    next_ledger: int,
    *,
    compared: Mapping[Partition, RecordedPartition] | None = None,
    checkpoint: bytes = b"",
    partitions: Sequence[Partition] | None = None,
) -> Reconciliation:
    """Make the catalog's rows of the committed partitions of `era` say what manifests and events say.

    Rows are written in the order of the chain, whose last event the catalog then names as its last one.

    Args:
        log: the chain's event files; None when no audit stream is written.
        next_ledger: the first ledger that is not committed; partitions that reach it are left to their commit.
        compared: `Reconciliation.rows` of an earlier call: no manifest is read of a partition whose row is still that,
            and none may have been replaced since.
        checkpoint: the chain's checkpoint file, which every commit changes; empty without one. The catalog keeps a
            digest of checkpoint, chain head, partitions and rows once all rows were right: while it is still that, no
            manifest and no event is read at all. Without checkpoint and audit stream there is no digest.
        partitions: what is published of the era, in ledger order; None: it is listed.

    Raises:
        CatalogError: the catalog cannot be reached, or refuses more than a single row.
        StateError: the chain heads file is damaged.
        StoreError: the store cannot be listed.
    """
    catalog.register(era, lineage.table)
    listed = dataset.list_partitions(era) if partitions is None else partitions
    partitions = [partition for partition in listed if partition.end < next_ledger]
    rows = catalog.recorded(era, lineage.table)
    found = Reconciliation(unrecorded=[*catalog.unusable_rows(era, lineage.table), *_foreign(era, rows, listed)])
    has_digest = bool(checkpoint) or log is not None
    digest = _digest(rows, partitions, log, checkpoint)
    if has_digest and not found.unrecorded and catalog.digest(era, lineage.table) == digest:
        found.rows = rows
        return found
    known = {partition for partition in partitions if compared and compared.get(partition) == rows.get(partition)}
    known &= rows.keys()
    manifests = _read_manifests(era, dataset, [one for one in partitions if one not in known], found.unrecorded)
    if not (known and _all_right(era, dataset, log, manifests, rows)):
        try:
            events = log.load() if log else []
        except StateError as error:
            found.unrecorded.append(f"rows of {era.chain} were not compared: {error}")
            return found
        _write(era, dataset, events, catalog, lineage, manifests, rows, found, has_log=log is not None)
        rows = catalog.recorded(era, lineage.table)
        misplaced = _misplaced(events, rows)
        if misplaced:
            catalog.reorder(era, lineage.table, misplaced)
            rows = catalog.recorded(era, lineage.table)
    right = known | set(manifests)
    found.rows = {partition: row for partition, row in rows.items() if partition in right}
    if has_digest and not found.unrecorded:
        with suppress(CatalogError):  # of a role that may create no tables: all rows are compared in every run
            catalog.keep_digest(era, lineage.table, _digest(rows, partitions, log, checkpoint))
    return found


def _foreign(era: Era, rows: Iterable[Partition], published: Sequence[Partition]) -> Iterator[str]:
    """The rows of partitions that cannot be: others with their ledgers are published; a sentence each.

    Partitions that are only not there may lie elsewhere, as those of the older copier do.
    """
    unknown = set(rows).difference(published)
    index = PartitionIndex(published) if unknown else None
    for partition in sorted(unknown):
        for other in index.overlapping(partition)[:1] if index else ():
            yield (
                f"the row of {era.chain} {partition} in _meta_lineage is of no published partition, and {other} is"
                " published, which has ledgers of it: remove the row"
            )


def _digest(
    rows: Mapping[Partition, RecordedPartition],
    partitions: Sequence[Partition],
    log: EventLog | None,
    checkpoint: bytes,
) -> str:
    """A digest of all that decides whether the rows are right, but for the manifests' contents."""
    head = (log.head() or "") if log else None
    text = repr((head, checkpoint, [str(partition) for partition in partitions], list(rows.items())))
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


def _read_manifests(
    era: Era, dataset: Dataset, partitions: Sequence[Partition], unrecorded: list[str]
) -> dict[Partition, Manifest]:
    """The manifests of the published ones of `partitions`; damaged ones are named in `unrecorded`."""

    def read(partition: Partition) -> Manifest | str | None:
        try:
            return dataset.find_manifest(era, partition, check_file=False)
        except (StateError, StoreError) as error:
            return f"partition {era.chain} {partition} is not recorded: {error}"

    results: Iterable[Manifest | str | None]
    if dataset.is_remote and len(partitions) > 1:
        with ThreadPoolExecutor(_READERS) as readers:
            results = list(readers.map(read, partitions))
    else:
        results = map(read, partitions)
    manifests = {}
    for partition, result in zip(partitions, results, strict=True):
        if isinstance(result, str):
            unrecorded.append(result)
        elif result is not None:
            manifests[partition] = result
    return manifests


def _all_right(
    era: Era,
    dataset: Dataset,
    log: EventLog | None,
    manifests: Mapping[Partition, Manifest],
    rows: Mapping[Partition, RecordedPartition],
) -> bool:
    """Whether the rows of `manifests` are right, by the events of these partitions alone."""
    before = _checksums_by_end({partition: row.checksum for partition, row in rows.items()})
    for partition, manifest in manifests.items():
        row = rows.get(partition)
        if row is None:
            return False
        event_hash = row.event_hash
        if log is not None:
            try:
                event, _ = log.latest(partition)
            except StateError:
                return False
            if event is None or event.checksum != manifest.checksum:
                return False
            event_hash = event.event_hash
        if not _says(row, manifest, event_hash, dataset.storage_path(era, partition), (before,)):
            return False
    return True


def _write(
    era: Era,
    dataset: Dataset,
    events: Sequence[Event],
    catalog: Catalog,
    lineage: LineageContext,
    manifests: dict[Partition, Manifest],
    rows: Mapping[Partition, RecordedPartition],
    found: Reconciliation,
    *,
    has_log: bool,
) -> None:
    """Write the rows that are missing or differ; what cannot be written is taken out of `manifests` and named."""
    latest = {event.partition: event for event in events}
    order = {event.partition: number for number, event in enumerate(events)}
    event_hash_of = _event_hashes(events, has_log=has_log)
    checksums = {partition: row.checksum for partition, row in rows.items()}
    after = {partition: manifest.checksum for partition, manifest in manifests.items()}
    # Whatever is written sets the link of the row behind it too: a link that is right as yet need not be written.
    before = _checksums_by_end(checksums), _checksums_by_end(checksums | after)
    # The catalog takes the event that it records last for the chain's head. What has no event comes first.
    for partition in sorted(manifests, key=lambda one: order.get(one, -1)):
        manifest, row, event = manifests[partition], rows.get(partition), latest.get(partition)
        if event is not None and event.checksum != manifest.checksum:
            found.unrecorded.append(
                f"partition {era.chain} {partition} is not recorded: its manifest has the checksum"
                f" {manifest.checksum}, its last event {event.checksum}"
            )
            del manifests[partition]
            continue
        path = dataset.storage_path(era, partition)
        event_hash = event.event_hash if event else event_hash_of(row, manifest)
        if row is not None and _says(row, manifest, event_hash, path, before):
            continue
        try:
            catalog.correct(era, lineage.table, lineage.lineage(manifest, path, event_hash))
        except CatalogUnavailableError:
            raise
        except CatalogError as error:
            found.unrecorded.append(f"partition {era.chain} {partition} is not recorded: {error}")
            del manifests[partition]
            continue
        found.written.append(partition)


def _event_hashes(events: Sequence[Event], *, has_log: bool) -> Callable[[RecordedPartition | None, Manifest], str]:
    """What the row of a partition without event file may keep as its event's hash."""
    is_pruned = not has_log or not events or bool(events[0].prev_hash)
    of_others = {event.event_hash for event in events}

    def keep(row: RecordedPartition | None, manifest: Manifest) -> str:
        if row is None or row.checksum != manifest.checksum or not is_checksum(row.event_hash):
            return ""
        return row.event_hash if is_pruned and row.event_hash not in of_others else ""

    return keep


def _checksums_by_end(checksums: Mapping[Partition, str]) -> dict[int, str]:
    """The checksum of the partition that ends with a ledger; of several, the one that begins first, as in SQL."""
    return {partition.end: checksums[partition] for partition in sorted(checksums, reverse=True)}


def _says(
    row: RecordedPartition,
    manifest: Manifest,
    event_hash: str,
    storage_path: str,
    before: Sequence[Mapping[int, str]],
) -> bool:
    """Whether the row says of the partition what it should; where its ledgers came from only the row knows."""
    return (
        (row.row_count, row.byte_size, row.checksum) == (manifest.row_count, manifest.byte_size, manifest.checksum)
        and row.event_hash == event_hash
        and row.storage_path == storage_path
        and row.prev_hash in [by_end.get(manifest.partition.start - 1, "") for by_end in before]
        and row.producer == producer_text(manifest.producer)
        and row.git_sha == manifest.producer.git_sha[:PRODUCER_WIDTH]
    )


def _misplaced(events: Sequence[Event], rows: Mapping[Partition, RecordedPartition]) -> list[Partition]:
    """The partitions whose rows are to be moved, in this order, for the rows to be in the order of the chain."""
    order = {event.partition: number for number, event in enumerate(events)}
    chained = sorted(
        (partition for partition, row in rows.items() if row.event_hash),
        key=lambda one: (order.get(one, -1), rows[one].row_id),  # those whose files were pruned came first
    )
    for number in range(1, len(chained)):
        if rows[chained[number]].row_id < rows[chained[number - 1]].row_id:
            return chained[number:]
    return []
