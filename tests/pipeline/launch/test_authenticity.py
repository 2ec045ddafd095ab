"""From settings to the policy of authenticity: whose passphrase counts, and which hashes are trusted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from bronze.authenticity.policy import AuthenticityPolicy, CheckMode
from bronze.stellar import GENESIS_HASHES, PASSPHRASES
from pipeline.launch.authenticity import make_policy
from pipeline.settings import load

PUBNET, TESTNET = PASSPHRASES["pubnet"], PASSPHRASES["testnet"]
GENESIS = (1, GENESIS_HASHES[PUBNET])


def policy(
    root: Path, network: str = "pubnet", stated: str | None = None, passphrase: str = "", **section: Any
) -> AuthenticityPolicy:
    era = {
        "era_id": "e1", "version_label": "v1", "network": network,
        "ledger_start": 2, "ledger_end": 9, "partition_size": 4,
    }  # fmt: skip
    source = {"mode": "local", "local_path": str(root), **({"network_passphrase": passphrase} if passphrase else {})}
    document = {"era": era, "source": source, "storage": {"local_dir": str(root)}, "authenticity": section}
    file = root / "config.yaml"
    file.write_text(yaml.safe_dump(document))
    return make_policy(load(file, {}), network, stated)


@pytest.mark.parametrize(
    ("network", "stated", "given", "expected"),
    [
        ("pubnet", None, "", PUBNET),
        ("mine", None, "", None),  # nobody knows it: signatures are reported
        ("mine", "stated", "", "stated"),
        ("mine", "stated", "stated", "stated"),
        ("mine", None, "given", "given"),
    ],
)
def test_passphrase_is_given_stated_or_known(
    tmp_path: Path, network: str, stated: str | None, given: str, expected: str | None
) -> None:
    assert policy(tmp_path, network, stated, given).passphrase == expected


def test_proofs_are_required_unless_set(tmp_path: Path) -> None:
    found = policy(tmp_path)
    assert (found.signatures, found.events) == (CheckMode.REQUIRE, CheckMode.REQUIRE)
    other = policy(tmp_path, signatures="report", events="off")
    assert (other.signatures, other.events) == (CheckMode.REPORT, CheckMode.OFF)


def test_genesis_is_trusted_where_it_is_known(tmp_path: Path) -> None:
    assert policy(tmp_path).anchors == (GENESIS,)
    assert policy(tmp_path, genesis=False).anchors == ()
    assert policy(tmp_path, "mine", "a network of one's own").anchors == ()
    assert policy(tmp_path, "mine", TESTNET).anchors == ((1, GENESIS_HASHES[TESTNET]),)


def test_anchors_of_settings_and_file_join(tmp_path: Path) -> None:
    trusted = tmp_path / "trusted.json"
    trusted.write_text(json.dumps([[191, "ab" * 32], [127, "cd" * 32], [0, ""]]))
    found = policy(tmp_path, anchors=["191:" + "ab" * 32, "64:" + "ef" * 32], anchors_file=str(trusted))
    assert dict(found.anchors) == {1: GENESIS[1], 64: "ef" * 32, 127: "cd" * 32, 191: "ab" * 32}
