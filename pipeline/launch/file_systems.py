"""The file systems that a run would write to, tried without a run."""

from __future__ import annotations

import logging

from bronze.storage.opening import open_store
from pipeline.settings.directories import Locations

_LOG = logging.getLogger(__name__)


def check_file_systems(locations: Locations) -> None:
    """Check that the local stores among `locations` can be written to safely; leaves nothing behind.

    No service is asked: buckets are checked by each run.

    Raises:
        ConfigError: one cannot; names the path, the call that failed and what to do.
        StoreError: a call failed that may work later, as on a full disk.
    """
    for location in dict.fromkeys((locations.dataset, locations.events, locations.checkpoint)):
        if location and location.scheme == "local":
            for notice in open_store(location).check_conditional_writes():
                _LOG.warning("%s", notice)
