"""The locks of whole runs: who changes a chain excludes everybody else who would, from planning to the end.

They are locks of the stores (`bronze.storage.store.Store.exclusive`): where a store supports locking, on one machine or
a mounted file system. Object stores have none; there the chain itself decides (`bronze.audit.event_log`).
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from bronze.job.connections import Connections
from bronze.storage.lock_file import this_process
from bronze.storage.opening import open_store
from bronze.storage.store import join


@contextmanager
def exclusive_chains(connections: Connections, command: str, wait_s: float) -> Iterator[None]:
    """Exclude other runs from every chain of the job, at the dataset's store and at the events' store.

    Args:
        command: what holds the locks, as those are told that have to wait.
        wait_s: seconds to wait for the present holder of each; 0 gives up at once.

    Raises:
        LockedError: another run holds one; says who, and since when.
    """
    job = connections.job
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
        yield
