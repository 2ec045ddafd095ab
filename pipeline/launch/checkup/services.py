"""Whether catalog, delivery endpoint and history archives answer as a run needs it; nothing is left behind there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from bronze.archives.opening import open_archive
from bronze.audit.endpoint import DeliveryEndpoint, EndpointAnswer
from bronze.catalog.catalog import Catalog
from bronze.errors import CatalogUnavailableError
from bronze.partitioning.era import Era
from bronze.retry import RetryPolicy
from bronze.stellar import known_passphrase
from pipeline.launch.attestation import make_attestation
from pipeline.launch.authenticity import make_policy
from pipeline.launch.checkup.check import FINDINGS, Check, fails, holds, unchecked, unused
from pipeline.launch.checkup.clock import ServerTime, read_clock
from pipeline.launch.job import catalog_dsn, delivery_endpoint
from pipeline.settings.model import Settings

_ONCE = RetryPolicy(1, 0)
_ARCHIVE_SECONDS = 10.0
#: Answers to OPTIONS of servers that are there and do not know that method.
_OTHER_METHOD = frozenset({HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})
_FOLLOWED = frozenset({HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT})
_REFUSED = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.PROXY_AUTHENTICATION_REQUIRED})
_LATER = frozenset({HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS})


@dataclass(frozen=True, slots=True)
class ServiceCheck:
    """A check, and the time that the service told, if it did."""

    check: Check
    time: ServerTime | None = None


def check_catalog(settings: Settings, eras: Sequence[Era]) -> ServiceCheck:
    """Write and read what a run records, and roll it back."""
    name = "catalog"
    try:
        dsn = catalog_dsn(settings)
    except FINDINGS as error:
        return ServiceCheck(fails(name, str(error), "correct catalog.postgres_dsn_secret, or what it names"))
    if not dsn:
        return ServiceCheck(unused(name, "no catalog.postgres_dsn"))
    try:
        with Catalog(dsn, settings.catalog.namespace) as catalog:
            clock = read_clock()
            then = catalog.check(eras[0], settings.bronze.primary_table)
            found = f"{catalog.where}: rows can be written and read (a trial, which was rolled back)"
            return ServiceCheck(holds(name, found), clock.compare(f"the catalog at {catalog.where}", then))
    except FINDINGS as error:
        remedy = "give this role the rights to create and to write the tables, on a server that is no standby"
        if isinstance(error, CatalogUnavailableError):
            remedy = (
                "is the server up and reachable from here (pg_isready), and are host, port, database and password of"
                " catalog.postgres_dsn (or CATALOG_DSN) right?"
            )
        return ServiceCheck(fails(name, str(error), remedy))


def check_endpoint(settings: Settings) -> ServiceCheck:
    """Ask the endpoint for its options, which delivers nothing."""
    name = "endpoint"
    try:
        url = delivery_endpoint(settings)
    except FINDINGS as error:
        return ServiceCheck(fails(name, str(error), "correct pas.endpoint_secret, or what it names"))
    if not url:
        return ServiceCheck(unused(name, "no pas.endpoint" if settings.pas.enabled else "pas.enabled is false"))
    try:
        endpoint = DeliveryEndpoint(url, _ONCE)
        clock = read_clock()
        answer = endpoint.ask_options()
    except FINDINGS as error:
        remedy = "is the endpoint up and reachable from here (HTTPS_PROXY, NO_PROXY), and is pas.endpoint right?"
        return ServiceCheck(fails(name, str(error), remedy))
    then = _seconds(answer.date)
    time = None if then is None else clock.compare(f"the endpoint at {endpoint.where}", then)
    return ServiceCheck(_judge(name, endpoint.where, answer), time)


def _judge(name: str, where: str, answer: EndpointAnswer) -> Check:
    found = f"{where} answers {answer.status} to OPTIONS{answer.moved}"
    if answer.moved:
        return fails(name, found, "set pas.endpoint to the new address")
    if answer.status in _REFUSED:
        return fails(name, found, "correct the credentials in pas.endpoint (or PAS_ENDPOINT)")
    if answer.status < 300 or answer.status in _FOLLOWED | _OTHER_METHOD:
        return holds(name, f"{found}: it is there; no event was sent")
    if answer.status >= 500 or answer.status in _LATER:
        return fails(name, found, "look at the endpoint's own log, and run this again")
    remedy = "is the path of pas.endpoint right? Some servers answer so to OPTIONS alone: `deliver` sends events"
    return unchecked(name, found, remedy)


def _seconds(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None


def check_archive(settings: Settings, url: str, stated_passphrase: str | None, network: str) -> Check:
    """Ask one history archive how far it reaches, and of which network it is.

    Args:
        stated_passphrase: as the lake states it; None when it is not known.
    """
    name = "archive"
    passphrase = settings.source.network_passphrase or stated_passphrase or known_passphrase(network)
    try:
        history = open_archive(url, attempt_seconds=_ARCHIVE_SECONDS, retry=_ONCE).history()
    except FINDINGS as error:
        remedy = "is the URL in authenticity.archives right, and the archive up? Another one will do too"
        return fails(name, str(error), remedy)
    if passphrase and history.passphrase not in (None, passphrase):
        found = f"{url} is of the network {history.passphrase!r}, the ledgers are of {passphrase!r}"
        return fails(name, found, "name an archive of that network in authenticity.archives")
    return holds(name, f"{url} reaches ledger {history.current_ledger}")


def check_trusted_files(settings: Settings, network: str, stated_passphrase: str | None) -> Check:
    """Read the files that name trusted hashes and validators."""
    name, section = "trust", settings.authenticity
    if not (section.validators or section.anchors_file):
        return unused(name, "no authenticity.validators and no authenticity.anchors_file")
    try:
        policy = make_policy(settings, network, stated_passphrase)
        make_attestation(settings, network, stated_passphrase)
    except FINDINGS as error:
        return fails(name, str(error), "correct that file, or the setting that names it")
    found = [f"the validators of {section.validators}"] if section.validators else []
    if section.anchors_file:
        found.append(f"{len(policy.anchors):,} trusted hashes, those of {section.anchors_file} included")
    return holds(name, ", ".join(found))
