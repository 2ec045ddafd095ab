"""Shapes of sample transactions: their operations, whether they are fee bumps, whether they fail."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from pipeline.sample.operations import KINDS, Operation
from pipeline.sample.template import MAX_OPERATIONS

#: Stroops for each operation (and for the wrapper of a fee bump): what the network charges when it is idle.
BASE_FEE = 100
#: Stroops of resource fee that a sample Soroban transaction declares, and stroops that are refunded.
RESOURCE_FEE = 94_371
REFUND = 21_040


@dataclass(frozen=True, slots=True)
class Shape:
    """The shape of a transaction.

    Attributes:
        kinds: the operations, by their names in `operations.KINDS`.
        fee_bump: whether the transaction is wrapped in a fee bump.
        failed: whether it fails when it is applied (its last operation then does).
    """

    kinds: tuple[str, ...]
    fee_bump: bool = False
    failed: bool = False

    @property
    def soroban(self) -> bool:
        """Whether it is a smart contract transaction: these have a phase of their own in the set."""
        return self.kinds == ("invoke_contract",)

    @property
    def fee_declared(self) -> int:
        """The highest fee that the (inner) transaction offers, in stroops."""
        return BASE_FEE * len(self.kinds) + (RESOURCE_FEE if self.soroban else 0)

    @property
    def fee_charged(self) -> int:
        """The fee that is charged, in stroops; Soroban resources of a failed transaction are charged too."""
        refund = REFUND if self.soroban else 0
        return self.fee_declared - refund + (BASE_FEE if self.fee_bump else 0)


@functools.cache
def operations_of(shape: Shape) -> list[Operation]:
    """The operations of `shape` as templates."""
    return [KINDS[kind](index) for index, kind in enumerate(shape.kinds)]


#: Operations of classic transactions, with the relative frequency of each.
CLASSIC = {
    ("payment",): 30,
    ("credit_payment",): 20,
    ("create_account",): 10,
    ("manage_data",): 5,
    ("sell_offer",): 10,
    ("payment", "credit_payment", "payment"): 8,
    ("sell_offer",) * 5: 8,
    ("create_account", "credit_payment", "manage_data", "sell_offer"): 5,
    ("payment",) * MAX_OPERATIONS: 4,
}
#: Operations of a Soroban transaction.
SOROBAN = ("invoke_contract",)
