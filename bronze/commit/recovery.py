"""Puts the caches of a chain right: checkpoint, chain heads, delivery record. The event files are the truth.

Nothing is lost: a damaged file is kept under another name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import count

from bronze.audit.delivery import DELIVERED, DeliveryCursor
from bronze.audit.event_log import HEADS, EventLog
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.position import published_prefix
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import ObjectExistsError, StateError
from bronze.job.spec import CopyJob
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.opening import open_store
from bronze.storage.store import Store


def repair(job: CopyJob, era: Era) -> Iterator[str]:
    """Repair the state of the era's chain; yield what was done, a sentence each.

    Raises:
        StateError: the event files themselves are damaged or contradict each other: restore them.
        CatalogError: without event files and chain head the catalog is asked; it is strict and cannot be reached.
    """
    log = job.events(era)
    chain = log.load() if log else []
    if log is not None and job.events_location is not None:
        store = open_store(job.events_location)
        yield from _readable(store, HEADS, log.head)
        yield from _readable(store, DELIVERED, DeliveryCursor(store, era.chain).last)
        with log.lock():
            if chain and log.head() != chain[-1].event_hash:
                yield f"chain head of {era.chain}: {log.head() or 'none'} became {chain[-1].event_hash}"
                log.set_head(chain[-1].event_hash)
    checkpoint = job.checkpoint(era)
    if checkpoint is not None and job.checkpoint_location is not None:
        store = open_store(job.checkpoint_location)
        for name in checkpoint.names:
            yield from _readable(store, name, functools.partial(checkpoint.read, name))
    yield from _restored(job, era, log, checkpoint)
    # What is published counts as committed unless the chain begins anew: then each partition is to get its event.
    if checkpoint is not None and checkpoint.load() is None and (log is None or (not chain and log.head())):
        last = published_prefix(era, _published(job.dataset(), era))
        if last is not None:
            manifest = job.dataset().find_manifest(era, last)
            checkpoint.save(last, manifest.checksum if manifest else "", lambda now: now is None)
            yield _made_anew(era, last.end)


def _restored(job: CopyJob, era: Era, log: EventLog | None, checkpoint: CheckpointFile | None) -> Iterator[str]:
    """Do what every run begins with, and say what came of it: so both come to the same position."""
    head, position = log.head() if log else None, checkpoint.load() if checkpoint else None
    job.sequencer(era).restore()
    if log is not None and log.head() != head:
        yield f"chain head of {era.chain}: {head or 'none'} became {log.head()}"
    now = checkpoint.load() if checkpoint else None
    if position is None and now is not None:
        yield _made_anew(era, now.last_ledger)


def _made_anew(era: Era, last_ledger: int) -> str:
    return f"checkpoint of {era.chain}: made anew, committed up to ledger {last_ledger}"


def _readable(store: Store, name: str, read: Callable[[], object]) -> Iterator[str]:
    """Put the file `name` aside when it cannot be read."""
    try:
        read()
    except StateError as error:
        data = store.read(name)
        for number in count(1):
            aside = f"{name}.damaged-{number}"
            try:
                store.create(aside, data)
            except ObjectExistsError:
                continue
            store.delete(name)
            yield f"{store.url}/{name} was put aside as {aside}: {error}"
            return


def _published(dataset: Dataset, era: Era) -> Iterator[tuple[Partition, LedgerLinks]]:
    """The partitions in ledger order with what links them, up to the first that is damaged."""
    for partition in dataset.list_partitions(era):
        if partition.end < era.ledger_start:
            continue
        try:
            manifest = dataset.find_manifest(era, partition)
            if manifest is not None:
                yield partition, dataset.links(era, manifest)
        except StateError:  # a run would stop there too
            return
