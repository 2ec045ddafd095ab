"""The sample generator: its ledgers are well-formed, its hashes hold, every feature occurs, its lakes are Galexie's."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import struct
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
import zstandard
from stellar_sdk import FeeBumpTransactionEnvelope, Keypair, TransactionBuilder, xdr

from bronze.errors import ConfigError, ConflictError
from bronze.lake.layout import LakeLayout
from pipeline.commands import sample as command
from pipeline.sample import (
    STANDALONE_PASSPHRASE,
    ChainSchedule,
    SampleLedger,
    SampleOptions,
    sample_chain,
    write_sample_lake,
)
from pipeline.sample.config_file import era_starts

NETWORK_ID = hashlib.sha256(STANDALONE_PASSPHRASE.encode()).digest()


@dataclass(frozen=True)
class Decoded:
    """A sample ledger beside what stellar-sdk reads from it."""

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
        """Envelopes as the set groups them: each group is sorted by hash."""
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
    """The default sample: 200 ledgers from 2 on."""
    return [Decoded(made, xdr.LedgerCloseMeta.from_xdr_bytes(made.xdr)) for made in sample_chain(2, 200)]


def sha256(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def operations_of(envelope: xdr.TransactionEnvelope) -> list[xdr.Operation]:
    if envelope.fee_bump:
        return envelope.fee_bump.tx.inner_tx.v1.tx.operations
    return (envelope.v0 or envelope.v1).tx.operations


def test_every_ledger_encodes_again_to_the_same_bytes(chain: list[Decoded]) -> None:
    assert all(one.meta.to_xdr_bytes() == one.made.xdr for one in chain)


def test_every_header_has_its_hash_and_is_linked(chain: list[Decoded]) -> None:
    for before, one in zip([None, *chain], chain, strict=False):
        assert one.made.ledger_hash == sha256(one.header.to_xdr_bytes()) == one.body.ledger_header.hash.hash
        assert one.made.previous_hash == one.header.previous_ledger_hash.hash
        assert before is None or one.made.previous_hash == before.made.ledger_hash
    assert [one.made.sequence for one in chain] == list(range(2, 202))


def test_every_transaction_set_has_its_hash(chain: list[Decoded]) -> None:
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


def test_every_result_set_has_its_hash(chain: list[Decoded]) -> None:
    for one in chain:
        pairs = [each.result.to_xdr_bytes() for each in one.body.tx_processing]
        assert one.header.tx_set_result_hash.hash == sha256(struct.pack(">I", len(pairs)), *pairs)


def test_envelopes_are_sorted_by_hash_within_their_group(chain: list[Decoded]) -> None:
    for group in itertools.chain(*(one.groups for one in chain)):
        hashes = [sha256(envelope.to_xdr_bytes()) for envelope in group]
        assert hashes == sorted(hashes)


def test_transactions_are_hashed_and_signed_as_the_sdk_does(chain: list[Decoded]) -> None:
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
        caller_hashes = ext.proposed_value.tx_set_hash.hash if ext.proposed_value else one.made.tx_set_hash
        payload = NETWORK_ID + struct.pack(">I", 4) + caller_hashes + struct.pack(">Q", one.made.close_time)
        node = Keypair.from_raw_ed25519_public_key(signature.node_id.node_id.ed25519.uint256)
        node.verify(payload, signature.signature.signature)


def test_soroban_results_are_hashes_of_return_value_and_events(chain: list[Decoded]) -> None:
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


def test_expected_values_are_those_of_the_ledger(chain: list[Decoded]) -> None:
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
    """Everything about a ledger that a reader might trip over."""
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
        (12, 0, 1),  # envelopes and meta of old
        (19, 0, 2),  # the last one before generalized sets
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


def test_an_upgrade_ledger_states_the_new_protocol_in_the_old_format() -> None:
    made = list(sample_chain(10, 6, protocols=[22, 23]))
    assert [(one.protocol, one.version) for one in made] == [(22, 1), (22, 1), (23, 1), (23, 2), (23, 2), (23, 2)]
    assert [one.upgrades for one in made][2] == 1


def test_same_arguments_make_the_same_ledgers_and_another_seed_or_network_others() -> None:
    def ledgers(**changed: object) -> list[bytes]:
        return [one.xdr for one in sample_chain(2, 20, **changed)]  # type: ignore[arg-type]

    assert ledgers() == ledgers()
    for changed in ({"seed": 1}, {"network_passphrase": "another"}):
        assert not set(ledgers(**changed)) & set(ledgers())


def test_ledgers_are_of_realistic_size_and_follow_the_option() -> None:
    small = [len(one.xdr) for one in sample_chain(2, 50)]
    large = [len(one.xdr) for one in sample_chain(2, 50, transactions=50)]
    assert 10_000 < sum(small) / 50 < 60_000
    assert 3 < sum(large) / sum(small) < 8


@pytest.mark.parametrize(
    ("first", "count", "protocols"),
    [
        (1, 5, [19]),  # genesis has no close meta
        (2, 0, [19]),  # no ledger
        (2**32 - 1, 2, [19]),  # beyond the last possible one
        (2, 5, []),  # no protocol
        (2, 5, [20, 19]),  # falling
        (2, 5, [99]),  # unknown
    ],
)
def test_impossible_chains_are_refused(first: int, count: int, protocols: list[int]) -> None:
    with pytest.raises(ValueError, match=r"ledgers|protocols"):
        next(sample_chain(first, count, protocols=protocols))


def read_lake(root: Path) -> dict[str, list[bytes]]:
    """Object key, to its batch's close metas."""
    lake = {}
    for path in sorted(root.rglob("*.xdr.*")):
        stored = path.read_bytes()
        parameters = zstandard.get_frame_parameters(stored)
        raw = zstandard.ZstdDecompressor().decompress(stored, max_output_size=1 << 26)
        assert parameters.has_checksum
        assert (parameters.content_size == zstandard.CONTENTSIZE_UNKNOWN) == (len(raw) > 128 * 1024)
        batch = xdr.LedgerCloseMetaBatch.from_xdr_bytes(raw)
        metas = batch.ledger_close_metas
        assert batch.end_sequence.uint32 - batch.start_sequence.uint32 + 1 == len(metas)
        lake[path.relative_to(root).as_posix()] = [meta.to_xdr_bytes() for meta in metas]
    return lake


