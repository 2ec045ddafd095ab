"""Chains of sample ledgers: deterministic, hash-linked, and with valid hashes and signatures throughout.

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

from bronze.stellar import FIRST_LEDGER, GENESIS_HASHES
from pipeline.sample import consensus
from pipeline.sample.schedule import DEFAULT_PROTOCOLS, ChainSchedule
from pipeline.sample.template import array, i64, u32
from pipeline.sample.transaction_meta import meta_version
from pipeline.sample.transactions import Accounts, SampleTransaction, Transactor
from pipeline.sample.tx_sets import generalized_set, legacy_set

#: The passphrase of a private network: the usual one of standalone nodes.
STANDALONE_PASSPHRASE = "Standalone Network ; February 2017"

#: Average number of transactions in a ledger.
DEFAULT_TRANSACTIONS = 10

_FIRST_CLOSE_TIME = 1_700_000_000
_SECONDS_PER_LEDGER = 5
_TOTAL_COINS = 1_000_000_000_000_000_000
_NO_HASH = bytes(32)


@dataclass(frozen=True, slots=True)
class SampleLedger:
    """A ledger, and the values that a reader must find in it.

    Attributes:
        sequence: the sequence number.
        version: version of the LedgerCloseMeta: 0, 1 or 2.
        protocol: ledgerVersion of the header.
        xdr: the LedgerCloseMeta.
        ledger_hash, previous_hash, tx_set_hash: 32 bytes each, as in the header and its history entry.
        close_time: in seconds since the epoch.
        total_coins, fee_pool: in stroops.
        tx_count: number of transactions in the set; `failed`, `fee_bumps` and `soroban`: how many of them are that.
        operation_count: number of operations in all envelopes, also of failed and of inner transactions.
        upgrades: number of upgrades in the value.
        evicted: number of evicted keys.
        empty_tx_set: whether the value is a STELLAR_VALUE_EMPTY_TX_SET; `tx_set_hash` is zero then.
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
    empty_tx_sets: bool = False,
) -> Iterator[SampleLedger]:
    """Make the ledgers `first` to ``first + count - 1``; the same arguments make the same bytes.

    Args:
        first: at least 2.
        count: at least 1.
        network_passphrase: passphrase of the network that transactions and values are signed for. From ledger 2 on, the
            chain of a public network follows that network's genesis.
        protocols: ascending; the chain upgrades from each to the next, in segments of equal length.
        seed: another seed makes other ledgers.
        transactions: average number of transactions in a ledger (0 to twice as many), about 3 KB each.
        empty_tx_sets: whether ledgers of protocol 27 on have sets that no node could provide (CAP-83).

    Raises:
        ValueError: an argument is out of range.
    """
    if transactions < 1:
        raise ValueError(f"a ledger needs at least 1 transaction on average, not {transactions}")
    schedule = ChainSchedule(first, count, tuple(protocols), empty_tx_sets)
    return _Chain(schedule, network_passphrase, seed, transactions).ledgers()


@dataclass(slots=True)
class _State:
    """What a header takes over from the previous one."""

    previous_hash: bytes
    previous_protocol: int
    fee_pool: int = 0
    max_tx_set_size: int = 1_000
    flags: int | None = None
    skip: bytes = _NO_HASH


