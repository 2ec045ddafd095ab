"""How far validators stand behind a chain: whole runs over real and sample ledgers, with real configurations."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import read_close_meta
from pipeline.sample.config_file import validators_file
from tests.e2e.conftest import Copier, LakeFiles, small, tree, wait_until
from tests.support.forged_ledgers import fee_pool_at, relinked
from tests.support.real_validators import PASSPHRASES, PUBNET, TESTNET, configuration

CHAIN_0 = {"network": "testnet", "ledger_start": 1410048, "ledger_end": 1410367, "partition_size": 64}
CHAIN_2 = {"network": "pubnet", "ledger_start": 63092982, "ledger_end": 63092991, "partition_size": 5}
SAMPLE = {"first": 8, "ledgers": 48}
ERA = {"ledger_start": 8, "ledger_end": 55, "partition_size": 8}


def attested(copy: Copier) -> dict[str, Any]:
    (path,) = (copy.root / "pas").glob("attested_*.json")
    return dict(json.loads(path.read_bytes()))


@pytest.fixture
def validators(tmp_path: Path) -> Callable[[dict[str, list[str]], str], str]:
    """Writes a configuration of these validators; returns its path."""

    def write(domains: dict[str, list[str]], network: str) -> str:
        path = tmp_path / f"{network}.cfg"
        path.write_text(configuration(domains, PASSPHRASES[network]))
        return str(path)

    return write


@pytest.fixture
def sample_validators(tmp_path: Path) -> str:
    options = small(**SAMPLE)
    path = tmp_path / "validators.cfg"
    path.write_text(validators_file(options.passphrase, options.validators))
    return str(path)


@pytest.mark.ledgers
def test_real_testnet_is_attested_by_its_validators(
    real_lake: Callable[..., Path], copier: Callable[..., Copier], validators: Callable[..., str]
) -> None:
    copy = copier(real_lake("--chain", "0"), **CHAIN_0)
    copy.settings["authenticity"] = {
        "validators": validators(TESTNET, "testnet"), "attestation": "require", "attestation_lag": 10
    }  # fmt: skip
    ran = copy.run()
    assert ran.status == 0, ran.out
    assert ran.lines("authentic") == ["testnet: 320 signatures, attested through 1,410,365 by 1 of 1 organization"]
    assert attested(copy)["attested_through"] == 1410365
    status = copy.run("status")
    assert "  attested     through 1,410,365 by 1 of 1 organization\n" in status.out
    found = json.loads(copy.run("status", "--json").out)["eras"][0]["attestation"]
    assert found == {"through": 1410365, "organizations": 1, "out_of": 1}


@pytest.mark.ledgers
def test_ten_pubnet_ledgers_are_signed_not_attested(
    real_lake: Callable[..., Path], copier: Callable[..., Copier], validators: Callable[..., str]
) -> None:
    """Ten ledgers have at most ten signers; the quorum of pubnet needs ten of the right ones."""
    copy = copier(real_lake("--chain", "2"), **CHAIN_2)
    copy.settings["authenticity"] = {"validators": validators(PUBNET, "pubnet")}
    ran = copy.run()
    assert ran.status == 0, ran.out
    assert ran.lines("authentic") == ["pubnet: 10 signatures, no ledger attested by a quorum of the 7 organizations"]
    signers = {node for one in copy.manifests().values() for node in one["authenticity"]["signers"]}
    listed = {key for keys in PUBNET.values() for key in keys}
    assert len(signers) > 1
    assert signers <= listed
    # Two of the organizations that signed in these ten ledgers, with one node each, are a quorum that can be met.
    behind = {domain: [key for key in keys if key in signers] for domain, keys in PUBNET.items()}
    some = {domain: keys[:1] for domain, keys in behind.items() if keys}
    path = Path(copy.settings["authenticity"]["validators"])
    path.write_text(configuration(dict(list(some.items())[:2]), PASSPHRASES["pubnet"], quality="MEDIUM"))
    again = copy.run()
    assert "by 2 of 2 organizations" in again.lines("authentic")[0]


@pytest.mark.ledgers
def test_unlisted_signers_attest_nothing(
    real_lake: Callable[..., Path], copier: Callable[..., Copier], validators: Callable[..., str]
) -> None:
    copy = copier(real_lake("--chain", "0"), **CHAIN_0)
    others = {"elsewhere.example": PUBNET["sdf"]}
    copy.settings["authenticity"] = {"validators": validators(others, "testnet"), "attestation": "require"}
    ran = copy.run()
    assert ran.status == 1
    # The first partition is shorter than what may lag.
    assert copy.committed() == [(1410048, 1410111)]
    (refused,) = ran.lines("refused")
    assert "1410112-1410175: AuthenticityError" in refused
    assert "stand behind no ledger, expected ledger 1410075 or a later one" in refused
    assert "3 nodes signed ledgers of it, which is not the same" in refused
    assert ran.lines("authentic") == ["testnet: 320 signatures, no ledger attested by a quorum of the 1 organization"]
    copy.settings["authenticity"]["attestation"] = "report"
    assert copy.run().status == 0
    assert len(copy.committed()) == 5


@pytest.mark.ledgers
def test_two_of_five_validators_are_no_quorum(
    real_lake: Callable[..., Path], copier: Callable[..., Copier], validators: Callable[..., str]
) -> None:
    copy = copier(real_lake("--chain", "0"), **CHAIN_0)
    truncated = {"testnet.stellar.org": [*TESTNET["testnet.stellar.org"][:2], *PUBNET["sdf"]]}
    copy.settings["authenticity"] = {"validators": validators(truncated, "testnet")}
    ran = copy.run()
    assert ran.status == 0
    assert "no ledger attested by a quorum of the 1 organization" in ran.lines("authentic")[0]
    truncated["testnet.stellar.org"].pop()  # three of four are needed: two still are not enough
    validators(truncated, "testnet")
    assert "no ledger attested" in copy.run().lines("authentic")[0]
    truncated["testnet.stellar.org"][-1] = TESTNET["testnet.stellar.org"][2]
    validators(truncated, "testnet")
    assert "attested through 1,410,3" in copy.run().lines("authentic")[0]


@pytest.mark.ledgers
def test_forged_history_is_attested_before_it_only(
    real_lake: Callable[..., Path], copier: Callable[..., Copier], validators: Callable[..., str]
) -> None:
    """One header field changed, everything behind it linked and hashed again; copied because that was asked for."""
    lake = LakeFiles(real_lake("--chain", "0"), LakeLayout(1, 64000, "zst"))
    real = [lake.meta(ledger) for ledger in range(1410048, 1410176)]
    at = fee_pool_at(read_close_meta(real[72], 0, len(real[72])), real[72])

    def change(buffer: bytearray) -> None:
        buffer[at + 7] ^= 1

    for number, meta in enumerate(relinked(real, 72, change)[72:], 72):
        lake.put_meta(1410048 + number, meta)
    copy = copier(lake.root, **{**CHAIN_0, "ledger_end": 1410175})
    copy.settings["authenticity"] = {"validators": validators(TESTNET, "testnet"), "signatures": "report"}
    ran = copy.run()
    assert ran.status == 0, ran.out
    assert ran.lines("authentic") == [
        "testnet: 73 signatures, 55 signatures or proofs do not hold, attested through 1,410,117 by 1 of 1 organization"
    ]
    copy.settings["authenticity"] |= {"signatures": "require", "attestation": "require"}
    other = copier(lake.root, name="required", **{**CHAIN_0, "ledger_end": 1410175})
    other.settings["authenticity"] = copy.settings["authenticity"]
    ran = other.run()
    assert ran.status == 1
    assert "ledger 1410121 is not authentic" in ran.out
    assert other.committed() == [(1410048, 1410111)]


def test_invented_pubnet_is_signed_not_attested(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], validators: Callable[..., str]
) -> None:
    """A whole pubnet by somebody with keys of their own: every hash and every signature holds."""
    lake = sample(first=2, ledgers=60, passphrase=PASSPHRASES["pubnet"], protocols=(20, 23))
    copy = copier(lake.root, network="pubnet", ledger_start=2, ledger_end=61, partition_size=20)
    copy.settings["authenticity"] = {
        "validators": validators(PUBNET, "pubnet"), "attestation": "require", "attestation_lag": 30
    }  # fmt: skip
    ran = copy.run()
    assert ran.status == 1
    assert copy.committed() == [(2, 21)]
    assert "3 nodes signed ledgers of it, which is not the same" in ran.lines("refused")[0]
    assert "no ledger attested by a quorum of the 7 organizations" in ran.lines("authentic")[0]


def test_attestation_is_the_same_however_copied(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], sample_validators: str
) -> None:
    lake = sample(**SAMPLE)
    asked = {"authenticity": {"validators": sample_validators, "attestation": "require", "attestation_lag": 9}}

    once = copier(lake.root, name="once", settings=asked, **ERA)
    ran = once.run()
    assert ran.status == 0, ran.out
    assert attested(once)["attested_through"] == 53

    several = copier(lake.root, name="several", settings={**asked, "perf": {"workers": 3, "wave_partitions": 2}}, **ERA)
    assert several.run().status == 0

    killed = copier(lake.root, name="killed", settings={**asked, "perf": {"wave_partitions": 1}}, **ERA)
    process = killed.start()
    try:
        wait_until(lambda: any((killed.root / "pas").glob("attested_*.json")), "the first commit")
    finally:
        process.kill()
        process.communicate()
    assert killed.run().status == 0

    # Begun without authenticity, then without attestation.
    late = copier(lake.root, name="late", settings={"authenticity": {"signatures": "off", "events": "off"}}, **ERA)
    late.settings["era"]["ledger_end"] = 23
    assert late.run().status == 0
    late.settings["authenticity"] = {}
    late.settings["era"]["ledger_end"] = 39
    assert late.run().status == 0
    assert list((late.root / "pas").glob("attested_*.json")) == []
    late.settings["authenticity"] = asked["authenticity"]
    late.settings["era"]["ledger_end"] = 55
    assert late.run().status == 0

    # The file is lost, and read again from the manifests.
    lost = copier(lake.root, name="lost", settings=asked, **ERA)
    lost.settings["era"]["ledger_end"] = 31
    assert lost.run().status == 0
    for path in (lost.root / "pas").glob("attested_*.json"):
        path.write_bytes(b"\x00")
    lost.settings["era"]["ledger_end"] = 55
    assert lost.run().status == 0

    for copy in (several, killed, late, lost):
        assert attested(copy) == attested(once), copy.root.name
        assert copy.published() == once.published()
    for copy in (several, killed, lost):
        assert copy.documents() == once.documents()


def test_metric_follows_what_is_attested(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], sample_validators: str, tmp_path: Path
) -> None:
    written = tmp_path / "metrics.prom"
    copy = copier(sample(**SAMPLE).root, **ERA)
    copy.settings["authenticity"] = {"validators": sample_validators}
    copy.settings["metrics"] = {"textfile": str(written)}
    assert copy.run().status == 0
    labels = 'era_id="e1",network="standalone",version="v1"'
    (line,) = (line for line in written.read_text().splitlines() if line.startswith("bronze_copier_attested_ledger"))
    assert line == f"bronze_copier_attested_ledger{{{labels}}} 53.0"


def test_nothing_is_attested_where_nothing_is_asked(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], sample_validators: str
) -> None:
    copy = copier(sample(**SAMPLE).root, **ERA)
    ran = copy.run()
    assert [line.partition(",")[0] for line in ran.lines("authentic")] == ["standalone: 42 signatures"]
    assert "attested" not in copy.run("status").out
    copy.settings["authenticity"] = {"validators": sample_validators, "attestation": "off"}
    copy.run()
    assert not any("attested" in name for name in tree(copy.root))


def test_faulty_validators_are_refused_at_start(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], sample_validators: str, tmp_path: Path
) -> None:
    copy = copier(sample(**SAMPLE).root, **ERA)
    copy.settings["authenticity"] = {"validators": str(tmp_path / "absent.cfg")}
    for command in ("run", "status", "-validate"):
        ran = copy.run(command)
        assert ran.status == 2
        assert "absent.cfg cannot be read: No such file" in ran.err
    other = tmp_path / "other.cfg"
    other.write_text(configuration(TESTNET, PASSPHRASES["testnet"]))
    copy.settings["authenticity"]["validators"] = str(other)
    ran = copy.run()
    assert ran.status == 2
    assert "is of another network: its NETWORK_PASSPHRASE is 'Test SDF Network ; September 2015'" in ran.err
    assert copy.partitions() == []
