"""Runs an audit: finds what is published at a URL or by the settings, and has its partitions checked."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import CheckpointFile
from bronze.dataset.dataset import Dataset
from bronze.dataset.published_tables import PublishedTable, find_tables
from bronze.errors import ConfigError, RunStoppedError, StoreError
from bronze.job.audit_spec import AuditLake, AuditSpec
from bronze.job.stop_signal import StopSignal
from bronze.lake.opening import LakeOptions, open_lake
from bronze.ledger.close_meta import VerifyLevel
from bronze.partitioning.era import Era
from bronze.stellar import known_passphrase
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from bronze.verify.chain_audit import ExpectedChain
from bronze.verify.era_audit import EraAudit
from bronze.verify.finding import Finding, Level, Severity
from bronze.verify.selection import Selection
from bronze.verify.verifier import verify_published
from pipeline.launch.audit_checks import AuditChecks
from pipeline.launch.scratch import scratch
from pipeline.launch.signals import stop_on_signals
from pipeline.settings.directories import checked_locations
from pipeline.settings.model import LAKE_SECTIONS, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTarget:
    """One era's table to be audited.

    Attributes:
        location, prefix, table: where it is.
        events: where its event files are; None when they are not looked at.
        checkpoint: of the era's chain; None when it is not known.
        knows_range: whether the era's first and last ledger are known; otherwise they are what is published.
    """

    location: StorageLocation
    prefix: str
    table: str
    era: Era
    knows_range: bool
    events: StorageLocation | None = None
    checkpoint: CheckpointFile | None = None

    def open_dataset(self) -> Dataset:
        """The dataset that the table is in."""
        return Dataset(open_store(self.location), self.prefix, self.table)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditOptions:
    """How to audit.

    Attributes:
        workers: partitions that are checked at once, at least 1; several are workers of a Beam graph.
        headers_only: recompute no hash of a ledger but the header's, as `source.verify: header` does.
        passphrase: of the network; None: the one that is known for the network's name, if any.
        lake: where the lake is, for the level ``source``.
        max_object: most bytes that one lake file may decode to.
        expected: what is known of the chain from elsewhere.
    """

    level: Level
    selection: Selection
    workers: int = 1
    headers_only: bool = False
    passphrase: str | None = None
    lake: StorageLocation | None = None
    max_object: int = 1 << 30
    expected: ExpectedChain = field(default_factory=ExpectedChain)


def location_of(
    url: str,
    *,
    endpoint: str | None = None,
    region: str | None = None,
    anonymous: bool = False,
    must_exist: bool = True,
) -> StorageLocation:
    """The location that a user named: a URL, or a path, relative ones from the working directory.

    Args:
        must_exist: whether a path has to be a directory.

    Raises:
        ConfigError: it is no location, or an option does not fit it.
    """
    if "://" not in url:
        if endpoint or region or anonymous:
            raise ConfigError(f"{url!r} is a path: --endpoint, --region and --anonymous are for object stores")
        path = os.path.abspath(Path(url).expanduser())  # noqa: PTH100 - resolves "..", but no symbolic links
        if must_exist and not Path(path).is_dir():
            raise ConfigError(f"{url!r} is not a directory")
        return StorageLocation(path)
    return StorageLocation(url.rstrip("/"), endpoint=endpoint, region=region, anonymous=anonymous)


def find_tables_at(location: StorageLocation, prefix: str = "") -> list[PublishedTable]:
    """The tables that are published below `prefix` at `location`."""
    return find_tables(open_store(location), prefix.strip("/"))


def find_targets(
    location: StorageLocation, era_ids: Sequence[str] = (), *, events: StorageLocation | None = None
) -> list[AuditTarget]:
    """What is published below `location`; only these eras, all when empty.

    Args:
        events: where the event files of their chains are; None when these are not looked at.

    Raises:
        ConfigError: there is no such era.
        StoreError: it cannot be listed.
    """
    tables = find_tables(open_store(location))
    unknown = set(era_ids) - {one.era.era_id for one in tables}
    if unknown:
        raise ConfigError(f"no era {', '.join(sorted(unknown))} is published at {location.url}")
    return [
        AuditTarget(
            location=location, prefix="", table=one.dataset.table, era=one.era, knows_range=False, events=events
        )
        for one in tables
        if not era_ids or one.era.era_id in era_ids
    ]


def configured_targets(
    settings: Settings, era_ids: Sequence[str], *, needs_lake: bool, chain: str | None
) -> tuple[list[AuditTarget], StorageLocation | None]:
    """The eras that the settings name, and the lake's location where it is needed.

    Args:
        chain: where the event files are; empty: where the settings must say; None: where they say, if anywhere.

    Raises:
        ConfigError: the settings, or what they refer to, are not usable; or they name no event files.
    """
    locations = checked_locations(settings, unused=() if needs_lake else LAKE_SECTIONS, writes=False)
    if chain == "" and locations.events is None:
        raise ConfigError("--chain: the configuration has no audit stream (pas.enabled)")
    events = location_of(chain) if chain else locations.events
    is_single = len(settings.all_eras()) == 1
    targets = [
        AuditTarget(
            location=locations.dataset,
            prefix=locations.prefix,
            table=settings.bronze.primary_table,
            era=era,
            knows_range=True,
            events=events,
            checkpoint=None
            if locations.checkpoint is None
            else CheckpointFile(open_store(locations.checkpoint), era, settings.copier_id, single=is_single),
        )
        for era in settings.active(list(era_ids) or None)
    ]
    return targets, locations.lake


def run_audit(targets: Iterable[AuditTarget], options: AuditOptions) -> Iterator[EraAudit]:
    """Audit one target after the other, until a signal asks to stop; writes nothing but temporary files.

    Raises:
        ConfigError: the level ``source`` without a lake.
        DataError: the lake's layout is damaged.
    """
    if options.level is Level.SOURCE and options.lake is None:
        raise ConfigError("--level source compares with the lake: name it (--lake URL, or a configuration)")
    with scratch() as folder:
        control = StorageLocation(str(folder))
        with stop_on_signals(StopSignal(control)):
            for target in targets:
                if StopSignal(control).is_requested():
                    yield _not_begun(target, options)
                else:
                    yield _audit_or_failure(target, options, control)


def _not_begun(target: AuditTarget, options: AuditOptions) -> EraAudit:
    """What an audit says of an era that it did not reach."""
    result = EraAudit(chain=target.era.chain, url=target.location.url, level=options.level, is_complete=False)
    result.not_checked.append("anything: the audit was interrupted before")
    return result


def _audit_or_failure(target: AuditTarget, options: AuditOptions, control: StorageLocation) -> EraAudit:
    """The audit; where a store does not answer, one that says so."""
    try:
        return _audit(target, options, control)
    except RunStoppedError:
        return _not_begun(target, options)
    except (StoreError, OSError) as error:
        result = EraAudit(chain=target.era.chain, url=target.location.url, level=options.level, is_complete=False)
        result.findings.append(
            Finding(
                severity=Severity.UNCHECKED,
                level=options.level,
                chain=target.era.chain,
                object=target.location.url,
                found=f"cannot be read: {error}",
            )
        )
        return result


def _audit(target: AuditTarget, options: AuditOptions, control: StorageLocation) -> EraAudit:
    spec = AuditSpec(
        location=target.location,
        prefix=target.prefix,
        table=target.table,
        era=target.era,
        level=options.level,
        verify=VerifyLevel.HEADER if options.headers_only else VerifyLevel.FULL,
        passphrase=options.passphrase or known_passphrase(target.era.network),
        lake=_lake(options, target.era) if options.level is Level.SOURCE else None,
    )
    log = EventLog(open_store(target.events), target.era) if target.events else None
    if log is not None:
        # A bucket that does not exist is said now, not after hours; one that does not answer is a finding later.
        with suppress(StoreError, OSError):
            log.names()
    result = verify_published(
        spec.open(),
        selection=options.selection,
        check_all=AuditChecks(spec, control, options.workers),
        knows_range=target.knows_range,
        log=log,
        checkpoint=target.checkpoint,
        expected=options.expected,
    )
    if options.level.includes(Level.ROWS) and spec.passphrase is None:
        result.not_checked.append(
            f"signatures: the passphrase of the network {target.era.network!r} is not known (--passphrase)"
        )
    return result


def _lake(options: AuditOptions, era: Era) -> AuditLake:
    assert options.lake is not None
    lake = open_lake(open_store(options.lake), LakeOptions(network=era.network, passphrase=options.passphrase))
    return AuditLake(location=options.lake, layout=lake.layout, max_object=options.max_object)
