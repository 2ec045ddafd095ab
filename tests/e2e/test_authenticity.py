"""Only the network's own ledgers are published: whole runs over honest, foreign and invented lakes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bronze.lake.layout import LakeLayout
from bronze.ledger.close_meta import read_close_meta
from pipeline.sample import SampleOptions
from tests.e2e.conftest import SHARED, Copier, LakeFiles
from tests.support.forged_ledgers import fee_pool_at, relinked

CHAIN_0 = {"ledger_start": 1410048, "ledger_end": 1410087, "partition_size": 20}


@pytest.mark.ledgers
def test_testnet_lake_is_not_published_as_pubnet(real_lake: Callable[..., Path], copier: Callable[..., Copier]) -> None:
    lake = real_lake("--chain", "0", "--no-manifest")
    foreign = copier(lake, name="foreign", network="pubnet", **CHAIN_0)

    ran = foreign.run()

    assert ran.status == 1
    assert "ledger 1410048 is not authentic" in ran.out
    assert "it is a ledger of testnet: set era.network to 'testnet'" in ran.out
    assert foreign.partitions() == foreign.events() == []

    own = copier(lake, name="own", network="testnet", **CHAIN_0)
    assert own.run().status == 0
    assert [one["authenticity"]["signatures"] for one in own.manifests().values()] == [20, 20]
    assert own.verified()


@pytest.mark.ledgers
def test_unknown_name_does_not_hide_a_public_network(
    real_lake: Callable[..., Path], copier: Callable[..., Copier]
) -> None:
    copy = copier(real_lake("--chain", "0", "--no-manifest"), network="mine", **CHAIN_0)
    ran = copy.run()
    assert ran.status == 1
    assert "ledger 1410048 is a ledger of testnet, but era.network is 'mine'" in ran.out
    assert copy.partitions() == []


@pytest.mark.ledgers
def test_invented_pubnet_is_published_only_on_request(tmp_path: Path, copier: Callable[..., Copier]) -> None:
    (real,) = (SHARED / "ledgers").glob("53312000-*.xdr.zst")
    lake = tmp_path / "invented"
    command = [sys.executable, SHARED / "tools" / "make_lake.py", lake, "--repeat", real, "--count", "12"]
    subprocess.run([*command, "--rehash", "--network", "pubnet"], check=True, capture_output=True)
    where = {"network": "pubnet", "ledger_start": 53312000, "ledger_end": 53312009, "partition_size": 10}
    copy = copier(lake, **where)

    ran = copy.run()

    assert ran.status == 1
    assert re.search(r"ledger 53312000 is not authentic: .* it was not made by this network", ran.out), ran.out
    assert copy.partitions() == []
    copy.settings["authenticity"] = {"signatures": "report"}
    assert copy.run().status == 1  # the events were changed with everything else
    copy.settings["authenticity"]["events"] = "report"
    assert copy.run().status == 0
    (found,) = (one["authenticity"] for one in copy.manifests().values())
    assert (found["signatures"], found["failed_signatures"], found["signers"]) == (0, 10, {})

    def verified() -> tuple[int, str]:
        ran = copy.run("verify", "--level", "rows")
        return ran.status, ran.out

    # Whoever verifies it is told what the manifest admits; one that denies it is found out.
    status, said = verified()
    assert (status, "not checked: in 1 partitions: signatures: some do not hold, as the manifests say" in said) == (
        0,
        True,
    )
    path = next(copy.folder().glob("*/_manifest.json"))
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps(document | {"authenticity": found | {"signatures": 10, "failed_signatures": 0}}))
    status, said = verified()
    assert (status, "ledger 53312000 is not authentic: " in said) == (1, True)
    path.write_text(json.dumps({key: value for key, value in document.items() if key != "authenticity"}))
    status, said = verified()
    assert "not checked: in 1 partitions: signatures: the manifests do not state that all of them hold" in said


def other_fee_pool(metas: list[bytes]) -> list[bytes]:
    """One field of the header of 63092984, everything behind it linked and hashed again."""
    at = fee_pool_at(read_close_meta(metas[2], 0, len(metas[2])), metas[2]) + 7
    return relinked(metas, 2, lambda buffer: buffer.__setitem__(at, buffer[at] ^ 1))


def other_transactions(metas: list[bytes]) -> list[bytes]:
    """The transaction set of 63092985 in 63092984, with its results, everything linked and hashed again."""

    def body(data: bytes) -> int:
        meta = read_close_meta(data, 0, len(data))
        return data.index(meta.previous_ledger_hash, meta.value_ext_at) + 32

    swapped = [*metas[:2], metas[2][: body(metas[2])] + metas[3][body(metas[3]) :], *metas[3:]]
    return relinked(swapped, 2, lambda _: None)


def other_event(metas: list[bytes]) -> list[bytes]:
    """The last event of a contract in 63092990, which no hash of a header covers."""
    meta = read_close_meta(metas[8], 0, len(metas[8]))
    forged = bytearray(metas[8])
    forged[meta.invocations[5] - 1] ^= 1
    return [*metas[:8], bytes(forged), metas[9]]


@pytest.mark.ledgers
@pytest.mark.parametrize(
    ("forge", "refused", "message"),
    [
        # its own signature covers the set and the time only: the next one, which names it, fails
        (other_fee_pool, 63092985, "ledger 63092985 is not authentic: the signature of node"),
        (other_transactions, 63092984, "ledger 63092984 is not authentic: the signature of node"),
        (other_event, 63092990, "ledger 63092990: the events and the return value of a contract invocation"),
    ],
    ids=["header", "transactions", "event"],
)
def test_forged_lake_is_copied_up_to_its_forgery(
    real_lake: Callable[..., Path],
    copier: Callable[..., Copier],
    forge: Callable[[list[bytes]], list[bytes]],
    refused: int,
    message: str,
) -> None:
    lake = LakeFiles(real_lake("--chain", "2"), LakeLayout(1, 64000, "zst"))
    real = [lake.meta(ledger) for ledger in range(63092982, 63092992)]
    for ledger, meta in enumerate(forge(real), 63092982):
        lake.put_meta(ledger, meta)
    where = {"network": "pubnet", "ledger_start": 63092982, "ledger_end": 63092991, "partition_size": 2}
    copy = copier(lake.root, **where)

    ran = copy.run()

    assert (ran.status, message in ran.out) == (1, True), ran.out
    start = refused - refused % 2
    assert copy.committed() == [(one, one + 1) for one in range(63092982, start, 2)]
    assert (start, start + 1) not in copy.partitions()


def test_sample_of_a_public_network_follows_its_genesis(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    pubnet = SampleOptions(passphrase="Public Global Stellar Network ; September 2015").passphrase
    lake = sample(first=2, ledgers=20, passphrase=pubnet).root
    where = {"network": "pubnet", "ledger_start": 2, "ledger_end": 21, "partition_size": 10}
    assert copier(lake, name="good", **where).run().status == 0

    other = sample(first=12, ledgers=10, passphrase=pubnet, seed=5).root
    copy = copier(other, name="anchored", **{**where, "ledger_start": 12})
    copy.settings["authenticity"] = {"anchors": ["11:" + "ab" * 32]}
    ran = copy.run()
    assert ran.status == 1
    assert f"a trusted anchor says {'ab' * 32}" in ran.out
    assert copy.partitions() == []


def test_contradicting_anchors_are_refused_at_start(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], tmp_path: Path
) -> None:
    trusted = tmp_path / "trusted.json"
    trusted.write_text(json.dumps([[15, "cd" * 32], [0, ""]]))
    copy = copier(sample(first=8, ledgers=16).root, ledger_start=8, ledger_end=23, partition_size=8)
    copy.settings["authenticity"] = {"anchors": ["15:" + "ab" * 32], "anchors_file": str(trusted)}
    ran = copy.run()
    assert ran.status == 2
    assert "the anchor of ledger 15" in ran.err
    copy.settings["authenticity"] = {"anchors_file": str(tmp_path / "absent.json")}
    ran = copy.run()
    assert ran.status == 2
    assert "absent.json cannot be read: No such file" in ran.err


@pytest.mark.timeout(60)
@pytest.mark.parametrize("setting", ["anchors_file", "validators"])
def test_pipe_in_settings_ends_the_start(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], tmp_path: Path, setting: str
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    copy = copier(sample(first=8, ledgers=16).root, ledger_start=8, ledger_end=23, partition_size=8)
    copy.settings["authenticity"] = {setting: str(pipe)}
    ran = copy.run()
    assert (ran.status, f"authenticity.{setting} {pipe} is not a regular file" in ran.err) == (2, True), ran
    assert copy.partitions() == []


def test_same_findings_with_any_number_of_workers(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier]
) -> None:
    lake = sample(first=8, ledgers=32).root
    found = []
    for workers in (1, 3):
        copy = copier(lake, name=f"w{workers}", ledger_start=8, ledger_end=39, partition_size=8)
        copy.settings["perf"]["workers"] = workers
        assert copy.run().status == 0
        found.append([one["authenticity"] for one in copy.manifests().values()])
    assert found[0] == found[1]
    assert sum(one["signatures"] for one in found[0]) > 0
