"""Sample chains: ledgers are well-formed, hashes and signatures are valid, every feature occurs."""

from __future__ import annotations

import hashlib
import itertools
import struct
from collections import Counter
from dataclasses import dataclass

import pytest
from stellar_sdk import FeeBumpTransactionEnvelope, Keypair, TransactionBuilder, xdr

from bronze.authenticity.authenticator import Authenticator
from bronze.authenticity.policy import AuthenticityPolicy
from bronze.ledger.close_meta import read_close_meta
from pipeline.sample import STANDALONE_PASSPHRASE, SampleLedger, sample_chain

NETWORK_ID = hashlib.sha256(STANDALONE_PASSPHRASE.encode()).digest()


@dataclass(frozen=True)
class Decoded:
    """A sample ledger, and what stellar-sdk decodes from it."""

    made: SampleLedger
    meta: xdr.LedgerCloseMeta

    @property
    def body(self) -> xdr.LedgerCloseMetaV0 | xdr.LedgerCloseMetaV1 | xdr.LedgerCloseMetaV2:
        return self.meta.v0 or self.meta.v1 or self.meta.v2

    @property
    def header(self) -> xdr.LedgerHeader:
        return self.body.ledger_header.header

    @property
    def groups(self) -> list[list[xdr.TransactionEnvelope]]:
        """The envelopes by groups of the set; each group is sorted by hash."""
        if self.meta.v == 0:
            return [self.body.tx_set.txs]
        groups = []
        for phase in self.body.tx_set.v1_tx_set.phases:
            for component in phase.v0_components or []:
                groups.append(component.txs_maybe_discounted_fee.txs)
            if phase.parallel_txs_component:
                for stage in phase.parallel_txs_component.execution_stages:
                    groups += [cluster.dependent_tx_cluster for cluster in stage.parallel_tx_execution_stage]
        return groups

    @property
    def envelopes(self) -> list[xdr.TransactionEnvelope]:
        return list(itertools.chain(*self.groups))


@pytest.fixture(scope="module")
def chain() -> list[Decoded]:
    """The default sample with empty transaction sets: 200 ledgers, beginning at 2."""
    made = sample_chain(2, 200, empty_tx_sets=True)
    return [Decoded(one, xdr.LedgerCloseMeta.from_xdr_bytes(one.xdr)) for one in made]


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def operations_of(envelope: xdr.TransactionEnvelope) -> list[xdr.Operation]:
    if envelope.fee_bump:
        return envelope.fee_bump.tx.inner_tx.v1.tx.operations
    return (envelope.v0 or envelope.v1).tx.operations


def test_ledgers_encode_again_to_the_same_bytes(chain: list[Decoded]) -> None:
    assert all(one.meta.to_xdr_bytes() == one.made.xdr for one in chain)


def test_headers_have_valid_hashes_and_links(chain: list[Decoded]) -> None:
    for before, one in zip([None, *chain], chain, strict=False):
        assert one.made.ledger_hash == sha256(one.header.to_xdr_bytes()) == one.body.ledger_header.hash.hash
        assert one.made.previous_hash == one.header.previous_ledger_hash.hash
        assert before is None or one.made.previous_hash == before.made.ledger_hash
    assert [one.made.sequence for one in chain] == list(range(2, 202))


def test_transaction_sets_have_valid_hashes(chain: list[Decoded]) -> None:
    for one in chain:
        tx_set = one.body.tx_set
        if one.meta.v == 0:
            previous, *rest = tx_set.previous_ledger_hash.hash, *(each.to_xdr_bytes() for each in tx_set.txs)
            expected = sha256(previous, *rest)
        else:
            previous, expected = tx_set.v1_tx_set.previous_ledger_hash.hash, sha256(tx_set.to_xdr_bytes())
        assert previous == one.made.previous_hash
        stated = one.header.scp_value.tx_set_hash.hash
        assert stated == one.made.tx_set_hash == (bytes(32) if one.made.empty_tx_set else expected)


def test_result_sets_have_valid_hashes(chain: list[Decoded]) -> None:
    for one in chain:
        pairs = [each.result.to_xdr_bytes() for each in one.body.tx_processing]
        assert one.header.tx_set_result_hash.hash == sha256(struct.pack(">I", len(pairs)), *pairs)


def test_envelopes_are_sorted_by_hash_in_groups(chain: list[Decoded]) -> None:
    for group in itertools.chain(*(one.groups for one in chain)):
        hashes = [sha256(envelope.to_xdr_bytes()) for envelope in group]
        assert hashes == sorted(hashes)


