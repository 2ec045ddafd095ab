"""Facts of Stellar: the range of ledger numbers, and the networks whose passphrases are public knowledge."""

from __future__ import annotations

#: The first ledger that has a LedgerCloseMeta: genesis (1) and 0 have none.
FIRST_LEDGER = 2
#: The highest ledger number there can be: ledger numbers are 32-bit.
MAX_LEDGER = 0xFFFFFFFF

#: Network name as configurations write it, to the passphrase in a lake's ``.config.json``.
PASSPHRASES = {
    "pubnet": "Public Global Stellar Network ; September 2015",
    "testnet": "Test SDF Network ; September 2015",
    "futurenet": "Test SDF Future Network ; October 2022",
}

#: Passphrase, to the hash of ledger 1 in hex, which ledger 2 must name as the one before. It follows from the
#: passphrase where a network begins as stellar-core begins it; test networks configure their own.
GENESIS_HASHES = {
    PASSPHRASES["pubnet"]: "39c2a3cd4141b2853e70d84601faa44744660334b48f3228e0309342e3f4eb48",
    PASSPHRASES["testnet"]: "63d98f536ee68d1b27b5b89f23af5311b7569a24faf1403ad0b52b633b07be99",
    PASSPHRASES["futurenet"]: "471c12c0dd073c1c8a70cd722a7c4ae26fc6b9d42923a52459354dc69d4efd03",
}

#: Other names that configurations of the older copier use for the same networks.
ALIASES = {"mainnet": "pubnet", "public": "pubnet"}


def checked_ledger(value: object) -> int:
    """`value`, which a file states, as a ledger number.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= MAX_LEDGER:
        raise ValueError(f"{repr(value)[:40]} is not a ledger number")
    return value


def known_passphrase(network: str) -> str | None:
    """The passphrase of `network`, or None for a network this table does not know."""
    return PASSPHRASES.get(ALIASES.get(network, network))


def network_of(passphrase: str) -> str | None:
    """The usual name of the network with `passphrase`, or None when it is not a public one."""
    return next((name for name, phrase in PASSPHRASES.items() if phrase == passphrase), None)
