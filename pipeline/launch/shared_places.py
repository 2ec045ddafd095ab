"""What launcher and workers on other machines share: places that all of them reach."""

from __future__ import annotations

import dataclasses

from bronze.errors import ConfigError
from bronze.job.spec import CopyJob
from bronze.storage.location import StorageLocation
from pipeline.launch.dataflow_options import DataflowOptions
from pipeline.launch.flink_options import FlinkOptions

_MOUNTED = (
    "with this runner lake, storage, checkpoint and audit stream must all be on object stores, history archives there"
    " or on HTTP servers, or all on a file system that is mounted at the same path everywhere, with"
    " perf.shared_filesystem: true"
)
_NOT_MOUNTED = (
    "on Dataflow lake, storage, checkpoint and audit stream must all be on object stores, history archives there or on"
    " HTTP servers; perf.shared_filesystem does not help, since workers mount nothing"
)


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


def check_places_of(options: FlinkOptions | DataflowOptions | None, job: CopyJob, *, shared_filesystem: bool) -> None:
    """Check that the workers of a run with these Beam options reach the places that `job` names.

    Args:
        options: of a distributed runner; None: the local one, which reaches all of them.
        shared_filesystem: whether directories are mounted at the same path on all machines.

    Raises:
        ConfigError: they do not; names the places.
    """
    if isinstance(options, DataflowOptions):
        refuse_local_locations(job, can_mount=False)
    elif options is not None and not options.is_embedded and not shared_filesystem:
        refuse_local_locations(job, can_mount=True)


def refuse_local_locations(job: CopyJob, *, can_mount: bool) -> None:
    """Refuse a job that names places on one machine.

    Args:
        can_mount: whether workers could reach them all the same, had they mounted them.

    Raises:
        ConfigError: it does; names them.
    """
    local = [location.path for location in _locations(job) if location.scheme == "local"]
    local += [url for url in (job.chain.archives.urls if job.chain.archives else ()) if url.startswith("file:")]
    if local:
        remedy = _MOUNTED if can_mount else _NOT_MOUNTED
        raise ConfigError(f"workers on other machines cannot reach {', '.join(dict.fromkeys(local))}: {remedy}")


def _locations(job: CopyJob) -> list[StorageLocation]:
    lake = job.source.location if job.source else None
    return [found for found in (lake, job.target.location, job.chain.events, job.chain.checkpoint) if found is not None]
