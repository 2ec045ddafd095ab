"""Sample transactions: the templates of their shapes, filled with random values."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass

from stellar_sdk import Keypair

from pipeline.sample.envelopes import sign
from pipeline.sample.shapes import CLASSIC, SOROBAN, Shape
from pipeline.sample.template import MAX_OPERATIONS, i64, u32
from pipeline.sample.transaction_meta import processing_templates

_CLASSIC_KINDS = list(CLASSIC)
_CLASSIC_WEIGHTS = list(CLASSIC.values())

# Fractions of the transactions; the others are plain, successful and classic.
_SOROBAN_SHARE = 0.25
_FEE_BUMP_SHARE = 0.15
_FAILED_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class SampleTransaction:
    """One transaction as the parts of a close meta.

    Attributes:
        shape: what kind of transaction it is.
        envelope: its TransactionEnvelope.
        envelope_hash: SHA-256 of that; transaction sets are sorted by it.
        result_pair: its TransactionResultPair.
        fee_changes, meta, after: what follows the pair, `after` only in close metas V2.
    """

    shape: Shape
    envelope: bytes
    envelope_hash: bytes
    result_pair: bytes
    fee_changes: bytes
    meta: bytes
    after: bytes


class Accounts:
    """The key pairs of the sample's accounts and validators, derived from the seed.

    Args:
        seed: the seed of the chain.
        count: number of accounts that make transactions.
    """

    def __init__(self, seed: int, count: int) -> None:
        self.keypairs = [_keypair(f"{seed} account {index}") for index in range(count)]
        self.public_keys = [keypair.raw_public_key() for keypair in self.keypairs]
        self.validators = [_keypair(f"{seed} validator {index}") for index in range(3)]


def validator_keys(seed: int) -> list[str]:
    """The public keys of the nodes that sign the ledgers of a chain with this seed, ``G...``."""
    return [keypair.public_key for keypair in Accounts(seed, 0).validators]


def _keypair(label: str) -> Keypair:
    return Keypair.from_raw_ed25519_seed(hashlib.sha256(f"sample {label}".encode()).digest())


def _random_shape(rng: random.Random, protocol: int) -> Shape:
    # Protocol 20 introduced contracts, protocol 13 fee bumps.
    soroban = protocol >= 20 and rng.random() < _SOROBAN_SHARE
    kinds = SOROBAN if soroban else rng.choices(_CLASSIC_KINDS, _CLASSIC_WEIGHTS)[0]
    fee_bump = protocol >= 13 and rng.random() < _FEE_BUMP_SHARE
    return Shape(kinds, fee_bump=fee_bump, failed=rng.random() < _FAILED_SHARE)


class Transactor:
    """Makes the transactions of ledgers.

    Balances and sequence numbers of an account are random and do not follow from one transaction to the next: no copier
    depends on them.
    """

    def __init__(self, accounts: Accounts, network_id: bytes) -> None:
        self._accounts = accounts
        self._network_id = network_id

    def transactions(
        self, rng: random.Random, count: int, *, ledger: int, close_time: int, protocol: int, meta_version: int
    ) -> Iterator[SampleTransaction]:
        """Make `count` transactions of one ledger, each with a different source account.

        Args:
            ledger: the sequence number of the ledger.
            close_time: when it closes, in seconds of the Unix time.
            protocol: the protocol under which the ledger begins to close.
            meta_version: of the transaction meta, 1 to 4; 1 means legacy envelopes.

        Raises:
            ValueError: more transactions than there are accounts.
        """
        shared = {
            "network": self._network_id,
            "ledger": u32(ledger),
            "live_until": u32(min(ledger + 120_960, 0xFFFFFFFF)),
            "close_time": i64(close_time),
            "issuer": self._accounts.public_keys[0],
            # One token contract and its code for the whole chain.
            "contract": hashlib.sha256(self._network_id + b"token").digest(),
            "code": hashlib.sha256(self._network_id + b"code").digest(),
        }
        for source in rng.sample(range(len(self._accounts.keypairs)), count):
            shape = _random_shape(rng, protocol)
            yield self._make(rng, shape, source, dict(shared), ledger, meta_version)

    def _make(
        self, rng: random.Random, shape: Shape, source: int, values: dict[str, bytes], ledger: int, meta_version: int
    ) -> SampleTransaction:
        keys = self._accounts.public_keys
        payer = rng.randrange(len(keys))
        values["source"], values["fee_source"] = keys[source], keys[payer]
        values["sequence"] = i64(ledger << 31 | rng.getrandbits(20))
        values["balance"] = i64(rng.getrandbits(44))
        _fill_operations(rng, values, keys, len(shape.kinds))
        keypairs = self._accounts.keypairs
        envelope, transaction_hash = sign(shape, values, keypairs[source], keypairs[payer], legacy=meta_version == 1)
        templates = processing_templates(shape, meta_version)
        if templates.success is not None:
            values["success"] = hashlib.sha256(templates.success.fill(values)).digest()
        return SampleTransaction(
            shape,
            envelope,
            hashlib.sha256(envelope).digest(),
            transaction_hash + templates.result.fill(values),
            templates.fee_changes.fill(values),
            templates.meta.fill(values),
            templates.after.fill(values),
        )


def _fill_operations(rng: random.Random, values: dict[str, bytes], keys: list[bytes], operations: int) -> None:
    # A contract call uses two noise slots for its one operation.
    slots = min(operations + 1, MAX_OPERATIONS)
    noise = rng.randbytes(42 * slots)
    for index, destination in enumerate(rng.choices(keys, k=slots)):
        at = 42 * index
        values[f"destination{index}"] = destination
        values[f"noise{index}"] = noise[at : at + 32]
        # Five random bytes: amounts up to about 110,000 lumens.
        values[f"amount{index}"] = b"\0\0\0" + noise[at + 32 : at + 37]
        values[f"balance{index}"] = b"\0\0\0" + noise[at + 37 : at + 42]
