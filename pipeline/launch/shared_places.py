"""What launcher and workers on other machines share: places that all of them reach."""

from __future__ import annotations

import dataclasses

from bronze.errors import ConfigError
from bronze.job.spec import CopyJob
from bronze.storage.location import StorageLocation


def control_location_of(job: CopyJob) -> StorageLocation:
    """A directory of the run beside what its workers reach in any case: checkpoints, events or partitions."""
    base = job.chain.checkpoint or job.chain.events or job.target.location
    return dataclasses.replace(
        base,
        url=f"{base.url.rstrip('/')}/_runs/{job.run.run_id}",
        storage_class=None,
        object_lock_mode=None,
        object_lock_days=None,
    )


def refuse_local_locations(job: CopyJob, remedy: str) -> None:
    """Refuse a job that names places on one machine.

    Args:
        remedy: where they may be instead.

    Raises:
        ConfigError: it does; names them.
    """
    local = [location.path for location in _locations(job) if location.scheme == "local"]
    local += [url for url in (job.chain.archives.urls if job.chain.archives else ()) if url.startswith("file:")]
    if local:
        raise ConfigError(f"workers on other machines cannot reach {', '.join(dict.fromkeys(local))}: {remedy}")


def _locations(job: CopyJob) -> list[StorageLocation]:
    lake = job.source.location if job.source else None
    return [found for found in (lake, job.target.location, job.chain.events, job.chain.checkpoint) if found is not None]
