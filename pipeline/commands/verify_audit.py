"""The part of ``bronze-copier verify`` that audits at a level: what to audit, and the result's output and status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bronze.errors import ConfigError, StoreError
from pipeline.exit_status import UNCHECKED

if TYPE_CHECKING:
    from bronze.verify.era_audit import EraAudit
    from pipeline.launch.audit import AuditOptions, AuditTarget
    from pipeline.settings.model import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRequest:
    """The arguments of an audit as they were given.

    Attributes:
        url: the bronze prefix; empty: what the configuration names.
        eras: only these; all when empty.
        level: a `bronze.verify.finding.Level`; empty for ``files``.
        first, last: inclusive ledgers; None: no bound.
        subset: ``K/N`` or ``P%``; empty for everything.
        workers: partitions at once, at least 1.
        chain: where the event files are; empty: where the configuration must say; None: where it says, if anywhere.
        expect_head, expect_events: what is known of the chain.
        catalog: whether the configured catalog is compared.
        lake: where the lake is, for the level ``source``; empty: where the configuration says.
        lake_endpoint, lake_region, lake_anonymous: how the object store of `lake` is reached; none of them given: as
            that of `url`, where it is of that kind.
        scp: the history archive whose SCP messages are compared; None: they are not.
        archives: the history archives that are compared, separated by commas; empty: the configured ones; None: none.
        validators: the file that says whose messages count; empty: the configured one.
        passphrase: of the network; empty: as configured, or known for the network's name.
        endpoint, region, anonymous: how the object store of `url` is reached, and of `chain` where it is of that kind.
        as_json: print one JSON document.
    """

    url: str = ""
    eras: tuple[str, ...] = ()
    level: str = ""
    first: int | None = None
    last: int | None = None
    subset: str = ""
    workers: int = 1
    chain: str | None = None
    expect_head: str = ""
    expect_events: int | None = None
    catalog: bool = False
    lake: str = ""
    lake_endpoint: str | None = None
    lake_region: str | None = None
    lake_anonymous: bool = False
    scp: str | None = None
    archives: str | None = None
    validators: str = ""
    passphrase: str = ""
    endpoint: str | None = None
    region: str | None = None
    anonymous: bool = False
    as_json: bool = False


@dataclass(frozen=True, slots=True)
class Performed:
    """What was audited.

    Attributes:
        targets, audits: the eras, and what was found of each, in the same order.
        settings: the configuration; None where a URL stood for it.
    """

    targets: Sequence[AuditTarget]
    audits: Sequence[EraAudit]
    settings: Settings | None = None


def audit(request: AuditRequest, load: Callable[[bool], Settings]) -> int:
    """Run the audit, print what was found, and return the exit status.

    Args:
        load: see `perform`.

    Raises:
        ConfigError: the request, or the settings, are not usable.
    """
    from pipeline.commands.audit_text import audit_document, audit_lines, audit_status
    from pipeline.commands.output import print_json, print_lines

    try:
        audits = perform(request, load).audits
    except (StoreError, OSError) as error:
        return unreachable(error, as_json=request.as_json)
    if request.as_json:
        print_json(audit_document(audits))
    else:
        print_lines(audit_lines(audits))
    return leave(audit_status(audits))


def leave(status: int) -> int:
    """Return `status`, or end the process with it where something still waits for a service that does not answer."""
    from pipeline.launch.audit_checks import is_something_left_behind

    if is_something_left_behind():
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


def perform(
    request: AuditRequest,
    load: Callable[[bool], Settings],
    begin: Callable[[Sequence[AuditTarget]], None] = lambda _: None,
) -> Performed:
    """Run the audit.

    Args:
        load: the settings; called where `request` names no URL; its argument says whether the lake's are needed.
        begin: called with the eras before anything of them is audited.

    Raises:
        ConfigError: the request, or the settings, are not usable.
        StoreError, OSError: nothing at all could be read.
    """
    from bronze.verify.audit import seam_findings
    from pipeline.launch.archive_audit import add_archives, make_archive_options
    from pipeline.launch.audit import run_audit
    from pipeline.launch.catalog_audit import add_catalog
    from pipeline.launch.scp_audit import add_scp, make_scp_options

    targets, options, settings = _targets(request, load)
    scp = make_scp_options(request.scp, request.validators, settings)
    archives = make_archive_options(request.archives, settings)
    begin(targets)
    audits = list(run_audit(targets, options))
    is_whole = all(one.is_complete for one in audits)
    if scp is not None and is_whole:
        add_scp(audits, targets, scp, options.selection, options.passphrase)
    if archives is not None and is_whole:
        add_archives(audits, targets, archives, options.selection, options.passphrase)
    for finding in seam_findings(audits):
        next(audit for audit in audits if audit.url == finding.object).findings.append(finding)
    if request.catalog and settings is not None and is_whole:
        add_catalog(audits, settings, options.selection)
    for is_asked, what, how in (
        (request.catalog, "the catalog", "--catalog, with a configuration"),
        (archives is not None, "history archives", "--archives"),
        (scp is not None, "SCP messages of history archives", "--scp"),
    ):
        if not (is_asked and is_whole):
            for one in audits:
                one.not_checked.append(f"{what}: the audit was interrupted" if is_asked else f"{what} ({how})")
    return Performed(targets, audits, settings)


def _targets(
    request: AuditRequest, load: Callable[[bool], Settings]
) -> tuple[list[AuditTarget], AuditOptions, Settings | None]:
    from bronze.verify.chain_audit import ExpectedChain
    from bronze.verify.finding import Level
    from bronze.verify.selection import Selection, Subset
    from pipeline.launch.audit import AuditOptions, configured_targets, find_targets, location_of

    level = Level(request.level or Level.FILES)
    try:
        subset = Subset.parse(request.subset) if request.subset else None
    except ValueError as error:
        raise ConfigError(f"--subset: {error}") from error
    lake_reach = _lake_reach(request)
    lake = location_of(request.lake, **lake_reach) if request.lake else None
    headers_only, passphrase = False, request.passphrase
    settings = None
    if request.url:
        if request.catalog:
            raise ConfigError("--catalog compares the configured catalog: leave the URL out")
        if request.chain == "":
            raise ConfigError("--chain needs the place of the event files where there is no configuration")
        place = location_of(request.url, **_reach(request))
        is_beside = _is_same_kind(request.chain or "", request.url)
        events = location_of(request.chain, **(_reach(request) if is_beside else {})) if request.chain else None
        targets = find_targets(place, request.eras, events=events)
    else:
        if request.endpoint or request.region or request.anonymous:
            raise ConfigError("--endpoint, --region and --anonymous are of URL; the configuration has its own settings")
        settings = load(level is Level.SOURCE and lake is None)
        headers_only = settings.source.verify == "header"
        passphrase = passphrase or settings.source.network_passphrase
        targets, configured_lake = configured_targets(
            settings, request.eras, needs_lake=level is Level.SOURCE and lake is None, chain=request.chain
        )
        lake = lake or configured_lake
    options = AuditOptions(
        level=level,
        selection=Selection(first=request.first, last=request.last, subset=subset),
        workers=request.workers,
        headers_only=headers_only,
        passphrase=passphrase or None,
        lake=lake,
        expected=ExpectedChain(head=request.expect_head, events=request.expect_events),
    )
    return targets, options, settings


def _reach(request: AuditRequest) -> dict[str, Any]:
    return {"endpoint": request.endpoint, "region": request.region, "anonymous": request.anonymous}


def _is_same_kind(url: str, other: str) -> bool:
    """Whether both are URLs of object stores of one kind."""
    return "://" in url and url.partition("://")[0] == other.partition("://")[0]


def _lake_reach(request: AuditRequest) -> dict[str, Any]:
    """How the lake is reached.

    Raises:
        ConfigError: the request says how, and names no lake.
    """
    reach: dict[str, Any] = {
        "endpoint": request.lake_endpoint, "region": request.lake_region, "anonymous": request.lake_anonymous
    }  # fmt: skip
    if any(reach.values()) and not request.lake:
        raise ConfigError("--lake-endpoint, --lake-region and --lake-anonymous are of --lake: name it")
    return reach if any(reach.values()) or not _is_same_kind(request.lake, request.url) else _reach(request)


def unreachable(error: Exception, *, as_json: bool) -> int:
    """Say that nothing could be checked."""
    from pipeline.commands.audit_text import SCHEMA
    from pipeline.commands.output import print_json, print_lines

    if as_json:
        print_json({"schema": SCHEMA, "result": "unchecked", "exit_status": UNCHECKED, "error": str(error), "eras": []})
    else:
        print_lines([f"COULD NOT BE CHECKED: {error}"])
    return UNCHECKED
