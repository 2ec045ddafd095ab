"""From settings to a job and its secrets. Nothing is opened, and only Secret Manager is asked, where it is named."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from pydantic import ValidationError

from bronze.errors import ConfigError
from bronze.job.secret_manager import read_secret
from bronze.job.secrets import Secrets
from bronze.job.spec import ChainSpec, CopyJob, DatasetSpec, LakeSpec, RunSpec
from bronze.lake.lake import Lake
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.producer import this_producer
from bronze.redact import secrets_in
from bronze.retry import RetryPolicy
from pipeline.launch.archives import make_archives
from pipeline.launch.attestation import make_attestation
from pipeline.launch.authenticity import make_policy
from pipeline.settings.directories import Locations
from pipeline.settings.model import Settings
from pipeline.telemetry.logs import mask_also

_MIB = 1 << 20


def make_job(
    settings: Settings, locations: Locations, eras: Sequence[Era], lake: Lake | None, *, dry_run: bool = False
) -> CopyJob:
    """The job that `settings` describe, for `eras`.

    Args:
        locations: the checked locations of the same settings.
        lake: the opened lake; None for a job that reads none.
    """
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
            has_catalog=bool(settings.catalog.postgres_dsn.get_secret_value() or settings.catalog.postgres_dsn_secret),
            has_endpoint=settings.pas.enabled and bool(settings.pas.endpoint or settings.pas.endpoint_secret),
            dsn_secret=settings.catalog.postgres_dsn_secret,
            endpoint_secret=settings.pas.endpoint_secret if settings.pas.enabled else "",
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
    """The secrets that `settings` hold or name; an endpoint only when the audit stream is enabled.

    Raises:
        ConfigError: a secret that they name cannot be read, or is not what it should be.
    """
    return Secrets(dsn=catalog_dsn(settings), endpoint=delivery_endpoint(settings))


def catalog_dsn(settings: Settings) -> str:
    """The connection string of the catalog, given or in the secret that is named; empty: there is no catalog.

    Raises:
        ConfigError: see `make_secrets`.
    """
    if version := settings.catalog.postgres_dsn_secret:
        return _read("catalog", "postgres_dsn", version)
    return settings.catalog.postgres_dsn.get_secret_value()


def delivery_endpoint(settings: Settings) -> str:
    """The URL that events are delivered to, given or in the secret that is named; empty: they are not delivered.

    Raises:
        ConfigError: see `make_secrets`.
    """
    if not settings.pas.enabled:
        return ""
    if version := settings.pas.endpoint_secret:
        return _read("pas", "endpoint", version)
    return settings.pas.endpoint


def _read(section: str, key: str, version: str) -> str:
    """The secret in `version`, checked as the key is that it stands for; it is shown nowhere from here on."""
    found = read_secret(version)
    mask_also(secrets_in(found) | {found})
    try:
        Settings.model_validate({section: {key: found}})
    except ValidationError:
        raise ConfigError(f"{section}.{key}_secret: what {version} holds is not what {section}.{key} may be") from None
    return found


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