class _Chain:
    def __init__(self, schedule: ChainSchedule, passphrase: str, seed: int, transactions: int) -> None:
        self._schedule = schedule
        self._passphrase = passphrase
        self._seed = f"{seed} {passphrase}"
        self._network_id = hashlib.sha256(passphrase.encode()).digest()
        self._average = transactions
        # A ledger has at most twice the average, each transaction with a different account.
        self._accounts = Accounts(seed, max(64, 3 * transactions))
        self._transactor = Transactor(self._accounts, self._network_id)

    def ledgers(self) -> Iterator[SampleLedger]:
        first = self._schedule.first
        genesis = GENESIS_HASHES.get(self._passphrase) if first == FIRST_LEDGER else None
        before = bytes.fromhex(genesis) if genesis else self._digest("ledger before", first)
        state = _State(before, self._schedule.protocol(first))
        for ledger in range(first, self._schedule.last + 1):
            yield self._ledger(ledger, state)

    def _digest(self, what: str, ledger: int) -> bytes:
        return hashlib.sha256(f"{self._seed} {what} {ledger}".encode()).digest()

    def _ledger(self, ledger: int, state: _State) -> SampleLedger:
        schedule = self._schedule
        # A generator for each ledger: the content of a ledger does not depend on earlier ones.
        rng = random.Random(f"{self._seed} {ledger}")
        close_time = _FIRST_CLOSE_TIME + _SECONDS_PER_LEDGER * ledger
        version = schedule.close_version(ledger)
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
                # V1 ends with evicted entries, which are always empty.
                array([]) if version == 1 else b"",
            ]
        )
        made = SampleLedger(
            sequence=ledger,
            version=version,
            protocol=schedule.header_protocol(ledger),
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
            empty_tx_set=schedule.empty_tx_set(ledger),
        )
        state.previous_hash, state.previous_protocol = ledger_hash, made.protocol
        return made

    def _transactions(self, rng: random.Random, ledger: int, close_time: int) -> list[SampleTransaction]:
        """The transactions of the ledger in the order in which they are applied."""
        if not self._schedule.has_transactions(ledger):
            return []
        protocol = self._schedule.protocol(ledger)
        made = self._transactor.transactions(
            rng,
            rng.randint(1, 2 * self._average),
            ledger=ledger,
            close_time=close_time,
            protocol=protocol,
            meta_version=meta_version(protocol),
        )
        # Their order is random already; classic ones are applied first, as since sets have phases.
        return sorted(made, key=lambda one: one.shape.soroban)

    def _upgrades(self, ledger: int, state: _State) -> list[xdr.LedgerUpgrade]:
        """The upgrades of the ledger; updates `state`."""
        schedule, kinds, upgrades = self._schedule, xdr.LedgerUpgradeType, []
        protocol = schedule.header_protocol(ledger)
        if protocol != schedule.protocol(ledger):
            version = xdr.Uint32(protocol)
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_VERSION, new_ledger_version=version))
        if schedule.set_size_upgrade(ledger):
            state.max_tx_set_size += 50
            size = xdr.Uint32(state.max_tx_set_size)
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_MAX_TX_SET_SIZE, new_max_tx_set_size=size))
        if schedule.flags_upgrade(ledger):
            state.flags = 0 if state.flags else 1
            flags = xdr.Uint32(state.flags)
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_FLAGS, new_flags=flags))
        if schedule.config_upgrade(ledger):
            contract = xdr.ContractID(xdr.Hash(self._digest("settings contract", 0)))
            settings = xdr.ConfigUpgradeSetKey(contract, xdr.Hash(self._digest("settings", ledger)))
            upgrades.append(xdr.LedgerUpgrade(kinds.LEDGER_UPGRADE_CONFIG, new_config=settings))
        return upgrades

    def _value(
        self, ledger: int, close_time: int, tx_set_hash: bytes, upgrades: list[xdr.LedgerUpgrade], state: _State
    ) -> xdr.StellarValue:
        validator = self._accounts.validators[ledger % len(self._accounts.validators)]
        if self._schedule.empty_tx_set(ledger):
            proposed, tx_set_hash = self._digest("missing set", ledger), _NO_HASH
            previous = (state.previous_hash, state.previous_protocol)
            ext = consensus.empty_tx_set(self._network_id, validator, proposed, close_time, previous)
        elif self._schedule.signed_value(ledger):
            ext = consensus.signed(self._network_id, validator, tx_set_hash, close_time)
        else:
            ext = consensus.basic()
        return consensus.stellar_value(tx_set_hash, close_time, upgrades, ext)

    def _header(
        self, ledger: int, value: xdr.StellarValue, results: bytes, applied: list[SampleTransaction], state: _State
    ) -> bytes:
        """The XDR of the LedgerHeader; updates `state`."""
        state.fee_pool += sum(one.shape.fee_charged for one in applied)
        bucket_list_hash = self._digest("buckets", ledger)
        if ledger % 50 == 0:  # the first interval of the skip list; samples are too short for the others
            state.skip = bucket_list_hash
        ext = xdr.LedgerHeaderExt(0)
        if state.flags is not None:
            v1 = xdr.LedgerHeaderExtensionV1(xdr.Uint32(state.flags), xdr.LedgerHeaderExtensionV1Ext(0))
            ext = xdr.LedgerHeaderExt(1, v1=v1)
        return xdr.LedgerHeader(
            ledger_version=xdr.Uint32(self._schedule.header_protocol(ledger)),
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
        if self._schedule.close_version(ledger) == 0:
            return b""
        if not self._schedule.extended_close(ledger):
            return u32(0)
        v1 = xdr.LedgerCloseMetaExtV1(xdr.ExtensionPoint(0), xdr.Int64(1_000))
        return xdr.LedgerCloseMetaExt(1, v1=v1).to_xdr_bytes()

    def _scp_info(self, ledger: int, value: xdr.StellarValue) -> list[bytes]:
        if not self._schedule.scp_info(ledger):
            return []
        return [consensus.scp_history(self._network_id, self._accounts.validators, ledger, value).to_xdr_bytes()]

    def _evicted(self, ledger: int) -> list[bytes]:
        keys = []
        for index in range(self._schedule.evictions(ledger)):
            ttl = xdr.LedgerKeyTtl(xdr.Hash(self._digest(f"evicted {index}", ledger)))
            keys.append(xdr.LedgerKey(xdr.LedgerEntryType.TTL, ttl=ttl).to_xdr_bytes())
        return keys


def _processing(one: SampleTransaction, version: int) -> bytes:
    """An element of txProcessing: a TransactionResultMeta, or in V2 a TransactionResultMetaV1."""
    if version == 2:
        return u32(0) + one.result_pair + one.fee_changes + one.meta + one.after
    return one.result_pair + one.fee_changes + one.meta
