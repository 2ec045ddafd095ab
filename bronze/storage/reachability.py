"""Whether the store at a location answers at all: one small request, or one look at a directory."""

from __future__ import annotations

import dataclasses
import os

from bronze.errors import BronzeError, is_unreachable
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation

#: Seconds that the one request may take.
_TIMEOUT_S = 5.0
#: A key that is looked up; whether there is an object does not matter.
_KEY = ".reachable"


def unreachable_reason(location: StorageLocation) -> str:
    """Why the store at `location` does not answer; empty when it does.

    A refused permission, a missing bucket and a missing directory are answers.
    """
    try:
        if location.scheme == "local":
            os.stat(location.path)  # noqa: PTH116 - a Path turns some errors into an answer
        else:
            from bronze.storage.object_store.store import ObjectStore  # late: it takes a third of a second

            # Its own clients: those that work retry for minutes.
            once = dataclasses.replace(location, request_timeout_s=min(_TIMEOUT_S, location.request_timeout_s))
            ObjectStore(once, retry=RetryPolicy(attempts=1, backoff_ms=0), client_retries=0).size(_KEY)
    except (BronzeError, OSError) as error:
        return str(error) if is_unreachable(error) else ""
    return ""
