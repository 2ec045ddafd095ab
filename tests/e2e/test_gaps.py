"""Gaps: `run` and `verify` report the same ones, wherever they are, until they are filled."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Copier, LakeFiles

PARTITIONS = [(8, 15), (16, 23), (24, 31), (32, 39)]


@pytest.fixture
def copy(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    lake = sample(first=8, ledgers=32)
    return copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)


def set_checkpoint(copy: Copier, last: int) -> None:
    """As an operator writes or edits it."""
    path = copy.root / "state" / "checkpoint.json"
    path.parent.mkdir(exist_ok=True)
    document = {"copier_id": "x", "network": "standalone", "era_id": "e1", "version_label": "v1"}
    path.write_text(json.dumps(document | {"last_committed_ledger": last}))


def nothing(copy: Copier) -> None:
    """Everything is copied, nothing is missing."""


def leading(copy: Copier) -> None:
    set_checkpoint(copy, 23)


def middle(copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = 15
    assert copy.run().status == 0
    set_checkpoint(copy, 31)
    copy.settings["era"]["ledger_end"] = 39


def leading_and_middle(copy: Copier) -> None:
    set_checkpoint(copy, 15)
    copy.settings["era"]["ledger_end"] = 23
    assert copy.run().status == 6
    set_checkpoint(copy, 31)
    copy.settings["era"]["ledger_end"] = 39


def set_forward(copy: Copier) -> None:
    """Beyond everything that is published, with nothing left to copy."""
    copy.settings["era"]["ledger_end"] = 23
    assert copy.run().status == 0
    set_checkpoint(copy, 31)


def removed(copy: Copier) -> None:
    """The directory of a committed partition is missing, and no event states what was in it."""
    copy.settings["pas"]["enabled"] = False
    assert copy.run().status == 0
    shutil.rmtree(copy.parquet(PARTITIONS[1]).parent)


def named(out: str) -> list[str]:
    return re.findall(r"gap.*: ledgers (\d+-\d+) have no partition", out)


@pytest.mark.parametrize("pas", [True, False], ids=["audit stream", "no audit stream"])
@pytest.mark.parametrize(
    ("make", "gaps"),
    [
        (nothing, []),
        (leading, ["8-23"]),
        (middle, ["16-31"]),
        (leading_and_middle, ["8-15", "24-31"]),
        (set_forward, ["24-31"]),
        (removed, ["16-23"]),
    ],
)
def test_run_and_verify_report_same_gaps(
    copy: Copier, make: Callable[[Copier], None], gaps: list[str], pas: bool
) -> None:
    copy.settings["pas"]["enabled"] = pas
    make(copy)
    ran = copy.run()
    assert (ran.status, named(ran.out)) == (6 if gaps else 0, gaps)
    assert named(copy.run("verify").out) == gaps


def test_lost_checkpoint_fills_leading_gap(copy: Copier) -> None:
    """The chain's events do not reach back to the era's start; `repair` before the run changes nothing of that."""
    leading(copy)
    assert copy.run().status == 6
    assert copy.committed() == PARTITIONS[2:]
    (copy.root / "state" / "checkpoint.json").unlink()
    assert "ledgers     8-39: 32" in copy.run("plan").out

    assert copy.run("repair").status == 0

    assert "ledgers     8-39: 32" in copy.run("plan").out
    ran = copy.run()
    assert (ran.status, ran.lines("partitions")) == (0, ["2 written, 2 skipped, 0 failed"])
    assert copy.committed() == [*PARTITIONS[2:], *PARTITIONS[:2]]
    assert copy.checkpoint() == 39
    assert copy.verified()
