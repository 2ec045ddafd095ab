"""The locks of whole runs: who changes a chain excludes everybody else who would, from planning to the end.

They are locks of the stores (`bronze.storage.store.Store.exclusive`): where a store supports locking, on one machine or
a mounted file system. Object stores have none; there the chain itself decides (`bronze.audit.event_log`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from bronze.commit.position import check_chain_end
from bronze.errors import StateError
from bronze.job.connections import Connections
from bronze.partitioning.era import Era
from bronze.storage.lock_file import this_process
from bronze.storage.opening import open_store
from bronze.storage.store import join


@contextmanager
def exclusive_chains(
    connections: Connections, command: str, wait_s: float, *, check_events: bool = True
) -> Iterator[None]:
    """Exclude other runs from every chain of the job, at the dataset's store and at the events' store.

    Args:
        command: what holds the locks, as those are told that have to wait.
        check_events: whether event files that are all gone are an error.
        wait_s: seconds to wait for the present holder of each; 0 gives up at once.

    Raises:
        LockedError: another run holds one; says who, and since when.
        StateError: a chain's event files are gone, as when a volume is not mounted: nothing is created in its place.
    """
    job = connections.job
    for era in job.eras if check_events else ():
        _check_events_are_there(connections, era)
    holder = f"bronze-copier {command} (run {job.run.run_id}, user {os.getuid()}, {this_process()})"
    with ExitStack() as locks:
        for era in sorted(job.eras, key=lambda one: one.chain):
            published = open_store(job.target.location)
            name = f"the chain {join(job.target.prefix, era.chain)}"
            locks.enter_context(published.exclusive(name, holder=holder, wait_s=wait_s))
            if job.chain.events is not None:
                events = open_store(job.chain.events)
                name = f"the events of {era.chain}"
                locks.enter_context(events.exclusive(name, holder=holder, wait_s=wait_s))
        if all(
            open_store(location).supports_locking for location in (job.target.location, job.chain.events) if location
        ):
            connections.job = replace(job, run=replace(job.run, is_exclusive=True))
        yield


def _check_events_are_there(connections: Connections, era: Era) -> None:
    """Check that the chain's events are not all gone, before a lock creates their directory anew."""
    log, checkpoint = connections.event_log(era), connections.checkpoint(era)
    if log is None or checkpoint is None:
        return
    try:
        known, head = checkpoint.load(), log.head()
    except StateError:  # damaged: `repair` sets it aside, and a run says so where it reads it
        return
    # With the head that the checkpoint states, all event files may have been pruned: nothing is listed then.
    if known is not None and known.chain is not None and head != known.chain.head and not log.names():
        check_chain_end(era, known, (), head, log.where)
