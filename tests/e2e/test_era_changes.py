"""An era whose settings are not those that it was published with: told by plan and run; no ledger is there twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable

import pytest

from tests.e2e.conftest import Copier, LakeFiles, era, tree


@pytest.fixture
def copied(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    copy = copier(sample(first=8, ledgers=40).root, ledger_start=16, ledger_end=0, partition_size=8)
    assert copy.run().status == 0
    assert copy.run().err == ""
    return copy


def cut(copy: Copier, *, start: int = 32) -> None:
    """As the template with several eras has it."""
    del copy.settings["era"]
    copy.settings["eras"] = [
        era("e1", ledger_start=16, ledger_end=31, partition_size=8),
        era("f", ledger_start=start, ledger_end=0, partition_size=8),
    ]


@pytest.mark.parametrize("command", [("plan",), ("run",), ("run", "--dry-run"), ("run", "--eras", "f")])
def test_ledgers_of_a_cut_era_are_refused(command: tuple[str, ...], copied: Copier) -> None:
    before = tree(copied.root / "data")
    cut(copied)
    ran = copied.run(*command)
    assert ran.status == 2
    assert "era 'f' would publish ledgers of its partition 32-39 a second time" in ran.err
    assert "Set ledger_end of 'e1' to 47 and ledger_start of 'f' to 48" in ran.err
    assert tree(copied.root / "data") == before


def test_cut_behind_what_is_published_works(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    copy = copier(sample(first=8, ledgers=48).root, ledger_start=16, ledger_end=47, partition_size=8)
    assert copy.run().status == 0
    cut(copy, start=48)
    copy.settings["eras"][0]["ledger_end"] = 47
    assert copy.run().status == 0
    assert copy.partitions("f") == [(48, 55)]


def test_earlier_ledgers_become_an_era(copied: Copier) -> None:
    """As docs/operations.md says: nothing of the era that is published changes, and the two link."""
    before, head = tree(copied.folder()), copied.heads["standalone/e1/v1"]
    del copied.settings["era"]
    copied.settings["eras"] = [
        era("early", ledger_start=8, ledger_end=15, partition_size=8),
        era("e1", ledger_start=16, ledger_end=0, partition_size=8),
    ]
    ran = copied.run()
    assert (ran.status, ran.err, copied.partitions("early")) == (0, "", [(8, 15)])
    assert (tree(copied.folder()), copied.heads["standalone/e1/v1"]) == (before, head)
    assert copied.verified()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"ledger_end": 31}, "is published up to ledger 47, behind its ledger_end 31"),
        ({"ledger_start": 8}, "ledgers 8-15 are not copied unless the checkpoint is set back to 7"),
        (
            {"ledger_start": 24},
            "ledger_start is 24, but its partitions are published from ledger 16 on: they stay there.",
        ),
        ({"ledger_start": 28}, "they stay there, and new partitions end elsewhere. Set it back to 16"),
        ({"partition_size": 4}, "partition_size is 4, but 4 of 4 published partitions have 8 ledgers"),
    ],
    ids=["end", "earlier", "later", "off the grid", "size"],
)
def test_changed_setting_is_told(changes: dict[str, int], says: str, copied: Copier) -> None:
    copied.settings["era"] |= changes
    before = tree(copied.root / "data")
    for command in ("plan", "run"):
        assert says in copied.run(command).err
    assert tree(copied.root / "data") == before


def test_start_behind_what_is_published_is_told(copied: Copier) -> None:
    """With checkpoint and events gone nothing says that the chain has begun."""
    for name in ("state", "pas"):
        shutil.rmtree(copied.root / name)
    copied.settings["era"] |= {"ledger_start": 64, "ledger_end": 71}
    assert "it is published up to ledger 47 only: ledgers 48-63 will be in no partition" in copied.run("plan").err


def test_changed_compression_is_told(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    copy = copier(sample(first=8, ledgers=24).root, ledger_start=8, ledger_end=23, partition_size=8)
    assert copy.run().status == 0
    copy.settings["bronze"] = {"compression": "snappy"}
    copy.settings["era"]["ledger_end"] = 31
    for command in ("plan", "run"):
        ran = copy.run(command)
        says = "bronze.compression is snappy, but the last published partition, 16-23, is compressed with zstd"
        assert (ran.status, says in ran.err) == (0, True), ran
    assert copy.run().err == "", "nothing new: nothing is told"


@pytest.mark.parametrize("commands", [["run"], ["repair", "run"], ["plan", "run"]])
def test_new_version_label_is_published_beside(commands: list[str], copied: Copier) -> None:
    """One era, the same checkpoint directory: the old label's checkpoint keeps its name and stops nothing."""
    before = tree(copied.root / "data")
    checkpoint = (copied.root / "state" / "checkpoint.json").read_bytes()
    copied.settings["era"]["version_label"] = "v2"
    for command in commands:
        assert copied.run(command).status == 0
    assert copied.run("verify").status == 0
    beside = tree(copied.root / "data")
    assert {name: beside[name] for name in before} == before
    assert len(beside) == 2 * len(before)
    assert (copied.root / "state" / "checkpoint.json").read_bytes() == checkpoint
    assert (copied.root / "state" / "checkpoint_standalone_e1_v2.json").is_file()

    copied.settings["era"]["version_label"] = "v1"
    assert copied.run().status == 0
    assert copied.run("verify").status == 0
    assert tree(copied.root / "data") == beside
