"""Conditional writes of small objects, safe when an answer is lost.

The answer to a write can be lost although the write took effect. So each is sent once, with a token of its writer, and
what exists at the key is looked at before it is sent again.
"""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from bronze.errors import ObjectExistsError, ObjectNotFoundError, StoreError, is_transient
from bronze.retry import RetryPolicy
from bronze.storage.object_store.bucket import WRITER_ATTRIBUTE
from bronze.storage.object_store.clients import version_of
from bronze.waiting import pause

if TYPE_CHECKING:
    from obstore import PutMode

    from bronze.storage.object_store.bucket import Bucket
    from bronze.storage.store import Change

#: How often other writers of an object may come first.
_CONFLICT_RETRY = RetryPolicy(attempts=100, backoff_ms=100, max_delay_s=0.8)


def create_object(bucket: Bucket, key: str, data: bytes) -> None:
    """Create a small object. Raises `ObjectExistsError` when there is one, of another writer."""
    token = secrets.token_hex(16)
    delays = bucket.retry.delays()
    failed = False
    while True:
        try:
            bucket.put(bucket.clients.publishing, key, data, "create", token)
            return
        except ObjectExistsError:
            if failed and _wrote(bucket, key, data, token):
                return
            raise
        except StoreError as error:
            if not is_transient(error):
                raise
            # The write may have taken effect, or have failed on the condition when the body is large.
            if (wrote := _wrote(bucket, key, data, token)) is not None:
                if wrote:
                    return
                raise ObjectExistsError(f"{bucket.object_url(key)} exists already") from None
            if (delay := next(delays, None)) is None:
                raise
            failed, failure = True, error
        if not pause(delay):
            raise failure


def update_object(bucket: Bucket, key: str, change: Change) -> bytes | None:
    """Read, change and write a small object in one step; see `bronze.storage.store.Store.update`.

    One case cannot be told: our write took effect, its answer was lost, and another writer came before we looked.
    Then the change is made once more, on top.
    """
    lost_tokens: set[str] = set()
    failure_delays, conflict_delays = bucket.retry.delays(), _CONFLICT_RETRY.delays()
    while True:
        mode: PutMode = "create"
        old: bytes | None = None
        try:
            held, meta, answer = bucket.get(key)
        except ObjectNotFoundError:
            pass
        else:
            old = bytes(held)
            if answer.attributes.get(WRITER_ATTRIBUTE) in lost_tokens:
                return old
            mode = version_of(meta)
        new = change(old)
        if new is None:
            return old
        token = secrets.token_hex(16)
        try:
            bucket.put(bucket.clients.single_attempt, key, new, mode, token)
            return new
        except (ObjectExistsError, ObjectNotFoundError):  # not found: another writer has deleted the version read
            if (delay := next(conflict_delays, None)) is None:
                raise StoreError(
                    f"{bucket.object_url(key)} was changed by others {_CONFLICT_RETRY.attempts} times in a row"
                ) from None
            failure = StoreError(f"{bucket.object_url(key)} was changed by others, and the run was asked to stop")
        except StoreError as error:
            lost_tokens.add(token)
            if not is_transient(error) or (delay := next(failure_delays, None)) is None:
                raise
            failure = error
        if not pause(delay):
            raise failure


def _wrote(bucket: Bucket, key: str, data: bytes, token: str) -> bool | None:
    """Whether the object at `key` is from the writer with this token; None when there is none.

    Where the service keeps no tokens, an equal object is taken for one's own.
    """
    try:
        found, _, answer = bucket.get(key)
    except ObjectNotFoundError:
        return None
    writer = answer.attributes.get(WRITER_ATTRIBUTE)
    return writer == token if writer else found == data
