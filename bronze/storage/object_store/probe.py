"""Finds out whether a service heeds conditions, on which it rests that no run overwrites what another has published."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import obstore

from bronze.errors import ConfigError, ObjectExistsError
from bronze.storage.object_store.clients import version_of
from bronze.storage.object_store.errors import call, repeated

if TYPE_CHECKING:
    from bronze.storage.object_store.store import ObjectStore

_LOG = logging.getLogger(__name__)


def probe(store: ObjectStore, *, allow_unconditional: bool) -> None:
    """Write two temporary objects against every kind of condition; remove them again.

    Raises:
        ConfigError: the service ignores a condition (only a warning with `allow_unconditional`), or has no such bucket.
        AccessDeniedError: the credentials do not allow to write.
    """
    ignored = repeated(lambda: _try(store))
    if not ignored:
        return
    message = (
        f"{store.url}: the service ignores {', '.join(ignored)}; two runs at once could overwrite each other's objects."
        " Use another service, or set storage.allow_unconditional and never start two runs"
    )
    if not allow_unconditional:
        raise ConfigError(message)
    _LOG.warning(message)


def _try(store: ObjectStore) -> list[str]:
    """The conditions that are ignored; with keys of its own: an answer that is lost leaves open what lies there."""
    keys = [store.temporary_key("probe") for _ in range(2)]
    try:
        return _ignored(store, *keys)
    finally:
        for key in keys:
            store.delete(key)


def _ignored(store: ObjectStore, one: str, other: str) -> list[str]:
    where = f"{store.url}/{one}"
    client, path = store.clients.single_attempt, store.path(one)
    stale = call(where, lambda: obstore.put(client, path, b"1", mode="create"))
    store.replace(one, b"2")
    store.replace(other, b"3")
    trials: dict[str, Callable[[], object]] = {
        "create-only writing (If-None-Match)": lambda: obstore.put(client, path, b"4", mode="create"),
        "create-only copying": lambda: obstore.copy(client, store.path(other), path, overwrite=False),
        "writing over a known version only (If-Match)": lambda: obstore.put(client, path, b"5", mode=version_of(stale)),
    }
    ignored = [name for name, trial in trials.items() if not _refused(where, trial)]
    # Not a condition, but uploads need to know from the first one on whether they are to compute MD5.
    store.checksums.of(path, where)
    return ignored


def _refused(where: str, trial: Callable[[], object]) -> bool:
    try:
        call(where, trial)
    except ObjectExistsError:
        return True
    return False
