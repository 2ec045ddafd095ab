"""The settings: a frozen model for each section of the file, with every key, its type and its default.

`pipeline.settings.load` also checks keys against each other; a `Settings` made otherwise is not checked like that.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, SecretStr, model_validator

from bronze.dataset.schema import COMPRESSIONS, PRIMARY_TABLE
from bronze.errors import ConfigError
from bronze.partitioning.era import Era, ordered_eras
from bronze.redact import redact, secrets_in
from pipeline.settings.types import (
    Address,
    Anchor,
    ArchiveUrl,
    DatastorePath,
    Dsn,
    Flag,
    GcsBucket,
    Identity,
    Ledger,
    LedgerCount,
    PathSegment,
    Prefix,
    S3Bucket,
    SecretVersion,
    ServerUrl,
    Text,
    Url,
    UrlPath,
    choice,
    integer,
)

#: Environment variables whose values must never be shown, in addition to the secrets in the settings.
SECRET_VARIABLES = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "CATALOG_DSN")

#: Sections that describe the lake: commands that work on what was published do not need them.
LAKE_SECTIONS = frozenset({"source"})


class Section(BaseModel):
    """Base of all sections: unknown keys are errors, and a key without a value has its default.

    Attributes:
        must_not_be_empty: keys whose default is taken only where they are left out: not for null, nor for empty text.
    """

    must_not_be_empty: ClassVar[frozenset[str]] = frozenset()

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    @model_validator(mode="before")
    @classmethod
    def _drop_unset(cls, values: object) -> object:
        """Null means unset, and so does empty text where the default is a text: files of the Go copier rely on it."""
        if not isinstance(values, Mapping):
            return {} if values is None else values
        texts = {name for name, field in cls.model_fields.items() if isinstance(field.default, str)}
        texts -= cls.must_not_be_empty
        given = {key: "" if value is None and key in cls.must_not_be_empty else value for key, value in values.items()}
        return {key: value for key, value in given.items() if value is not None and not (value == "" and key in texts)}

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        for name, value in super().__repr_args__():
            yield name, redact(value) if isinstance(value, str) else value


#: Keys of an era that name the chain everything is published under.
IDENTITY_KEYS = ("era_id", "version_label", "network")


class EraSettings(Section):
    """An era; see `bronze.partitioning.era.Era`.

    Its identity (`IDENTITY_KEYS`) has defaults, but only for keys that are left out: a value that is given and empty
    most likely comes from a variable that was not set, and the default would publish under another chain's name.
    """

    must_not_be_empty = frozenset(IDENTITY_KEYS)

    era_id: Identity = "pre_p23"
    version_label: Identity = "v1"
    network: Identity = "pubnet"
    ledger_start: Ledger = 1
    ledger_end: Ledger = 0
    partition_size: LedgerCount = 10000
    allow_overwrite: Flag = False
    protocol_min: Annotated[int, integer(0, 1000)] | None = None
    protocol_max: Annotated[int, integer(0, 1000)] | None = None

    def era(self) -> Era:
        """Convert to an `Era`. Raises `ConfigError` when keys contradict each other."""
        return Era(**self.model_dump())


class SourceSettings(Section):
    """The lake. For the keys of its layout, 0 and empty mean: as its .config.json or its object names say."""

    mode: Annotated[Literal["local", "gcs", "s3", "datastore"], choice("local", "gcs", "s3", "datastore")] = "local"
    local_path: Text = ""
    gcs_bucket: GcsBucket = ""
    gcs_prefix: Prefix = ""
    s3_bucket: S3Bucket = ""
    s3_prefix: Prefix = ""
    s3_endpoint: ServerUrl = ""
    s3_region: Text = ""
    datastore_type: Annotated[Literal["", "GCS", "S3"], choice("", "GCS", "S3", upper=True)] = ""
    datastore_path: DatastorePath = ""
    anonymous: Flag = False
    requester_pays: Flag = False
    verify: Annotated[Literal["full", "header"], choice("full", "header")] = "full"
    ledgers_per_file: Ledger = 0
    files_per_directory: Ledger = 0
    extension: Annotated[Literal["", "zst", "zstd"], choice("", "zst", "zstd")] = ""
    network_passphrase: Text = ""
    max_object_mb: Annotated[int, integer(1, 2047, "MiB")] = 1024
    poll_seconds: Annotated[int, integer(1, 3600, "seconds")] = 5


class ObjectLockSettings(Section):
    """How long published objects are locked against change and removal; 0 days: not at all."""

    mode: Annotated[Literal["", "GOVERNANCE", "COMPLIANCE"], choice("", "GOVERNANCE", "COMPLIANCE", upper=True)] = ""
    days: Annotated[int, integer(0, 36_500)] = 0


class StorageSettings(Section):
    """Where partitions are published."""

    backend: Annotated[Literal["local", "gcs", "s3"], choice("local", "gcs", "s3")] = "local"
    local_dir: Text = "./data"
    gcs_bucket: GcsBucket = ""
    s3_bucket: S3Bucket = ""
    s3_endpoint: ServerUrl = ""
    s3_region: Text = ""
    prefix: Prefix = "bronze/"
    storage_class: Text = ""
    kms_key: Text = ""
    object_lock: ObjectLockSettings = ObjectLockSettings()
    allow_unconditional: Flag = False


class CatalogSettings(Section):
    """The PostgreSQL catalog; an empty connection string means no catalog."""

    postgres_dsn: Dsn = SecretStr("")
    postgres_dsn_secret: SecretVersion = ""
    namespace: Text = "mainnet"
    strict: Flag = False


class PasSettings(Section):
    """The Public Audit Stream; without an endpoint, events are written to files only."""

    enabled: Flag = False
    endpoint: Url = ""
    endpoint_secret: SecretVersion = ""
    backup_dir: Text = "./pas-backup"
    strict: Flag = False


class CheckpointSettings(Section):
    """Where the position of each chain is recorded."""

    enabled: Flag = True
    dir: Text = "./state"


class PerfSettings(Section):
    """Concurrency, retries and limits. No key here changes a byte of what is published."""

    # In the Go copier 0 meant the default for three of these keys, and existing files contain it. 0: no limit.
    max_in_flight_partitions: Annotated[int, integer(0, 1024)] = 0
    workers: Annotated[int, integer(0, 1024)] = 0
    queue_size: Annotated[int, integer(0, 1_000_000)] = 0
    retry_attempts: Annotated[int, integer(0, 100), AfterValidator(lambda count: count or 3)] = 3
    retry_backoff_ms: Annotated[int, integer(0, 600_000, "milliseconds"), AfterValidator(lambda ms: ms or 1000)] = 1000
    outage_limit_seconds: Annotated[int, integer(0, 604_800, "seconds; 0: no waiting")] = 3600
    wave_partitions: Annotated[int, integer(0, 1_000_000)] = 0
    shared_filesystem: Flag = False
    max_upload_mb_s: Annotated[int, integer(0, 1_000_000, "MB a second; 0: no limit")] = 0
    max_download_mb_s: Annotated[int, integer(0, 1_000_000, "MB a second; 0: no limit")] = 0


class LoggingSettings(Section):
    """Format and level of the log."""

    format: Annotated[Literal["text", "json", "gcp"], choice("text", "json", "gcp")] = "text"
    level: Annotated[
        Literal["debug", "info", "warn", "error"],
        choice("debug", "info", "warn", "error", synonyms={"warning": "warn"}),
    ] = "info"
    progress_seconds: Annotated[int, integer(0, 86_400, "seconds; 0: no lines")] = 10


class MetricsSettings(Section):
    """Metrics for Prometheus: served while a run lasts, written to a file, pushed to a gateway."""

    enabled: Flag = False
    #: Loopback unless an address is given: metrics and health are served to anybody who can connect.
    address: Address = "127.0.0.1:9090"
    port: Annotated[int, integer(0, 65535)] | None = None
    path: UrlPath = "/metrics"
    textfile: Text = ""
    pushgateway: ServerUrl = ""
    stalled_after_seconds: Annotated[int, integer(1, 1_000_000, "seconds")] = 600

    @property
    def is_wanted(self) -> bool:
        """Whether metrics go anywhere."""
        return self.enabled or bool(self.textfile or self.pushgateway)

    @property
    def listen_at(self) -> tuple[str, int]:
        """The host to listen at, empty for all interfaces, and the port; 0: any free one."""
        host, _, port = self.address.rpartition(":")
        return host.strip("[]"), int(port) if self.port is None else self.port


#: History archives that may be configured.
MAX_ARCHIVES = 32
_CHECK_MODES = ("require", "report", "off")


class AuthenticitySettings(Section):
    """Which proofs that the ledgers are the network's own are required; see docs/authenticity.md."""

    signatures: Annotated[Literal["require", "report", "off"], choice(*_CHECK_MODES)] = "require"
    events: Annotated[Literal["require", "report", "off"], choice(*_CHECK_MODES)] = "require"
    genesis: Flag = True
    anchors: tuple[Anchor, ...] = ()
    anchors_file: Text = ""
    validators: Text = ""
    attestation: Annotated[Literal["require", "report", "off"], choice(*_CHECK_MODES)] = "report"
    attestation_lag: Annotated[int, integer(1, 100_000, "ledgers")] = 100
    archives: tuple[ArchiveUrl, ...] = ()
    archives_agree: Annotated[int, integer(0, MAX_ARCHIVES, "0: all of them")] = 0
    archives_strict: Flag = False


