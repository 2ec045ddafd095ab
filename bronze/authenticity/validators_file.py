"""The validators that a stellar-core or captive-core configuration names, as the quorum set that core makes of them.

Core's rules (``Config.cpp``): each HOME_DOMAIN of ``[[VALIDATORS]]`` is an organization, of whose n nodes n - (n-1)/2
have to agree; of n organizations of one quality n - (n-1)/3, of critical ones all. Those of a lower quality count
together as one more organization of the quality above. A ``[QUORUM_SET]`` says all of this itself.

Only the keys that this needs are read; the node's seed is used for its public key, and is neither kept nor shown.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nacl.bindings import crypto_sign_seed_keypair

from bronze.authenticity.findings import node_name
from bronze.authenticity.quorum import QuorumSet
from bronze.errors import ConfigError

#: A configuration has a few KB.
MAX_FILE_BYTES = 1 << 20
_MAX_VALIDATORS = 1000
#: As core allows.
_MAX_NESTING = 4
_QUALITIES = ("LOW", "MEDIUM", "HIGH", "CRITICAL")
_CRITICAL = _QUALITIES.index("CRITICAL")
_REDUNDANT = _QUALITIES.index("HIGH")
_MIN_REDUNDANCY = 3
_DEFAULT_PERCENT = 67
_SEED_VERSION = bytes([18 << 3])


@dataclass(frozen=True, slots=True)
class ValidatorsFile:
    """What a configuration says.

    Attributes:
        passphrase: its NETWORK_PASSPHRASE; empty when it states none.
    """

    quorum: QuorumSet
    passphrase: str


@dataclass(frozen=True, slots=True)
class _Validator:
    name: str
    key: str
    domain: str
    quality: int


def parse_validators_file(content: bytes, name: str) -> ValidatorsFile:
    """The quorum set of a configuration.

    Args:
        name: of the file, for messages.

    Raises:
        ConfigError: it is no such configuration, or core would refuse its validators.
    """
    if len(content) > MAX_FILE_BYTES:
        raise ConfigError(f"{name} has more than {MAX_FILE_BYTES >> 20} MiB")
    try:
        document = tomllib.loads(content.decode())
    except (ValueError, RecursionError) as error:
        # Its message states line and column, never what stands there, which may be a seed.
        raise ConfigError(f"{name} is not valid TOML: {error}") from None
    try:
        return ValidatorsFile(_quorum_set(document), _text(document, "NETWORK_PASSPHRASE", default=""))
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from None


def _quorum_set(document: Mapping[str, Any]) -> QuorumSet:
    validators = _validators(document)
    explicit = document.get("QUORUM_SET")
    if explicit is not None:
        found = _explicit_set(explicit, _names(document, validators), "QUORUM_SET")
        if validators and document.get("UNSAFE_QUORUM") is not True and not _agree(found, _automatic_set(validators)):
            raise ValueError(
                "QUORUM_SET and [[VALIDATORS]] say different things: remove one of them, or set UNSAFE_QUORUM=true,"
                " then QUORUM_SET counts"
            )
    elif validators:
        found = _automatic_set(validators)
    else:
        raise ValueError("it names no validators: it needs [[VALIDATORS]] and [[HOME_DOMAINS]], or [QUORUM_SET]")
    nodes = sorted(found.all_nodes())
    if len(nodes) > _MAX_VALIDATORS:
        raise ValueError(f"it names more than {_MAX_VALIDATORS} validators")
    for one, other in itertools.pairwise(nodes):
        if one == other:
            raise ValueError(f"the validator {one} occurs twice")
    return found


def _validators(document: Mapping[str, Any]) -> list[_Validator]:
    qualities: dict[str, int] = {}
    for entry in _tables(document, "HOME_DOMAINS"):
        domain = _text(entry, "HOME_DOMAIN")
        if domain in qualities:
            raise ValueError(f"HOME_DOMAINS has {domain!r} twice")
        qualities[domain] = _quality(entry, f"the home domain {domain!r}")
    found = []
    for entry in _tables(document, "VALIDATORS"):
        name, domain = _text(entry, "NAME"), _text(entry, "HOME_DOMAIN")
        what = f"the validator {name!r}"
        if domain not in qualities:
            quality = _quality(entry, what)
        elif "QUALITY" in entry:
            raise ValueError(f"{what} has a QUALITY, but its home domain {domain!r} has one too")
        else:
            quality = qualities[domain]
        found.append(_Validator(name, checked_node(_text(entry, "PUBLIC_KEY"), what), domain, quality))
    if document.get("NODE_IS_VALIDATOR") is True and (found or "QUORUM_SET" not in document):
        domain = _text(document, "NODE_HOME_DOMAIN")
        if domain not in qualities:
            raise ValueError(f"NODE_HOME_DOMAIN {domain!r} has no quality in HOME_DOMAINS")
        found.append(_Validator("self", _own_key(document), domain, qualities[domain]))
    return found


def _automatic_set(validators: list[_Validator]) -> QuorumSet:
    by_quality: dict[int, dict[str, list[_Validator]]] = {}
    domains: dict[str, _Validator] = {}
    for one in validators:
        known = domains.setdefault(one.domain, one)
        if known.quality != one.quality:
            raise ValueError(f"{known.name!r} and {one.name!r} of {one.domain!r} must have the same QUALITY")
        by_quality.setdefault(one.quality, {}).setdefault(one.domain, []).append(one)
    lower: QuorumSet | None = None
    for quality in sorted(by_quality):
        inner = [_organization(domain, nodes) for domain, nodes in sorted(by_quality[quality].items())]
        inner += [lower] if lower else []
        count = len(inner)
        threshold = count if quality == _CRITICAL else count - (count - 1) // 3
        lower = QuorumSet(threshold=threshold, inner=tuple(inner))
    assert lower is not None
    return lower


def _organization(domain: str, validators: list[_Validator]) -> QuorumSet:
    count = len(validators)
    if count < _MIN_REDUNDANCY and validators[0].quality >= _REDUNDANT:
        raise ValueError(
            f"{domain!r} of quality {_QUALITIES[validators[0].quality]} has {count} validators, expected at least"
            f" {_MIN_REDUNDANCY}"
        )
    nodes = tuple(sorted(one.key for one in validators))
    return QuorumSet(threshold=count - (count - 1) // 2, nodes=nodes, name=domain)


def _explicit_set(entry: object, names: Mapping[str, str], where: str, level: int = 0) -> QuorumSet:
    if not isinstance(entry, dict):
        raise ValueError(f"{where} is not a table")
    if level > _MAX_NESTING:
        raise ValueError(f"{where} is nested too deeply")
    percent = entry.get("THRESHOLD_PERCENT", _DEFAULT_PERCENT)
    if not isinstance(percent, int) or isinstance(percent, bool) or not 1 <= percent <= 100:
        raise ValueError(f"{where}: THRESHOLD_PERCENT is {percent!r}, expected 1 to 100")
    stated = entry.get("VALIDATORS", [])
    if not isinstance(stated, list) or not all(isinstance(one, str) for one in stated):
        raise ValueError(f"{where}: VALIDATORS is not a list of keys and names")
    nodes = []
    for one in stated:
        if not one.startswith("$"):
            nodes.append(checked_node(one.partition(" ")[0], where))
        elif one in names:
            nodes.append(names[one])
        else:
            raise ValueError(f"{where}: {one[:60]} is not the name of a validator of this file")
    inner = [
        _explicit_set(group, names, f"{where}.{key}", level + 1)
        for key, group in entry.items()
        if key not in ("THRESHOLD_PERCENT", "VALIDATORS")
    ]
    count = len(nodes) + len(inner)
    if not count:
        raise ValueError(f"{where} names no validators")
    name = where if level else ""
    return QuorumSet(threshold=1 + (count * percent - 1) // 100, nodes=tuple(nodes), inner=tuple(inner), name=name)


def _names(document: Mapping[str, Any], validators: list[_Validator]) -> dict[str, str]:
    """The names that a quorum set may use for nodes: ``$name`` to the key."""
    found = {f"${one.name}": one.key for one in validators}
    for entry in (*_strings(document, "NODE_NAMES"), *_strings_in(document.get("QUORUM_SET"))):
        key, _, name = entry.partition(" ")
        if name and not key.startswith("$"):
            found[f"${name}"] = checked_node(key, f"the node {name!r}")
    if "NODE_SEED" in document:
        found["$self"] = _own_key(document)
    return found


def _strings_in(entry: object, level: int = 0) -> Iterator[str]:
    """The texts of VALIDATORS at any level of a quorum set."""
    if isinstance(entry, dict) and level <= _MAX_NESTING:
        for key, value in entry.items():
            if key == "VALIDATORS" and isinstance(value, list):
                yield from (one for one in value if isinstance(one, str))
            else:
                yield from _strings_in(value, level + 1)


def _agree(one: QuorumSet, other: QuorumSet) -> bool:
    """Whether two sets ask for the same, whatever their parts are called."""
    return _shape(one) == _shape(other)


def _shape(one: QuorumSet) -> object:
    if not one.nodes and len(one.inner) == 1:
        return _shape(one.inner[0])
    return one.threshold, sorted(one.nodes), sorted(repr(_shape(inner)) for inner in one.inner)


def checked_node(text: str, what: str) -> str:
    """A node's public key as people write it, checked (SEP-23).

    Raises:
        ValueError: it is none.
    """
    try:
        raw = base64.b32decode(text)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 35 or node_name(raw[1:33]) != text:
        shown = repr(text[:60]) if text.startswith("G") else "what stands there"  # perhaps a seed
        raise ValueError(f"{what}: {shown} is not the public key of a node")
    return text


def _own_key(document: Mapping[str, Any]) -> str:
    """The public key of the node whose configuration this is; messages do not show the seed."""
    seed = document.get("NODE_SEED")
    try:
        raw = base64.b32decode(str(seed).partition(" ")[0])
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) != 35 or raw[:1] != _SEED_VERSION or binascii.crc_hqx(raw[:33], 0).to_bytes(2, "little") != raw[33:]:
        raise ValueError("NODE_SEED is needed for the node's own public key, and is not there or not valid")
    public, _ = crypto_sign_seed_keypair(raw[1:33])
    return node_name(public)


def _tables(document: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    entries = document.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ValueError(f"{key} is not written as [[{key}]]")
    return entries


def _strings(document: Mapping[str, Any], key: str) -> list[str]:
    entries = document.get(key, [])
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise ValueError(f"{key} is not a list of texts")
    return entries


def _text(entry: Mapping[str, Any], key: str, default: str | None = None) -> str:
    value = entry.get(key, default)
    if not isinstance(value, str) or (not value and default is None):
        raise ValueError(f"{key} is missing, or no text, in {_described(entry)}")
    return value


def _described(entry: Mapping[str, Any]) -> str:
    name = entry.get("NAME") or entry.get("HOME_DOMAIN")
    return f"the entry {name!r}" if isinstance(name, str) else "an entry"


def _quality(entry: Mapping[str, Any], what: str) -> int:
    quality = entry.get("QUALITY")
    if quality not in _QUALITIES:
        raise ValueError(f"{what} has the QUALITY {quality!r}, expected one of {', '.join(_QUALITIES)}")
    return _QUALITIES.index(quality)
