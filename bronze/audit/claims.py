"""The claim of an event's place in its chain, in stores that do not support locking.

A claim is an object that only one of several copiers can create, named by the hash of the event before. It holds the
event itself, so that whoever finds the place taken can create the file of the event that took it.
"""

from __future__ import annotations

import re
from contextlib import suppress

from bronze.audit.event import MAX_EVENT_BYTES, Event, parse_event
from bronze.errors import ObjectExistsError, StateError
from bronze.partitioning.era import Era
from bronze.storage.json_object import unusable_object_error
from bronze.storage.store import Store

#: Folder of the claims.
_CLAIMS = "_links"
#: A claim is the event's file name and its bytes.
_MAX_CLAIM_BYTES = MAX_EVENT_BYTES + 1024


def claim_place(store: Store, era: Era, event: Event, key: str, file_name: re.Pattern[str]) -> None:
    """Claim the place after the event before `event`, or create the file of the event that has claimed it.

    Args:
        key: of the file of `event`.
        file_name: what the names of the chain's event files match.

    Raises:
        ObjectExistsError: another event has claimed the place.
        StateError: the claim is damaged.
    """
    claim = f"{_CLAIMS}/{era.file_prefix}/{event.prev_hash.removeprefix('sha256:') or 'first'}"
    with suppress(ObjectExistsError):
        store.create(claim, f"{key}\n".encode() + event.to_bytes())
        return
    where = f"{store.url}/{claim}"
    with unusable_object_error(f"claim {where}"):
        name, _, data = store.read(claim, _MAX_CLAIM_BYTES).partition(b"\n")
    other = parse_event(data, where)
    stem = f"{era.file_prefix}_{other.partition}.".encode()
    fits = file_name.fullmatch(name.decode(errors="replace")) and name.startswith(stem)
    if not fits or other.chain != era.chain or other.prev_hash != event.prev_hash:
        raise StateError(f"claim {where} is not of an event of {era.chain} that follows {event.prev_hash or 'nothing'}")
    if other.event_hash == event.event_hash:
        return
    with suppress(ObjectExistsError):
        store.create(name.decode(), data)
    raise ObjectExistsError(f"{where} is claimed by the event of {other.partition}")
