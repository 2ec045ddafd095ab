"""From settings to the policy of authenticity: the network's passphrase, and the ledger hashes that are trusted."""

from __future__ import annotations

from collections.abc import Mapping

from bronze.authenticity.anchors import merge_anchors, parse_checkpoints_file
from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.stellar import GENESIS_HASHES, known_passphrase
from pipeline.launch.configured_file import read_configured_file
from pipeline.settings.model import AuthenticitySettings, Settings

#: A file of all checkpoints of pubnet has some 80 MB.
_MAX_ANCHORS_BYTES = 512 << 20


def make_policy(settings: Settings, network: str, stated_passphrase: str | None) -> AuthenticityPolicy:
    """The policy that `settings` describe for ledgers of `network`.

    Args:
        stated_passphrase: as the lake's ``.config.json`` states it, if it does; it agrees with the settings.

    Raises:
        ConfigError: the file of anchors cannot be read, or two sources state different hashes of one ledger.
    """
    section = settings.authenticity
    passphrase = settings.source.network_passphrase or stated_passphrase or known_passphrase(network)
    return AuthenticityPolicy(
        network=network,
        passphrase=passphrase,
        signatures=CheckMode(section.signatures),
        events=CheckMode(section.events),
        anchors=tuple(_anchors(section, passphrase).items()),
    )


def _anchors(section: AuthenticitySettings, passphrase: str | None) -> dict[int, str]:
    sources: list[tuple[str, Mapping[int, str]]] = []
    if section.genesis and passphrase in GENESIS_HASHES:
        sources.append(("the genesis of the network", {1: GENESIS_HASHES[passphrase]}))
    pinned = [anchor.split(":") for anchor in section.anchors]
    # One by one, so that two anchors of one ledger are compared.
    sources += [("authenticity.anchors", {int(ledger): ledger_hash}) for ledger, ledger_hash in pinned]
    if section.anchors_file:
        name = f"authenticity.anchors_file {section.anchors_file}"
        content = read_configured_file(section.anchors_file, name, _MAX_ANCHORS_BYTES)
        sources.append((name, parse_checkpoints_file(content, name)))
    return merge_anchors(sources)
