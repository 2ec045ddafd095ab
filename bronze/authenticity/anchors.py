"""Ledger hashes that are known from elsewhere: pinned pairs of an operator, the genesis of the public networks."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from bronze.errors import ConfigError
from bronze.stellar import MAX_LEDGER

_LEDGER_HASH = re.compile(r"[0-9a-f]{64}")


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
                0 < ledger <= MAX_LEDGER and not isinstance(ledger, bool) and _LEDGER_HASH.fullmatch(ledger_hash)
            ):
                if found.setdefault(ledger, ledger_hash) != ledger_hash:
                    raise ConfigError(f"{name} has two hashes of ledger {ledger}")
            case _:
                raise ConfigError(f"{name}: entry {index} is {str(entry)[:100]}, expected [ledger, hash in hex]")
    if not found:
        raise ConfigError(f"{name} holds no ledger and hash")
    return found
