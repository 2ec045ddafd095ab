"""Runs the comparison with history archives over what an audit found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bronze.archives.comparison import ArchiveComparison
from bronze.archives.opening import AUDIT_FAILURES, open_archive
from bronze.archives.url import check_archive_url
from bronze.errors import ConfigError
from bronze.partitioning.partition import Partition
from bronze.stellar import known_passphrase
from bronze.verify.archive_audit import audit_archives
from bronze.verify.era_audit import EraAudit
from bronze.verify.selection import Selection
from pipeline.launch.audit import AuditTarget
from pipeline.settings.model import MAX_ARCHIVES, Settings


@dataclass(frozen=True, slots=True)
class ArchiveOptions:
    """What partitions are compared with.

    Attributes:
        urls: of the archives, at least one.
        needed: how many of them have to agree, at least 1.
    """

    urls: tuple[str, ...]
    needed: int


def make_archive_options(given: str | None, settings: Settings | None) -> ArchiveOptions | None:
    """What partitions are compared with; None when that is not asked for.

    Args:
        given: the URLs that were given, separated by commas: all of these have to agree. Empty: those of the settings,
            of which `authenticity.archives_agree` have to. None: no comparison is asked for.
        settings: None where there is no configuration.

    Raises:
        ConfigError: no archive is named, or a URL is not usable.
    """
    if given is None:
        return None
    if given:
        try:
            urls = tuple(check_archive_url(one.strip()) for one in given.split(","))
        except ConfigError as error:
            raise ConfigError(f"--archives {error}") from error
        if len(set(urls)) < len(urls) or len(urls) > MAX_ARCHIVES:
            raise ConfigError(f"--archives needs at most {MAX_ARCHIVES} history archives, each named once")
        return ArchiveOptions(urls, len(urls))
    section = settings.authenticity if settings else None
    if section is None or not section.archives:
        raise ConfigError("--archives needs the URL of a history archive, or authenticity.archives in a configuration")
    return ArchiveOptions(section.archives, section.archives_agree or len(section.archives))


def add_archives(
    audits: Sequence[EraAudit],
    targets: Sequence[AuditTarget],
    options: ArchiveOptions,
    selection: Selection,
    passphrase: str | None,
) -> None:
    """Compare the last ledger of every selected partition of the audits, and add to them what was found.

    Args:
        targets: what the audits are of, in their order.
        passphrase: of the network; None: the one that is known for its name, if any.
    """
    archives = [open_archive(url, give_up_after=AUDIT_FAILURES) for url in options.urls]
    for audit, target in zip(audits, targets, strict=True):
        phrase = passphrase or known_passphrase(target.era.network)
        audit_archives(
            audit,
            audit.selected(selection),
            [ArchiveComparison(archive, phrase) for archive in archives],
            options.needed,
            _parquet_urls(target),
        )


def _parquet_urls(target: AuditTarget) -> Callable[[Partition], str]:
    dataset = target.open_dataset()
    return lambda partition: dataset.object_url(dataset.parquet_key(target.era, partition))
