"""From settings to a job and its secrets. Nothing is opened."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from bronze.job.secrets import Secrets
from bronze.job.spec import ChainSpec, CopyJob, DatasetSpec, LakeSpec, RunSpec
from bronze.lake.lake import Lake
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.producer import this_producer
from bronze.retry import RetryPolicy
from pipeline.launch.archives import make_archives
from pipeline.launch.attestation import make_attestation
from pipeline.launch.authenticity import make_policy
from pipeline.settings.directories import Locations
from pipeline.settings.model import Settings

_MIB = 1 << 20


def make_job(
    settings: Settings, locations: Locations, eras: Sequence[Era], lake: Lake | None, *, dry_run: bool = False
) -> CopyJob:
    """The job that `settings` describe, for `eras`.

    Args:
        locations: the checked locations of the same settings.
        lake: the opened lake; None for a job that reads none.
    """
    known = make_secrets(settings)
    return CopyJob(
        eras=tuple(eras),
        source=_lake_spec(settings, locations, lake, eras[0].network) if lake else None,
        target=DatasetSpec(
            location=locations.dataset,
            prefix=locations.prefix,
            table=settings.bronze.primary_table,
            compression=settings.bronze.compression,
        ),
        chain=ChainSpec(
            events=locations.events,
            checkpoint=locations.checkpoint,
            copier_id=settings.copier_id,
            single_era=len(settings.all_eras()) == 1,
            has_catalog=bool(known.dsn),
            has_endpoint=bool(known.endpoint),
            catalog_namespace=settings.catalog.namespace,
            catalog_strict=settings.catalog.strict,
            delivery_strict=settings.pas.strict,
            attestation=make_attestation(settings, eras[0].network, lake.passphrase if lake else None),
            archives=make_archives(settings, eras[0].network, lake.passphrase if lake else None),
        ),
        run=RunSpec(
            run_id=secrets.token_hex(8),
            producer=this_producer(),
            retry=RetryPolicy(settings.perf.retry_attempts, settings.perf.retry_backoff_ms),
            outage_limit_s=settings.perf.outage_limit_seconds,
            dry_run=dry_run,
        ),
    )


def make_secrets(settings: Settings) -> Secrets:
    """The secrets that `settings` hold; an endpoint only when the audit stream is enabled."""
    return Secrets(
        dsn=settings.catalog.postgres_dsn.get_secret_value(),
        endpoint=settings.pas.endpoint if settings.pas.enabled else "",
    )


def _lake_spec(settings: Settings, locations: Locations, lake: Lake, network: str) -> LakeSpec:
    assert locations.lake is not None
    return LakeSpec(
        location=locations.lake,
        layout=lake.layout,
        passphrase=lake.passphrase,
        verify=VerifyLevel(settings.source.verify),
        authenticity=make_policy(settings, network, lake.passphrase),
        max_file_bytes=settings.source.max_object_mb * _MIB,
        read_ahead=settings.perf.queue_size,
    )
