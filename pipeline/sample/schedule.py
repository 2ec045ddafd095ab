"""The features of each ledger of a sample chain: computed from its position, nothing is random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bronze.stellar import FIRST_LEDGER, MAX_LEDGER

#: Default protocols of a sample chain, in the order of its upgrades; every version of the close meta and of the
#: transaction meta, and every envelope type, occurs under one of them.
DEFAULT_PROTOCOLS = (12, 19, 20, 21, 22, 23, 25, 27)

#: The protocols that sample ledgers can have.
_MIN_PROTOCOL, _MAX_PROTOCOL = 1, 29


@dataclass(frozen=True, slots=True)
class ChainSchedule:
    """The protocols and the features of a chain of `count` ledgers, beginning at `first`.

    The chain is divided into segments, one for each protocol. The last ledger of a segment contains the upgrade: as in
    the real network, its header already states the new protocol, while its close meta still has the old version.

    `empty_tx_sets`: whether ledgers of protocol 27 on have sets that no node could provide (CAP-83), which many
    programs of the ecosystem cannot decode.

    Raises:
        ValueError: a ledger is outside 2..2**32-1, there is no ledger, or protocols are not ascending.
    """

    first: int
    count: int
    protocols: Sequence[int] = DEFAULT_PROTOCOLS
    empty_tx_sets: bool = False

    def __post_init__(self) -> None:
        if self.count < 1:
            raise ValueError(f"a chain needs at least 1 ledger, not {self.count}")
        if not FIRST_LEDGER <= self.first <= self.last <= MAX_LEDGER:
            raise ValueError(f"ledgers {self.first}-{self.last} are not in {FIRST_LEDGER}..{MAX_LEDGER}")
        known = [_MIN_PROTOCOL <= protocol <= _MAX_PROTOCOL for protocol in self.protocols]
        if not known or not all(known) or sorted(set(self.protocols)) != list(self.protocols):
            raise ValueError(
                f"protocols {list(self.protocols)} are not an ascending list of {_MIN_PROTOCOL}..{_MAX_PROTOCOL}"
            )

    @property
    def last(self) -> int:
        """The last ledger (inclusive)."""
        return self.first + self.count - 1

    def protocol(self, ledger: int) -> int:
        """The protocol under which `ledger` begins to close."""
        return self.protocols[(ledger - self.first) * len(self.protocols) // self.count]

    def header_protocol(self, ledger: int) -> int:
        """The protocol in the header of `ledger`: that after its upgrades."""
        return self.protocol(min(ledger + 1, self.last))

    def close_version(self, ledger: int) -> int:
        """The version of the LedgerCloseMeta of `ledger`: 0, 1 or 2."""
        protocol = self.protocol(ledger)
        return 0 if protocol < 20 else 1 if protocol < 23 else 2

    def signed_value(self, ledger: int) -> bool:
        """Whether the StellarValue is signed (in the first protocols it is not)."""
        return self.protocol(ledger) >= 13

    def has_transactions(self, ledger: int) -> bool:
        """Whether `ledger` has transactions."""
        return self._position(ledger) % 23 != 7 and not self.empty_tx_set(ledger)

    def empty_tx_set(self, ledger: int) -> bool:
        """Whether an empty set replaces a set that no node could provide (CAP-83)."""
        return self.empty_tx_sets and self.protocol(ledger) >= 27 and self._position(ledger) % 13 == 4

    def set_size_upgrade(self, ledger: int) -> bool:
        """Whether `ledger` changes the maximum size of a transaction set."""
        return self._position(ledger) % 29 == 5

    def flags_upgrade(self, ledger: int) -> bool:
        """Whether `ledger` sets the flags of the header, which extends its header and all later headers."""
        return self.protocol(ledger) >= 18 and self._position(ledger) % 50 == 31

    def config_upgrade(self, ledger: int) -> bool:
        """Whether `ledger` changes Soroban settings."""
        return self.protocol(ledger) >= 20 and self._position(ledger) % 37 == 11

    def scp_info(self, ledger: int) -> bool:
        """Whether `ledger` contains consensus messages."""
        return self._position(ledger) % 7 == 2

    def evictions(self, ledger: int) -> int:
        """Number of keys that are evicted in `ledger`."""
        position = self._position(ledger)
        return position % 5 + 1 if self.close_version(ledger) and position % 9 == 1 else 0

    def extended_close(self, ledger: int) -> bool:
        """Whether the close meta has the extension LedgerCloseMetaExtV1, as all recent ones do."""
        return self.close_version(ledger) > 0 and self._position(ledger) % 4 != 0

    def _position(self, ledger: int) -> int:
        return ledger - self.first
