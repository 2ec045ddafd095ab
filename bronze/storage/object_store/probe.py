"""The check that a service honours conditional writes, without which runs could overwrite each other's objects."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import obstore

from bronze.errors import ConfigError, ObjectExistsError
from bronze.storage.object_store.clients import version_of
from bronze.storage.object_store.errors import translated

if TYPE_CHECKING:
    from bronze.storage.object_store.bucket import Bucket


def check_conditional_writes(bucket: Bucket) -> list[str]:
    """Write two temporary objects against every kind of condition; remove them again.

    Returns:
        With `StorageLocation.allow_unconditional`: that the service ignores conditions, if it does.

    Raises:
        ConfigError: the service ignores a condition, or has no such bucket.
        AccessDeniedError: the credentials do not allow writing.
    """
    ignored = bucket.retry.call(bucket.url, lambda: _try(bucket), level=logging.DEBUG, operation="storage")
    if not ignored:
        return []
    message = (
        f"{bucket.url}: the service ignores {', '.join(ignored)}; two runs at once could overwrite each other's"
        " objects. Use another service, or set storage.allow_unconditional and never start two runs"
    )
    if not bucket.location.allow_unconditional:
        raise ConfigError(message)
    return [message]


def _try(bucket: Bucket) -> list[str]:
    """The conditions that are ignored; each attempt has keys of its own, for a lost answer leaves them unknown."""
    keys = [bucket.temporary_key("probe") for _ in range(2)]
    try:
        return _ignored(bucket, *keys)
    finally:
        for key in keys:
            bucket.delete(key)


def _ignored(bucket: Bucket, one: str, other: str) -> list[str]:
    url = bucket.object_url(one)
    client, path, source = bucket.clients.single_attempt, bucket.path(one), bucket.path(other)
    stale = translated(url, lambda: obstore.put(client, path, b"1", mode="create"))
    bucket.put(bucket.clients.retrying, one, b"2", "overwrite", "probe")
    bucket.put(bucket.clients.retrying, other, b"3", "overwrite", "probe")
    trials: dict[str, Callable[[], object]] = {
        "create-only writing (If-None-Match)": lambda: obstore.put(client, path, b"4", mode="create"),
        "create-only copying": lambda: obstore.copy(client, source, path, overwrite=False),
        "writing over a known version only (If-Match)": lambda: obstore.put(client, path, b"5", mode=version_of(stale)),
    }
    ignored = [name for name, trial in trials.items() if not _refused(url, trial)]
    # Not a condition, but uploads need to know from the first one on whether to compute MD5.
    bucket.checksums.stated(path, url)
    return ignored


def _refused(url: str, trial: Callable[[], object]) -> bool:
    try:
        translated(url, trial)
    except ObjectExistsError:
        return True
    return False