@pytest.mark.parametrize(
    ("options", "first", "last", "keys"),
    [
        # one ledger per file, no directories
        (
            SampleOptions(ledgers=2, files_per_directory=1),
            2,
            3,
            ["FFFFFFFC--3.xdr.zst", "FFFFFFFD--2.xdr.zst"],
        ),
        # four per file: the first is named from 0 and starts at 2, the last is a whole one
        (
            SampleOptions(ledgers=3, ledgers_per_file=4, files_per_directory=1, extension="zstd"),
            2,
            7,
            ["FFFFFFFB--4-7.xdr.zstd", "FFFFFFFF--0-3.xdr.zstd"],
        ),
        # directories of eight ledgers; a first ledger within a file takes the file's first along
        (
            SampleOptions(first=14, ledgers=4, ledgers_per_file=4, files_per_directory=2),
            12,
            19,
            ["FFFFFFEF--16-23/FFFFFFEF--16-19.xdr.zst", "FFFFFFF7--8-15/FFFFFFF3--12-15.xdr.zst"],
        ),
    ],
)
def test_lake_is_laid_out_as_galexie_does(
    tmp_path: Path, options: SampleOptions, first: int, last: int, keys: list[str]
) -> None:
    lake = write_sample_lake(tmp_path / "lake", options)
    stored = read_lake(lake.root)
    assert sorted(stored) == keys
    assert (lake.first, lake.last, lake.count, lake.objects) == (first, last, last - first + 1, len(keys))
    made = list(options.chain())
    assert [one.sequence for one in made] == list(range(first, last + 1))
    # Newer objects sort first: backwards, the names give the chain.
    assert list(itertools.chain(*(stored[key] for key in sorted(stored, reverse=True)))) == [one.xdr for one in made]
    assert lake.xdr_bytes == sum(len(one.xdr) for one in made)
    layout = LakeLayout(options.ledgers_per_file, options.files_per_directory, options.extension)
    assert {layout.key(one.sequence) for one in made} == set(keys)


def test_large_batches_state_no_content_size(tmp_path: Path) -> None:
    lake = write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=16, ledgers_per_file=16, transactions=30))
    assert lake.xdr_bytes > 2 * 128 * 1024
    assert read_lake(lake.root)


def test_lake_config_is_galexies_and_can_be_left_out(tmp_path: Path) -> None:
    with_config = SampleOptions(ledgers=4, ledgers_per_file=2, files_per_directory=8)
    write_sample_lake(tmp_path / "with", with_config)
    assert json.loads((tmp_path / "with" / ".config.json").read_text()) == {
        "networkPassphrase": STANDALONE_PASSPHRASE,
        "version": "1.0",
        "compression": "zstd",
        "ledgersPerBatch": 2,
        "batchesPerPartition": 8,
    }
    write_sample_lake(tmp_path / "without", SampleOptions(ledgers=4, config=False))
    assert not (tmp_path / "without" / ".config.json").exists()


