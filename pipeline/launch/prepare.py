"""From settings to a job and a plan: opens the lake, reads where each chain stands, cuts partitions."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass

from bronze.commit.position import ChainPosition
from bronze.job.spec import DSN_VARIABLE, ENDPOINT_VARIABLE, CopyJob
from bronze.lake.lake import Lake, NewestObject
from bronze.lake.opening import LakeOptions, open_lake
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.partitioning.plan import EraPlan, plan_era
from bronze.producer import this_producer
from bronze.retry import RetryPolicy
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from pipeline.settings import LAKE_SECTIONS, Locations, Settings, checked_locations

_LOG = logging.getLogger(__name__)
_MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Prepared:
    """A run that is ready to start.

    Attributes:
        newest: the lake's newest object; None when no era asked for it.
        positions: where each era's chain goes on, in the order of `plans`.
    """

    job: CopyJob
    lake: Lake
    newest: NewestObject | None
    plans: Sequence[EraPlan]
    positions: Sequence[ChainPosition]


def prepare(
    settings: Settings, era_ids: Sequence[str] = (), *, partial: bool = False, dry_run: bool = False
) -> Prepared:
    """Find out what a run with these settings has to do; writes nothing.

    Args:
        era_ids: only these eras; all active ones when empty.
        partial: publish the incomplete last partition of an era without an end, whatever the settings say.

    Raises:
        ConfigError: the settings, or what they point at, cannot be used.
        DataError: the lake's layout or the state of a chain is damaged.
    """
    locations = checked_locations(settings)
    eras = tuple(settings.active(era_ids or None))
    _export_secrets(settings)
    assert locations.lake is not None
    lake = _open_lake(settings, locations.lake, eras)
    job = _job(settings, locations, eras, lake, dry_run=dry_run)
    newest = lake.newest() if any(era.ledger_end == 0 for era in eras) else None
    positions = [job.sequencer(era).position() for era in eras]
    plans = [
        plan_era(
            era,
            position.next_ledger,
            newest.ledger if newest else None,
            job.dataset(),
            partial=partial or settings.bronze.publish_partial,
        )
        for era, position in zip(eras, positions, strict=True)
    ]
    return Prepared(job, lake, newest, plans, positions)


def prepare_state(settings: Settings, era_ids: Sequence[str] = ()) -> CopyJob:
    """A job that works on what was published and its chains, without a lake.

    Raises:
        ConfigError: the settings, or what they point at, cannot be used.
    """
    locations = checked_locations(settings, unused=LAKE_SECTIONS)
    _export_secrets(settings)
    eras = tuple(settings.active(era_ids or None))
    return _job(settings, locations, eras, None, dry_run=False)


def clean_leftovers(job: CopyJob) -> list[str]:
    """Remove what dead runs left unfinished (on object stores: more than a day ago); return what was removed."""
    return [f"{store.url}/{key}" for store in job.stores() for key in store.remove_leftovers()]


def ready_stores(job: CopyJob) -> None:
    """Make sure that the stores a run writes to can be relied on, and free local ones of what dead runs left.

    Raises:
        ConfigError: an object store does not heed conditions.
    """
    for store in job.stores():
        store.check_conditional_writes()
        if store.tells_dead_writers:  # elsewhere only `clean_leftovers` removes them, by their age
            for key in store.remove_leftovers():
                _LOG.info("removed %s/%s, which a run that ended early left", store.url, key)


def _open_lake(settings: Settings, location: StorageLocation, eras: Sequence[Era]) -> Lake:
    source = settings.source
    expected = LakeOptions(
        network=eras[0].network,
        passphrase=source.network_passphrase or None,
        ledgers_per_file=source.ledgers_per_file or None,
        files_per_directory=source.files_per_directory or None,
        extension=source.extension or None,
    )
    return open_lake(open_store(location), expected)


def _export_secrets(settings: Settings) -> None:
    """Put the secrets where this process and its workers look for them, and nowhere else."""
    secrets = {
        DSN_VARIABLE: settings.catalog.postgres_dsn.get_secret_value(),
        ENDPOINT_VARIABLE: settings.pas.endpoint if settings.pas.enabled else "",
    }
    for variable, value in secrets.items():
        if value:
            os.environ[variable] = value
        else:
            os.environ.pop(variable, None)


def _job(
    settings: Settings, locations: Locations, eras: tuple[Era, ...], lake: Lake | None, *, dry_run: bool
) -> CopyJob:
    return CopyJob(
        eras=eras,
        single_era=len(settings.all_eras()) == 1,
        copier_id=settings.copier_id,
        lake_location=locations.lake,
        layout=lake.layout if lake else None,
        passphrase=lake.passphrase if lake else None,
        verify=VerifyLevel(settings.source.verify),
        max_object=settings.source.max_object_mb * _MIB,
        dataset_location=locations.dataset,
        prefix=locations.prefix,
        table=settings.bronze.primary_table,
        compression=settings.bronze.compression,
        events_location=locations.events,
        checkpoint_location=locations.checkpoint,
        retry=RetryPolicy(settings.perf.retry_attempts, settings.perf.retry_backoff_ms),
        producer=this_producer(),
        catalog_strict=settings.catalog.strict,
        catalog_namespace=settings.catalog.namespace,
        delivery_strict=settings.pas.strict,
        read_ahead=settings.perf.queue_size,
        dry_run=dry_run,
    )