def test_transactions_have_valid_hashes_and_signatures(chain: list[Decoded]) -> None:
    for one in chain:
        hashes = []
        for envelope in one.envelopes:
            parsed = TransactionBuilder.from_xdr(envelope.to_xdr(), STANDALONE_PASSPHRASE)
            hashes.append(parsed.hash())
            transaction = parsed.transaction
            bump = isinstance(parsed, FeeBumpTransactionEnvelope)
            signer = transaction.fee_source if bump else transaction.source
            Keypair.from_public_key(signer.account_id).verify(parsed.hash(), parsed.signatures[0].signature)
            if bump:
                inner = transaction.inner_transaction_envelope
                source = Keypair.from_public_key(inner.transaction.source.account_id)
                source.verify(inner.hash(), inner.signatures[0].signature)
        assert sorted(hashes) == sorted(each.result.transaction_hash.hash for each in one.body.tx_processing)


def test_values_are_signed_by_a_validator(chain: list[Decoded]) -> None:
    for one in chain:
        ext = one.header.scp_value.ext
        if ext.v == xdr.StellarValueType.STELLAR_VALUE_BASIC:
            continue
        signature = (ext.proposed_value or ext).lc_value_signature
        tx_set_hash = ext.proposed_value.tx_set_hash.hash if ext.proposed_value else one.made.tx_set_hash
        payload = NETWORK_ID + struct.pack(">I", 4) + tx_set_hash + struct.pack(">Q", one.made.close_time)
        node = Keypair.from_raw_ed25519_public_key(signature.node_id.node_id.ed25519.uint256)
        node.verify(payload, signature.signature.signature)


def test_soroban_results_hash_return_value_and_events(chain: list[Decoded]) -> None:
    checked = 0
    for each in itertools.chain(*(one.body.tx_processing for one in chain)):
        meta = each.tx_apply_processing
        result = each.result.result.result
        result = result.inner_result_pair.result.result if result.inner_result_pair else result
        call = result.results[0].tr.invoke_host_function_result
        if call is None or call.success is None:
            continue
        events = meta.v3.soroban_meta.events if meta.v3 else meta.v4.operations[0].events
        returned = (meta.v3 or meta.v4).soroban_meta.return_value
        image = xdr.InvokeHostFunctionSuccessPreImage(returned, events)
        assert call.success.hash == sha256(image.to_xdr_bytes())
        checked += 1
    assert checked > 50


def test_stated_values_are_those_of_the_ledger(chain: list[Decoded]) -> None:
    fee_pool = 0
    for one in chain:
        made, header = one.made, one.header
        processing = one.body.tx_processing
        codes = Counter(each.result.result.result.code for each in processing)
        fee_pool += sum(each.result.result.fee_charged.int64 for each in processing)
        failed = xdr.TransactionResultCode.txFAILED, xdr.TransactionResultCode.txFEE_BUMP_INNER_FAILED
        called = [
            envelope
            for envelope in one.envelopes
            if operations_of(envelope)[0].body.type == xdr.OperationType.INVOKE_HOST_FUNCTION
        ]
        assert made.sequence == header.ledger_seq.uint32
        assert made.version == one.meta.v
        assert made.protocol == header.ledger_version.uint32
        assert made.close_time == header.scp_value.close_time.time_point.uint64
        assert made.total_coins == header.total_coins.int64
        assert made.fee_pool == header.fee_pool.int64 == fee_pool
        assert made.tx_count == len(one.envelopes) == len(processing)
        assert made.operation_count == sum(len(operations_of(envelope)) for envelope in one.envelopes)
        assert made.fee_bumps == sum(envelope.fee_bump is not None for envelope in one.envelopes)
        assert made.failed == sum(codes[code] for code in failed)
        assert made.soroban == len(called)
        assert made.upgrades == len(header.scp_value.upgrades) == len(one.body.upgrades_processing)
        assert made.evicted == (len(one.body.evicted_keys) if made.version else 0)


def feature_names(one: Decoded) -> set[str]:
    """The names of all features of a ledger that a reader must handle."""
    made, body = one.made, one.body
    names = {f"V{made.version}", f"value {one.header.scp_value.ext.v.name}", f"header ext {one.header.ext.v}"}
    if made.version:
        names.add(f"ext {body.ext.v}")
        names |= {f"phase {phase.v}" for phase in body.tx_set.v1_tx_set.phases}
        names |= {f"{len(phase.v0_components or [])} components" for phase in body.tx_set.v1_tx_set.phases}
    for each in body.tx_processing:
        names.add(f"meta {each.tx_apply_processing.v}")
        names.add(each.result.result.result.code.name)
    names |= {envelope.type.name for envelope in one.envelopes}
    names |= {operation.body.type.name for envelope in one.envelopes for operation in operations_of(envelope)}
    names |= {upgrade.upgrade.type.name for upgrade in body.upgrades_processing}
    present = {
        "no transactions": made.tx_count == 0,
        "scp info": bool(body.scp_info),
        "evicted": made.evicted > 0,
        "soroban": made.soroban > 0,
        "several operations": made.operation_count > made.tx_count,
    }
    return names | {name for name, there in present.items() if there}


