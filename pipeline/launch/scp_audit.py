"""Runs the check of SCP messages over what an audit found."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bronze.archives.archive import HistoryArchive
from bronze.archives.opening import AUDIT_FAILURES, open_archive
from bronze.authenticity.validators_file import ValidatorsFile
from bronze.authenticity.value_signature import network_id
from bronze.errors import ConfigError
from bronze.stellar import known_passphrase
from bronze.verify.era_audit import EraAudit, Proof
from bronze.verify.scp_check import ScpCheck
from bronze.verify.selection import Selection
from pipeline.launch.attestation import check_network, read_validators
from pipeline.launch.audit import AuditTarget
from pipeline.settings.model import Settings

#: Partitions at once: each waits for an archive.
_THREADS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class ScpOptions:
    """What SCP messages are checked with.

    Attributes:
        archives: asked in this order.
        validators: whose messages count.
        validators_name: the file that names them, for messages.
    """

    archives: Sequence[HistoryArchive]
    validators: ValidatorsFile
    validators_name: str


def make_scp_options(archive: str | None, validators: str, settings: Settings | None) -> ScpOptions | None:
    """What SCP messages are checked with; None when that is not asked for.

    Args:
        archive: the URL that was given; None: no check is asked for.
        validators: the file that was given; empty: the one of the settings.
        settings: None where there is no configuration.

    Raises:
        ConfigError: no archive or no validators are named, or they are not usable.
    """
    if archive is None:
        if validators:
            raise ConfigError("--validators says whose SCP messages count: it belongs to --scp")
        return None
    path = validators or (settings.authenticity.validators if settings else "")
    if not path:
        raise ConfigError("--scp needs --validators FILE, or authenticity.validators in the configuration")
    if not archive:
        raise ConfigError("--scp needs the URL of a history archive")
    try:
        opened = open_archive(archive, give_up_after=AUDIT_FAILURES)
    except ConfigError as error:
        raise ConfigError(f"--scp {error}") from error
    name = f"{'--validators' if validators else 'authenticity.validators'} {path}"
    return ScpOptions(archives=(opened,), validators=read_validators(path, name), validators_name=name)


def add_scp(
    audits: Sequence[EraAudit],
    targets: Sequence[AuditTarget],
    options: ScpOptions,
    selection: Selection,
    passphrase: str | None,
) -> None:
    """Check the last ledger of every selected partition of the audits, and add to them what was found.

    Args:
        targets: what the audits are of, in their order.
        passphrase: of the network; None: the one that is known for its name, or that the validators' file states.

    Raises:
        ConfigError: the passphrase is not known, or the validators are of another network.
    """
    for audit, target in zip(audits, targets, strict=True):
        network = target.era.network
        phrase = passphrase or known_passphrase(network)
        check_network(options.validators, phrase, network, options.validators_name)
        phrase = phrase or options.validators.passphrase
        if not phrase:
            raise ConfigError(f"--scp: the passphrase of the network {network!r} is not known (--passphrase)")
        check = ScpCheck(
            dataset=target.open_dataset(),
            era=target.era,
            quorum=options.validators.quorum,
            network_id=network_id(phrase),
            archives=options.archives,
        )
        chosen = audit.selected(selection)
        audit.scp = found = Proof(checked=len(chosen))
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="scp") as pool:
            for proof in pool.map(check.check, chosen):
                audit.findings += proof.findings
                if proof.through is not None:
                    found.add(proof.through)
        through = f", through ledger {found.through}" if found.through is not None else ""
        proven = f"{found.proven:,} of {found.checked:,} partitions"
        audit.checked.append(f"the SCP messages of a quorum: they prove {proven}{through}")
