"""Puts the caches of a chain right: checkpoint, chain heads, delivery record. The event files are the truth.

Nothing is lost: a damaged file is kept under another name.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from itertools import count

from bronze.delivered import DELIVERED, Delivered
from bronze.eras import Era
from bronze.errors import ObjectExists, StateError
from bronze.event_log import HEADS
from bronze.grid import Partition
from bronze.job import CopyJob
from bronze.store import Store


def repair(job: CopyJob, era: Era) -> Iterator[str]:
    """Repair the state of the era's chain; yield what was done, a sentence each.

    Raises:
        StateError: the event files themselves are damaged or contradict each other: restore them.
    """
    log = job.events(era)
    chain = log.load() if log else []
    if log is not None and job.events_place is not None:
        store = job.events_place.open()
        yield from _readable(store, HEADS, log.head)
        yield from _readable(store, DELIVERED, Delivered(store, era.chain).last)
        with log.lock():
            if chain and log.head() != chain[-1].event_hash:
                yield f"chain head of {era.chain}: {log.head() or 'none'} became {chain[-1].event_hash}"
                log.set_head(chain[-1].event_hash)
    checkpoint = job.checkpoint(era)
    if checkpoint is None or job.checkpoint_place is None:
        return
    store = job.checkpoint_place.open()
    for name in checkpoint.names:
        yield from _readable(store, name, functools.partial(checkpoint.read, name))
    if checkpoint.load() is None:
        last = _last_committed(job, era, chain_ranges=[Partition(event.start, event.end) for event in chain])
        if last is not None:
            manifest = job.destination().published(era, last)
            checkpoint.save(last, manifest.checksum if manifest else "")
            yield f"checkpoint of {era.chain}: made anew, committed up to ledger {last.end}"


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
            except ObjectExists:
                continue
            store.delete(name)
            yield f"{store.url}/{name} was put aside as {aside}: {error}"
            return


def _last_committed(job: CopyJob, era: Era, chain_ranges: list[Partition]) -> Partition | None:
    """The last partition up to which the chain has no gap: by its events, else by what is published."""
    destination = job.destination()
    ranges = sorted(chain_ranges) or [
        found for found in destination.ranges(era) if destination.published(era, found) is not None
    ]
    at, last = (ranges[0].start if chain_ranges else era.ledger_start) if ranges else 0, None
    for found in ranges:
        if found.start <= at <= found.end:
            at, last = found.end + 1, found
    return last
