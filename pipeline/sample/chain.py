"""Chains of sample ledgers: deterministic, hash-linked, with every hash that a ledger carries in order.

>>> ledger = next(sample_chain(2, 1))
>>> ledger.sequence, ledger.version, ledger.protocol
(2, 0, 12)
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from stellar_sdk import xdr

from pipeline.sample import consensus
from pipeline.sample.schedule import DEFAULT_PROTOCOLS, ChainSchedule
from pipeline.sample.template import array, i64, u32
from pipeline.sample.transaction_meta import meta_version
from pipeline.sample.transactions import Accounts, SampleTransaction, Transactor
from pipeline.sample.tx_sets import generalized_set, legacy_set

#: A private network's passphrase, the usual one of nodes that run alone.
STANDALONE_PASSPHRASE = "Standalone Network ; February 2017"

#: Transactions of a ledger on average.
DEFAULT_TRANSACTIONS = 10

_FIRST_CLOSE_TIME = 1_700_000_000
_SECONDS_PER_LEDGER = 5
_TOTAL_COINS = 1_000_000_000_000_000_000
_NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class SampleLedger:
    """One ledger, and what a reader has to find in it.

    Attributes:
        sequence: the ledger's number.
        version: of the LedgerCloseMeta: 0, 1 or 2.
        protocol: the header's ledgerVersion.
        xdr: the LedgerCloseMeta.
        ledger_hash, previous_hash, tx_set_hash: 32 bytes each, as the header and its entry state them.
        close_time: seconds of the Unix time.
        total_coins, fee_pool: stroops.
        tx_count: transactions of the set, `failed`, `fee_bumps` and `soroban` of them so.
        operation_count: operations of all envelopes, those of failed transactions and inner ones included.
        upgrades: of the ledger's value.
        evicted: keys evicted.
        empty_tx_set: whether its value is a STELLAR_VALUE_EMPTY_TX_SET; its tx_set_hash is then zero.
    """

    sequence: int
    version: int
    protocol: int
    xdr: bytes
    ledger_hash: bytes
    previous_hash: bytes
    tx_set_hash: bytes
    close_time: int
    total_coins: int
    fee_pool: int
    tx_count: int
    operation_count: int
    fee_bumps: int
    failed: int
    soroban: int
    upgrades: int
    evicted: int
    empty_tx_set: bool


def sample_chain(
    first: int,
    count: int,
    *,
    network_passphrase: str = STANDALONE_PASSPHRASE,
    protocols: Sequence[int] = DEFAULT_PROTOCOLS,
    seed: int = 0,
    transactions: int = DEFAULT_TRANSACTIONS,
) -> Iterator[SampleLedger]:
    """Make the ledgers `first` to ``first + count - 1``; the same arguments make the same bytes.

    Args:
        first: at least 2.
        count: at least 1.
        network_passphrase: of the network that transactions and values are signed for.
        protocols: rising; the chain upgrades from each to the next, in stretches of equal length.
        seed: another one makes other ledgers.
        transactions: of a ledger on average (0 to about twice as many), about 3 KB each.

    Raises:
        ValueError: arguments outside these bounds.
    """
    if transactions < 1:
        raise ValueError(f"{transactions} transactions a ledger are less than 1")
    return _Chain(ChainSchedule(first, count, tuple(protocols)), network_passphrase, seed, transactions).ledgers()


@dataclass(slots=True)
class _State:
    """What one header takes over from the one before."""

    previous_hash: bytes
    previous_protocol: int
    fee_pool: int = 0
    max_tx_set_size: int = 1_000
    flags: int | None = None
    skip: bytes = _NO_HASH


class _Chain:
    def __init__(self, plan: ChainSchedule, passphrase: str, seed: int, transactions: int) -> None:
        self._plan = plan
        self._seed = f"{seed} {passphrase}"
        self._network_id = hashlib.sha256(passphrase.encode()).digest()
        self._average = transactions
        # Twice the average is the most that a ledger has, each of another account.
        self._accounts = Accounts(seed, max(64, 3 * transactions))
        self._transactor = Transactor(self._accounts, self._network_id)

    def ledgers(self) -> Iterator[SampleLedger]:
        first = self._plan.first
        state = _State(self._digest("ledger before", first), self._plan.protocol(first))
        for ledger in range(first, self._plan.last + 1):
            yield self._ledger(ledger, state)

    def _digest(self, what: str, ledger: int) -> bytes:
        return hashlib.sha256(f"{self._seed} {what} {ledger}".encode()).digest()

    def _ledger(self, ledger: int, state: _State) -> SampleLedger:
        plan = self._plan
        # Its own generator for each ledger: what a ledger holds does not hang on the ones before.
        rng = random.Random(f"{self._seed} {ledger}")
        close_time = _FIRST_CLOSE_TIME + _SECONDS_PER_LEDGER * ledger
        version = plan.close_version(ledger)
        applied = self._transactions(rng, ledger, close_time)
        if version == 0:
            tx_set, tx_set_hash = legacy_set(state.previous_hash, applied)
        else:
            tx_set, tx_set_hash = generalized_set(state.previous_hash, applied, parallel=version == 2)
        upgrades = self._upgrades(ledger, state)
        value = self._value(ledger, close_time, tx_set_hash, upgrades, state)
        header = self._header(ledger, value, array(one.result_pair for one in applied), applied, state)
        ledger_hash = hashlib.sha256(header).digest()
        evicted = self._evicted(ledger)
        encoded = b"".join(
            [
                u32(version),
                self._close_ext(ledger),
                ledger_hash + header + u32(0),
                tx_set,
                array(_processing(one, version) for one in applied),
                array(upgrade.to_xdr_bytes() + u32(0) for upgrade in upgrades),
                array(self._scp_info(ledger, value)),
                i64(rng.getrandbits(40)) + array(evicted) if version else b"",
                # V1 ends with entries that are never there.
                array([]) if version == 1 else b"",
            ]
        )
        made = SampleLedger(
            sequence=ledger,
            version=version,
            protocol=plan.header_protocol(ledger),
            xdr=encoded,
            ledger_hash=ledger_hash,
            previous_hash=state.previous_hash,
            tx_set_hash=value.tx_set_hash.hash,
            close_time=close_time,
            total_coins=_TOTAL_COINS,
            fee_pool=state.fee_pool,
            tx_count=len(applied),
            operation_count=sum(len(one.shape.kinds) for one in applied),
            fee_bumps=sum(one.shape.fee_bump for one in applied),
            failed=sum(one.shape.failed for one in applied),
            soroban=sum(one.shape.soroban for one in applied),
            upgrades=len(upgrades),
            evicted=len(evicted),
            empty_tx_set=plan.empty_tx_set(ledger),
        )
        state.previous_hash, state.previous_protocol = ledger_hash, made.protocol
        return made

    def _transactions(self, rng: random.Random, ledger: int, close_time: int) -> list[SampleTransaction]:
        """The ledger's transactions in the order in which they are applied."""
        if not self._plan.has_transactions(ledger):
            return []
        protocol = self._plan.protocol(ledger)
        made = self._transactor.transactions(
            rng,
            rng.randint(1, 2 * self._average),
            ledger=ledger,
            close_time=close_time,
            protocol=protocol,
            meta_version=meta_version(protocol),
        )
        # They come in random order already; classic ones are applied first, as since phases exist.
        return sorted(made, key=lambda one: one.shape.soroban)

    def _upgrades(self, ledger: int, state: _State) -> list[xdr.LedgerUpgrade]:
        """The ledger's upgrades; `state` is brought up to them."""
        plan, kinds, upgrades = self._plan, xdr.LedgerUpgradeType, []
        protocol = plan.header_protocol(ledger)
        if protocol != plan.protocol(ledger):
            version = xdr.Uint32(protocol)
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_VERSION, new_ledger_version=version))
        if plan.set_size_upgrade(ledger):
            state.max_tx_set_size += 50
            size = xdr.Uint32(state.max_tx_set_size)
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_MAX_TX_SET_SIZE, new_max_tx_set_size=size))
        if plan.flags_upgrade(ledger):
            state.flags = 0 if state.flags else 1
            flags = xdr.Uint32(state.flags)
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_FLAGS, new_flags=flags))
        if plan.config_upgrade(ledger):
            contract = xdr.ContractID(xdr.Hash(self._digest("settings contract", 0)))
            settings = xdr.ConfigUpgradeSetKey(contract, xdr.Hash(self._digest("settings", ledger)))
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_CONFIG, new_config=settings))
        return upgrades

    def _value(
        self, ledger: int, close_time: int, tx_set_hash: bytes, upgrades: list[xdr.LedgerUpgrade], state: _State
    ) -> xdr.StellarValue:
        validator = self._accounts.validators[ledger % len(self._accounts.validators)]
        if self._plan.empty_tx_set(ledger):
            proposed, tx_set_hash = self._digest("missing set", ledger), _NO_HASH
            previous = (state.previous_hash, state.previous_protocol)
            ext = consensus.empty_tx_set(self._network_id, validator, proposed, close_time, previous)
        elif self._plan.signed_value(ledger):
            ext = consensus.signed(self._network_id, validator, tx_set_hash, close_time)
        else:
            ext = consensus.basic()
        return consensus.stellar_value(tx_set_hash, close_time, upgrades, ext)

    def _header(
        self, ledger: int, value: xdr.StellarValue, results: bytes, applied: list[SampleTransaction], state: _State
    ) -> bytes:
        """The XDR of the LedgerHeader; `state` is brought up to it."""
        state.fee_pool += sum(one.shape.fee_charged for one in applied)
        bucket_list_hash = self._digest("buckets", ledger)
        if ledger % 50 == 0:  # the first of the skip list's strides; samples are too short for the others
            state.skip = bucket_list_hash
        ext = xdr.LedgerHeaderExt(0)
        if state.flags is not None:
            v1 = xdr.LedgerHeaderExtensionV1(xdr.Uint32(state.flags), xdr.LedgerHeaderExtensionV1Ext(0))
            ext = xdr.LedgerHeaderExt(1, v1=v1)
        return xdr.LedgerHeader(
            ledger_version=xdr.Uint32(self._plan.header_protocol(ledger)),
            previous_ledger_hash=xdr.Hash(state.previous_hash),
            scp_value=value,
            tx_set_result_hash=xdr.Hash(hashlib.sha256(results).digest()),
            bucket_list_hash=xdr.Hash(bucket_list_hash),
            ledger_seq=xdr.Uint32(ledger),
            total_coins=xdr.Int64(_TOTAL_COINS),
            fee_pool=xdr.Int64(state.fee_pool),
            inflation_seq=xdr.Uint32(0),
            id_pool=xdr.Uint64(ledger),
            base_fee=xdr.Uint32(100),
            base_reserve=xdr.Uint32(5_000_000),
            max_tx_set_size=xdr.Uint32(state.max_tx_set_size),
            skip_list=[xdr.Hash(state.skip), xdr.Hash(_NO_HASH), xdr.Hash(_NO_HASH), xdr.Hash(_NO_HASH)],
            ext=ext,
        ).to_xdr_bytes()

    def _close_ext(self, ledger: int) -> bytes:
        if self._plan.close_version(ledger) == 0:
            return b""
        if not self._plan.extended_close(ledger):
            return u32(0)
        v1 = xdr.LedgerCloseMetaExtV1(xdr.ExtensionPoint(0), xdr.Int64(1_000))
        return xdr.LedgerCloseMetaExt(1, v1=v1).to_xdr_bytes()

    def _scp_info(self, ledger: int, value: xdr.StellarValue) -> list[bytes]:
        if not self._plan.scp_info(ledger):
            return []
        return [consensus.scp_history(self._network_id, self._accounts.validators, ledger, value).to_xdr_bytes()]

    def _evicted(self, ledger: int) -> list[bytes]:
        keys = []
        for index in range(self._plan.evictions(ledger)):
            ttl = xdr.LedgerKeyTtl(xdr.Hash(self._digest(f"evicted {index}", ledger)))
            keys.append(xdr.LedgerKey(xdr.LedgerEntryType.TTL, ttl=ttl).to_xdr_bytes())
        return keys


def _processing(one: SampleTransaction, version: int) -> bytes:
    """One element of txProcessing: a TransactionResultMeta, or in V2 a TransactionResultMetaV1."""
    if version == 2:
        return u32(0) + one.result_pair + one.fee_changes + one.meta + one.after
    return one.result_pair + one.fee_changes + one.meta
