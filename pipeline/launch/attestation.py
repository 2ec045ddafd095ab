"""From settings to who has to stand behind the ledgers: the validators of a stellar-core configuration."""

from __future__ import annotations

from collections.abc import Sequence

from bronze.authenticity.policy import CheckMode
from bronze.authenticity.quorum import Attestation, AttestationPolicy
from bronze.authenticity.validators_file import MAX_FILE_BYTES, ValidatorsFile, parse_validators_file
from bronze.authenticity.value_signature import network_id
from bronze.commit.position import ChainPosition
from bronze.errors import ConfigError
from bronze.job.connections import Connections
from bronze.stellar import known_passphrase
from pipeline.launch.configured_file import read_configured_file
from pipeline.settings.model import Settings


def make_attestation(
    settings: Settings, network: str, stated_passphrase: str | None = None
) -> AttestationPolicy | None:
    """The attestation that `settings` ask for; None when they ask for none.

    Args:
        stated_passphrase: as the lake's ``.config.json`` states it, if that is known.

    Raises:
        ConfigError: the file of the validators cannot be read, is none, or is of another network.
    """
    section = settings.authenticity
    mode = CheckMode(section.attestation)
    if not section.validators:
        return None
    name = f"authenticity.validators {section.validators}"
    found = read_validators(section.validators, name)
    passphrase = settings.source.network_passphrase or stated_passphrase or known_passphrase(network)
    check_network(found, passphrase, network, name)
    passphrase = passphrase or found.passphrase
    if mode is CheckMode.OFF:
        return None
    return AttestationPolicy(
        quorum=found.quorum,
        mode=mode,
        lag=section.attestation_lag,
        network_id=network_id(passphrase).hex() if passphrase else "",
        validators=section.validators,
    )


def read_attestations(connections: Connections, positions: Sequence[ChainPosition]) -> dict[str, Attestation]:
    """How far each chain is attested; chains that are not kept, or whose attestation is not asked for, are left out.

    Args:
        positions: in the order of the job's eras.
    """
    chain = connections.job.chain
    if chain.events is None and chain.checkpoint is None:
        return {}
    found = {}
    for era, position in zip(connections.job.eras, positions, strict=True):
        attestation = connections.attestation(era)
        if attestation is not None and position.next_ledger > era.ledger_start:
            found[era.chain] = attestation.through(position.next_ledger - 1)
    return found


def read_validators(path: str, name: str) -> ValidatorsFile:
    """The validators of the file at `path`.

    Args:
        name: of the file, for messages.

    Raises:
        ConfigError: it cannot be read, or is no stellar-core configuration.
    """
    return parse_validators_file(read_configured_file(path, name, MAX_FILE_BYTES), name)


def check_network(found: ValidatorsFile, passphrase: str | None, network: str, name: str) -> None:
    """Check that the validators are of the network. Raises `ConfigError`."""
    if passphrase and found.passphrase and passphrase != found.passphrase:
        raise ConfigError(
            f"{name} is of another network: its NETWORK_PASSPHRASE is {found.passphrase!r}, that of {network!r} is"
            f" {passphrase!r}"
        )