class BronzeSettings(Section):
    """The published table."""

    primary_table: PathSegment = PRIMARY_TABLE
    compression: Annotated[Literal["zstd", "snappy", "none"], choice(*COMPRESSIONS)] = "zstd"
    publish_partial: Flag = False


class Settings(Section):
    """All settings of a run."""

    copier_id: Text = "bronze-copier-001"
    era: EraSettings = EraSettings()
    eras: tuple[EraSettings, ...] = ()
    active_eras: tuple[PathSegment, ...] = ()
    source: SourceSettings = SourceSettings()
    storage: StorageSettings = StorageSettings()
    catalog: CatalogSettings = CatalogSettings()
    pas: PasSettings = PasSettings()
    checkpoint: CheckpointSettings = CheckpointSettings()
    perf: PerfSettings = PerfSettings()
    logging: LoggingSettings = LoggingSettings()
    metrics: MetricsSettings = MetricsSettings()
    bronze: BronzeSettings = BronzeSettings()
    authenticity: AuthenticitySettings = AuthenticitySettings()

    def all_eras(self) -> tuple[Era, ...]:
        """All eras in ledger order: those of `eras`, or the single `era` when `eras` is empty.

        Raises:
            ConfigError: eras overlap, or keys contradict each other (`pipeline.settings.load` refuses both).
        """
        return ordered_eras(era.era() for era in self.eras or (self.era,))

    def active(self, chosen: Sequence[str] | None = None) -> list[Era]:
        """The eras to copy, in ledger order: those whose ids `chosen` (else `active_eras`) lists; all if it is empty.

        Raises:
            ConfigError: no era has one of the ids.
        """
        eras = self.all_eras()
        names = self.active_eras if chosen is None else chosen
        known = [era.era_id for era in eras]
        if problems := [unknown_era(name, known) for name in names if name not in known]:
            raise ConfigError("\n".join(problems))
        return [era for era in eras if not names or era.era_id in names]

    @property
    def workers(self) -> int:
        """Number of workers: `perf.workers`, or the cores that this process may use; at most what may be in flight."""
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        wanted = self.perf.workers or cores
        return min(wanted, self.perf.max_in_flight_partitions or wanted)

    def secrets(self, environ: Mapping[str, str] | None = None) -> frozenset[str]:
        """Strings that must never be shown: from the settings, and from `SECRET_VARIABLES` in `environ`."""
        dsn = self.catalog.postgres_dsn.get_secret_value()
        found = secrets_in(dsn) | secrets_in(self.pas.endpoint)
        values = [value for name in SECRET_VARIABLES if (value := (environ or {}).get(name))]
        return found.union(values, [dsn] if dsn else [])


def unknown_era(name: str, known: Iterable[str]) -> str:
    """The message that no era has the id `name`, with the nearest id that exists."""
    known = list(known)
    near = get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"there is no era {name!r}: {hint}configured are {', '.join(known)}"
