"""Rebuild the caches of a chain: chain head, checkpoint and delivery cursor. The event files are the truth.

`restore` is what every run begins with; `recover`, the command `repair`, sets damaged files aside and then does the
same, so both come to the same position. Nothing is lost: a damaged file is kept under another name.
"""

from __future__ import annotations

import enum
import functools
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

from bronze.audit.delivery import DELIVERED, DeliveryCursor
from bronze.audit.event_log import HEADS, SET_ASIDE, EventLog, names_digest
from bronze.commit.chain_state import ChainState
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.downstream import Downstream
from bronze.commit.position import check_chain_end, published_prefix
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import ObjectExistsError, StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.store import Store

#: Most bytes of a damaged file that are kept; a larger one is no file of this program.
_MAX_DAMAGED_BYTES = 64 << 20

if TYPE_CHECKING:  # pyarrow is loaded by who opens a dataset
    from bronze.dataset.dataset import Dataset


class Adopt(enum.StrEnum):
    """What counts where a checkpoint and event files contradict each other."""

    CHECKPOINT = "checkpoint"
    """The event files are lost for good: the chain goes on behind the event that the checkpoint names."""
    EVENTS = "events"
    """The event files that are there are the chain."""


def restore(
    era: Era,
    dataset: Dataset,
    log: EventLog | None,
    checkpoint: CheckpointFile | None,
    downstream: Downstream | None = None,
) -> None:
    """Update a chain head that lags behind the event files, and rebuild a checkpoint that is gone.

    Args:
        log: the chain's event files; None when no audit stream is written.
        checkpoint: None when it is switched off.
        downstream: its catalog is asked when event files and chain head are both gone.

    Raises:
        StateError: event files, chain head and checkpoint contradict each other.
        CatalogError: the catalog has to be asked and does not answer.
    """
    state = ChainState(era, log, checkpoint, downstream or Downstream(), dataset)
    with state.lock():
        position = state.read_position()
        if log is not None and position.head:
            stated = position.stated_head  # other copiers may have advanced it meanwhile, where the store has no locks
            log.set_head(position.head, expected=[stated or None, *log.hashes_between(stated, position.head)])
        if checkpoint is None or position.last is None or checkpoint.load() is not None:
            return
        event = log.latest(position.last)[0] if log else None
        found = event or dataset.find_manifest(era, position.last)
        checkpoint.save(position.last, found.checksum if found else "", lambda now: now is None)


def recover(
    era: Era,
    dataset: Dataset,
    log: EventLog | None,
    cursor: DeliveryCursor | None,
    checkpoint: CheckpointFile | None,
    downstream: Downstream | None = None,
    *,
    adopt: Adopt | None = None,
) -> Iterator[str]:
    """Set damaged files of the chain aside and rebuild its caches; yield what was done, one sentence each.

    Args:
        adopt: what counts where checkpoint and event files contradict each other; None: that is an error.
        cursor: the delivery cursor of the chain, in the store of `log`; None as `log` is.
        log, checkpoint, downstream: as in `restore`.

    Raises:
        StateError: the event files themselves are damaged or contradict each other: restore them. Or they are not those
            that the checkpoint knows of, and nothing says what counts.
        CatalogError: the catalog has to be asked and does not answer.
    """
    if log is not None and checkpoint is not None and adopt is not None:
        yield from _adopted(era, log, checkpoint, adopt)
    events = log.load() if log else []
    if log is not None:
        if checkpoint is not None:
            check_chain_end(era, _readable(checkpoint), events, _stated_head(log), log.where)
        yield from _set_aside_if_damaged(log.store, HEADS, log.head)
        if cursor is not None:
            yield from _set_aside_if_damaged(log.store, DELIVERED, cursor.last)
        with log.lock():
            if events and log.head() != events[-1].event_hash:
                yield f"chain head of {era.chain}: {log.head() or 'none'} became {events[-1].event_hash}"
                log.set_head(events[-1].event_hash)
    if checkpoint is not None:
        for name in checkpoint.names:
            yield from _set_aside_if_damaged(checkpoint.store, name, functools.partial(checkpoint.read, name))
    yield from _restored(era, dataset, log, checkpoint, downstream)
    # What is published counts as committed unless the chain begins anew: then each partition is to get its event.
    if checkpoint is not None and checkpoint.load() is None and (log is None or (not events and log.head())):
        last = published_prefix(era, _published(era, dataset))
        if last is not None:
            manifest = dataset.find_manifest(era, last)
            checkpoint.save(last, manifest.checksum if manifest else "", lambda now: now is None)
            yield _rebuilt(era, last.end)


