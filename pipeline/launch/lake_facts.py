"""What a lake says of itself, for somebody who has no configuration yet: network, layout, first and last ledger."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from bronze.errors import ConfigError, LakeError, StoreError
from bronze.lake.layout import LakeLayout
from bronze.lake.opening import LakeOptions, open_lake
from bronze.stellar import network_of
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class LakeFacts:
    """A lake.

    Attributes:
        network: its name.
        passphrase: as the lake states it; None when it states none.
        first, last: its ledgers, inclusive.
    """

    location: StorageLocation
    network: str
    passphrase: str | None
    layout: LakeLayout
    first: int
    last: int


def read_lake_facts(location: StorageLocation, network: str = "") -> LakeFacts:
    """Look at the lake at `location`: its ``.config.json``, and one listing from each end.

    Args:
        network: the name to use; empty: the one that is known for the lake's passphrase.

    Raises:
        ConfigError: the name is needed or contradicts the lake, or the location is a directory of a lake.
        LakeError: it is empty or no lake, or damaged.
        StoreError: it does not answer; says what to look at.
    """
    try:
        return _read(location, network)
    except StoreError as error:
        raise StoreError(
            f"the lake {location.url} cannot be read: {error}. Check the URL, the network, --endpoint and --region, and"
            " the credentials (--anonymous for a public bucket)"
        ) from error


def _read(location: StorageLocation, network: str) -> LakeFacts:
    lake = open_lake(open_store(location), LakeOptions(network=network or None))
    _LOG.debug("%s: passphrase %r, %s", location.url, lake.passphrase, lake.layout)
    newest, oldest = lake.newest(), lake.oldest()
    _LOG.debug(
        "%s: the first object is %s, the last one %s", location.url, oldest and oldest.key, newest and newest.key
    )
    if newest is None or oldest is None:
        raise LakeError(f"the lake {location.url} is empty: it has no ledger yet")
    known = network_of(lake.passphrase) if lake.passphrase else None
    if not network and known is None:
        said = f"states the passphrase {lake.passphrase!r}" if lake.passphrase else "has no .config.json"
        raise ConfigError(
            f"the lake {location.url} {said}, from which no name of a network is known: name it with --network"
            " (pubnet, testnet, futurenet, or a name of your own)"
        )
    return LakeFacts(
        location=location,
        network=network or known or "",
        passphrase=lake.passphrase,
        layout=lake.layout,
        first=oldest.ledger,
        last=newest.ledger,
    )
