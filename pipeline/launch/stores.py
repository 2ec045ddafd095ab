"""The stores that a run writes to: made ready before it, cleaned of what dead runs left."""

from __future__ import annotations

import logging

from bronze.job.connections import Connections

_LOG = logging.getLogger(__name__)


def ready_stores(connections: Connections) -> None:
    """Check that the stores a run writes to heed conditions, and free local ones of what dead runs left.

    Raises:
        ConfigError: an object store does not heed conditions.
    """
    for store in connections.stores():
        for notice in store.check_conditional_writes():
            _LOG.warning("%s", notice)
        if store.tells_dead_writers:  # otherwise only age does: see `clean_leftovers`
            for key in store.remove_leftovers():
                _LOG.info("removed %s/%s, which a run that ended early left", store.url, key)


def clean_leftovers(connections: Connections) -> list[str]:
    """Remove what dead runs left unfinished (on object stores: more than a day ago); return the URLs of it."""
    return [f"{store.url}/{key}" for store in connections.stores() for key in store.remove_leftovers()]
