"""Ledger hashes that are known from elsewhere: the genesis of the public networks, and pinned pairs of an operator.

The genesis hash follows from the passphrase (the root account's key is made of it), and only for networks that begin
as stellar-core begins them; test networks configure their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from bronze.errors import ConfigError
from bronze.stellar import PASSPHRASES

#: Hash of ledger 1, in hex, which ledger 2 must name as the one before.
GENESIS_HASHES = {
    PASSPHRASES["pubnet"]: "39c2a3cd4141b2853e70d84601faa44744660334b48f3228e0309342e3f4eb48",
    PASSPHRASES["testnet"]: "63d98f536ee68d1b27b5b89f23af5311b7569a24faf1403ad0b52b633b07be99",
    PASSPHRASES["futurenet"]: "471c12c0dd073c1c8a70cd722a7c4ae26fc6b9d42923a52459354dc69d4efd03",
}

_LEDGER_HASH = re.compile(r"[0-9a-f]{64}")
_MAX_LEDGER = 2**32 - 1


def merge_anchors(sources: Iterable[tuple[str, Mapping[int, str]]]) -> dict[int, str]:
    """The anchors of several sources, by ledger.

    Args:
        sources: of each its name, for messages, and its anchors.

    Raises:
        ConfigError: two of them state different hashes of one ledger.
    """
    merged: dict[int, tuple[str, str]] = {}
    for source, anchors in sources:
        for ledger, ledger_hash in anchors.items():
            known, before = merged.setdefault(ledger, (ledger_hash, source))
            if known != ledger_hash:
                raise ConfigError(
                    f"the anchor of ledger {ledger} is {known} in {before}, but {ledger_hash} in {source}"
                )
    return {ledger: ledger_hash for ledger, (ledger_hash, _) in sorted(merged.items())}


def parse_checkpoints_file(content: bytes, name: str) -> dict[int, str]:
    """The anchors of a file that ``stellar-core verify-checkpoints`` wrote: ``[[ledger, "hash"], ..., [0, ""]]``.

    >>> parse_checkpoints_file(b'[[127, "' + b"ab" * 32 + b'"], [0, ""]]', "trusted.json")[127][:6]
    'ababab'

    Args:
        name: of the file, for messages.

    Raises:
        ConfigError: it is not such a file.
    """
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{name} is not valid JSON: {error}") from error
    if not isinstance(document, list):
        raise ConfigError(f"{name} is not a list of ledgers and hashes")
    found: dict[int, str] = {}
    for index, entry in enumerate(document):
        match entry:
            case [0, ""]:
                continue
            case [int(ledger), str(ledger_hash)] if (
                0 < ledger <= _MAX_LEDGER and not isinstance(ledger, bool) and _LEDGER_HASH.fullmatch(ledger_hash)
            ):
                if found.setdefault(ledger, ledger_hash) != ledger_hash:
                    raise ConfigError(f"{name} has two hashes of ledger {ledger}")
            case _:
                raise ConfigError(f"{name}: entry {index} is {str(entry)[:100]}, expected [ledger, hash in hex]")
    if not found:
        raise ConfigError(f"{name} holds no ledger and hash")
    return found
