"""What is required of the ledgers that are copied. Plain data, sent to every worker."""

from __future__ import annotations

import enum
from dataclasses import dataclass


class CheckMode(enum.StrEnum):
    """How a check that can fail on an invented lake is applied."""

    REQUIRE = "require"
    """A ledger that fails it is not published."""
    REPORT = "report"
    """It is checked and counted; a failure stops nothing."""
    OFF = "off"
    """It is not checked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuthenticityPolicy:
    """Which proofs of authenticity are checked, and under which network.

    Attributes:
        network: the network's name, for messages.
        passphrase: the network's; None when it is not known, then signatures can only be counted.
        signatures: of the StellarValue of each ledger; before protocol 14 a transaction's hash takes their place.
        events: contract events and return values, in full verification only.
        sets_are_verified: whether the hash of each transaction set is checked, without which its content means nothing.
        anchors: pairs of a ledger and its hash in hex, ascending; genesis (ledger 1) among them where it is required.
    """

    network: str
    passphrase: str | None
    signatures: CheckMode = CheckMode.REQUIRE
    events: CheckMode = CheckMode.REQUIRE
    sets_are_verified: bool = True
    anchors: tuple[tuple[int, str], ...] = ()