FEATURES = [
    *("V0", "V1", "V2", "ext 0", "ext 1", "header ext 0", "header ext 1"),
    *("value STELLAR_VALUE_BASIC", "value STELLAR_VALUE_SIGNED", "value STELLAR_VALUE_EMPTY_TX_SET"),
    *("phase 0", "phase 1", "0 components", "1 components", "2 components"),
    *("meta 1", "meta 2", "meta 3", "meta 4"),
    *("ENVELOPE_TYPE_TX_V0", "ENVELOPE_TYPE_TX", "ENVELOPE_TYPE_TX_FEE_BUMP"),
    *("txSUCCESS", "txFAILED", "txFEE_BUMP_INNER_SUCCESS", "txFEE_BUMP_INNER_FAILED"),
    *("PAYMENT", "CREATE_ACCOUNT", "MANAGE_DATA", "MANAGE_SELL_OFFER", "INVOKE_HOST_FUNCTION"),
    *("LEDGER_UPGRADE_VERSION", "LEDGER_UPGRADE_MAX_TX_SET_SIZE", "LEDGER_UPGRADE_FLAGS", "LEDGER_UPGRADE_CONFIG"),
    *("no transactions", "scp info", "evicted", "soroban", "several operations"),
]


@pytest.fixture(scope="module")
def occurring(chain: list[Decoded]) -> set[str]:
    return set().union(*map(feature_names, chain))


@pytest.mark.parametrize("feature", FEATURES)
def test_feature_occurs_in_the_default_sample(feature: str, occurring: set[str]) -> None:
    assert feature in occurring


@pytest.mark.parametrize(
    ("protocol", "version", "meta"),
    [
        (12, 0, 1),  # legacy envelopes and meta
        (19, 0, 2),  # the last protocol before generalized sets
        (20, 1, 3),
        (22, 1, 3),
        (23, 2, 4),  # parallel Soroban phases
        (29, 2, 4),
    ],
)
def test_protocol_decides_the_formats(protocol: int, version: int, meta: int) -> None:
    made = list(sample_chain(1000, 5, protocols=[protocol]))
    decoded = [Decoded(one, xdr.LedgerCloseMeta.from_xdr_bytes(one.xdr)) for one in made]
    assert {one.meta.v for one in decoded} == {version}
    assert {each.tx_apply_processing.v for one in decoded for each in one.body.tx_processing} == {meta}
    assert {one.protocol for one in made} == {protocol}


def test_upgrade_ledger_has_new_protocol_in_old_format() -> None:
    made = list(sample_chain(10, 6, protocols=[22, 23]))
    assert [(one.protocol, one.version) for one in made] == [(22, 1), (22, 1), (23, 1), (23, 2), (23, 2), (23, 2)]
    assert [one.upgrades for one in made][2] == 1


def test_seed_and_network_decide_the_bytes() -> None:
    def ledgers(**changed: object) -> list[bytes]:
        return [one.xdr for one in sample_chain(2, 20, **changed)]  # type: ignore[arg-type]

    assert ledgers() == ledgers()
    for changed in ({"seed": 1}, {"network_passphrase": "another"}):
        assert not set(ledgers(**changed)) & set(ledgers())


def test_ledger_size_follows_the_transactions_option() -> None:
    small = [len(one.xdr) for one in sample_chain(2, 50)]
    large = [len(one.xdr) for one in sample_chain(2, 50, transactions=50)]
    assert 10_000 < sum(small) / 50 < 60_000
    assert 3 < sum(large) / sum(small) < 8


def test_empty_sets_occur_only_on_request() -> None:
    options = {"protocols": (27, 28), "transactions": 1}
    assert not any(one.empty_tx_set for one in sample_chain(2, 40, **options))
    assert [one.sequence for one in sample_chain(2, 40, **options, empty_tx_sets=True) if one.empty_tx_set] == [
        6,
        19,
        32,
    ]


def test_value_signatures_and_events_are_authentic() -> None:
    """As the copier checks them: on every kind of ledger, under the network of the sample."""
    policy = AuthenticityPolicy(network="standalone", passphrase=STANDALONE_PASSPHRASE)
    authenticator = Authenticator(policy)
    for one in sample_chain(2, 80, empty_tx_sets=True):
        authenticator.check(read_close_meta(one.xdr, 0, len(one.xdr)), memoryview(one.xdr))
    found = authenticator.findings()
    assert found.signatures + found.transaction_proofs + found.unproven == 80
    assert found.signatures >= 69
    assert found.events > 50
    assert (found.failed_signatures, found.failed_events, found.rewritten_events) == (0, 0, 0)