def snapshot(root: Path) -> dict[str, tuple[bytes, int]]:
    return {str(path): (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


def test_a_rerun_leaves_the_lake_alone_and_says_so(tmp_path: Path) -> None:
    options = SampleOptions(ledgers=10)
    (tmp_path / "lake").mkdir()  # an empty directory will do
    first = write_sample_lake(tmp_path / "lake", options)
    before = snapshot(tmp_path)
    again = write_sample_lake(tmp_path / "lake", options)
    assert snapshot(tmp_path) == before
    assert (first.existed, again.existed) == (False, True)
    assert (first.objects, first.bytes, first.xdr_bytes) == (again.objects, again.bytes, again.xdr_bytes)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda lake: (lake / "notes.txt").write_text("mine"), "notes.txt is not of it"),
        (lambda lake: (lake / "FFFFFFFD--2.xdr.zst").unlink(), "FFFFFFFD--2.xdr.zst is missing"),
        (lambda lake: (lake / "FFFFFFFC--3.xdr.zst").write_bytes(b"other"), "FFFFFFFC--3.xdr.zst differs"),
        (lambda lake: (lake / ".config.json").unlink(), ".config.json is missing"),
    ],
)
def test_a_directory_with_anything_else_is_refused_and_left_alone(tmp_path: Path, spoil, message: str) -> None:
    options = SampleOptions(ledgers=3, files_per_directory=1)
    lake = write_sample_lake(tmp_path / "lake", options).root
    spoil(lake)
    before = snapshot(tmp_path)
    with pytest.raises(ConflictError, match=message):
        write_sample_lake(lake, options)
    assert snapshot(tmp_path) == before


def test_a_file_in_the_lakes_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("mine")
    with pytest.raises(ConflictError, match="no directory"):
        write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=1))


def test_a_run_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: Path, data: bytes) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", broken)
    with pytest.raises(OSError, match="disk full"):
        write_sample_lake(tmp_path / "lake", SampleOptions(ledgers=3))
    assert list(tmp_path.iterdir()) == []


def run_command(*words: object) -> int:
    parser = argparse.ArgumentParser()
    command.add_arguments(parser)
    return command.run(parser.parse_args([str(word) for word in words]))


def test_command_makes_a_lake_and_says_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = (tmp_path / "lake", "--ledgers", 8, "--ledgers-per-file", 4, "--extension", "zstd", "--network", "testnet")
    assert run_command(*words) == 0
    printed = capsys.readouterr().out
    assert "written" in printed
    assert "ledgers 2-11 (10)" in printed
    assert "3 .xdr.zstd objects" in printed
    config = json.loads((tmp_path / "lake" / ".config.json").read_text())
    assert config["networkPassphrase"] == "Test SDF Network ; September 2015"
    assert run_command(*words) == 0
    assert "already there, identical" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("--ledgers", 0),
        ("--first", 1),
        ("--ledgers-per-file", 0),
        ("--transactions", 0),
        ("--protocols", "22,20"),
        ("--write-config", "config.yaml", "--eras", 9),
    ],
)
def test_command_refuses_what_no_lake_can_have(tmp_path: Path, words: tuple[object, ...]) -> None:
    with pytest.raises(ConfigError):
        run_command(tmp_path / "lake", *words)
    assert list(tmp_path.iterdir()) == []


def test_command_writes_a_configuration_for_the_lake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "try" / "config.yaml"
    words = (tmp_path / "lake", "--write-config", file, "--eras", 3)
    assert run_command(*words) == 0
    assert run_command(*words) == 0  # the same again is no conflict
    assert str(file) in capsys.readouterr().out
    config = yaml.safe_load(file.read_text())
    assert [(era["era_id"], era["ledger_start"], era["ledger_end"]) for era in config["eras"]] == [
        ("p12", 2, 51),
        ("p20", 52, 126),
        ("p23", 127, 201),
    ]
    assert {era["network"] for era in config["eras"]} == {"standalone"}
    assert {era["partition_size"] for era in config["eras"]} == {20}
    assert config["source"] == {"mode": "local", "local_path": str(tmp_path / "lake")}
    assert config["storage"]["local_dir"] == str(tmp_path / "try" / "data")
    assert config["checkpoint"]["dir"] == str(tmp_path / "try" / "state")
    assert config["pas"] == {"enabled": True, "backup_dir": str(tmp_path / "try" / "pas-backup")}
    file.write_text("copier_id: mine\n")
    with pytest.raises(ConflictError, match="another configuration"):
        run_command(*words)
    assert file.read_text() == "copier_id: mine\n"


def test_a_configuration_of_one_era_spans_the_lake(tmp_path: Path) -> None:
    run_command(tmp_path / "lake", "--ledgers", 12, "--write-config", tmp_path / "config.yaml")
    era = yaml.safe_load((tmp_path / "config.yaml").read_text())["era"]
    assert (era["era_id"], era["ledger_start"], era["ledger_end"], era["partition_size"]) == ("sample", 2, 13, 2)


@pytest.mark.parametrize("eras", range(1, 9))
def test_eras_begin_where_the_format_changes(eras: int) -> None:
    plan = ChainSchedule(2, 200)
    starts = era_starts(plan, eras)
    changes = {start for start in starts[1:] if plan.close_version(start) != plan.close_version(start - 1)}
    assert len(set(starts)) == eras
    assert starts[0] == 2
    assert len(changes) == min(eras - 1, 2)
    assert all(plan.protocol(start) != plan.protocol(start - 1) for start in starts[1:])