def _restored(
    era: Era,
    dataset: Dataset,
    log: EventLog | None,
    checkpoint: CheckpointFile | None,
    downstream: Downstream | None,
) -> Iterator[str]:
    """Restore, and say what that changed."""
    head, before = log.head() if log else None, checkpoint.load() if checkpoint else None
    restore(era, dataset, log, checkpoint, downstream)
    if log is not None and log.head() != head:
        yield f"chain head of {era.chain}: {head or 'none'} became {log.head()}"
    after = checkpoint.load() if checkpoint else None
    if before is None and after is not None:
        yield _rebuilt(era, after.last_ledger)


def _readable(checkpoint: CheckpointFile) -> Checkpoint | None:
    """The checkpoint, or None when it is damaged: then it is set aside."""
    try:
        return checkpoint.load()
    except StateError:
        return None


def _stated_head(log: EventLog) -> str | None:
    try:
        return log.head()
    except StateError:  # it is set aside
        return None


def _adopted(era: Era, log: EventLog, checkpoint: CheckpointFile, adopt: Adopt) -> Iterator[str]:
    """Settle by the word of an operator what checkpoint and event files contradict each other in."""
    known = _readable(checkpoint)
    if known is None or known.chain is None:
        return
    end = known.chain
    with log.lock():
        events = log.load()
        if any(end.head in (event.event_hash, event.prev_hash) for event in events):
            return
        if adopt is Adopt.CHECKPOINT:
            names = log.names_by_hash()
            for event in reversed(events):  # what is left when this is killed is a chain still
                name = names[event.event_hash]
                log.set_aside(name)
                yield f"event file {log.where}/{name}: set aside in {SET_ASIDE}/, the chain goes on without it"
            log.set_head(end.head)
            checkpoint.save_chain(replace(end, files=names_digest(())), expected=[end.head])
            yield f"chain head of {era.chain}: {end.head}, as the checkpoint states it"
            return
        head = events[-1].event_hash if events else ""
        log.set_head(head)
        checkpoint.save_chain(None, expected=[end.head])
        yield (
            f"chain head of {era.chain}: {head or 'none'}, as the event files in {log.where} have it; the next run"
            " makes the events of the partitions behind them"
        )


def _rebuilt(era: Era, last_ledger: int) -> str:
    return f"checkpoint of {era.chain}: rebuilt, committed up to ledger {last_ledger}"


def _set_aside_if_damaged(store: Store, name: str, read: Callable[[], object]) -> Iterator[str]:
    """Keep the file `name` under another name when `read` cannot read it."""
    try:
        read()
    except StateError as error:
        data = store.read(name, _MAX_DAMAGED_BYTES)
        for number in count(1):
            aside = f"{name}.damaged-{number}"
            try:
                store.create(aside, data)
            except ObjectExistsError:
                continue
            store.delete(name)
            cause = error.__cause__  # without what to do about it: that is done here
            reason = f"it lacks the key {cause}" if isinstance(cause, KeyError) else cause or error
            yield f"{store.url}/{name} was set aside as {aside}: {reason}"
            return


def _published(era: Era, dataset: Dataset) -> Iterator[tuple[Partition, LedgerLinks]]:
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
