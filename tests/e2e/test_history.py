"""A lake of another history than what is published: nothing of it is copied, and the right lake goes on."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, LakeFiles, era, tree


@pytest.fixture
def lakes(sample: Callable[..., LakeFiles], tmp_path: Path) -> tuple[Path, Path]:
    """The right lake, ledgers 8 to 87, and one that holds the same up to 47 and another history behind."""
    right = sample(first=8, ledgers=80).root
    other = sample(first=8, ledgers=80, seed=9).root
    mixed = tmp_path / "mixed"
    shutil.copytree(other, mixed)
    names = {path.name: path for path in right.rglob("*.xdr.zst")}
    for path in mixed.rglob("*.xdr.zst"):
        if int(path.name.split("--")[1].split(".")[0]) <= 47:
            shutil.copyfile(names[path.name], path)
    return right, mixed


def test_other_history_is_not_published(lakes: tuple[Path, Path], copier: Callable[..., Copier]) -> None:
    right, mixed = lakes
    copy = copier(right, ledger_start=8, ledger_end=47, partition_size=8)
    assert copy.run().status == 0
    before = tree(copy.root / "data")
    copy.settings["source"]["local_path"] = str(mixed)
    copy.settings["era"]["ledger_end"] = 87
    for command in ((), ("plan",), ("--dry-run",)):
        ran = copy.run(*command)
        assert ran.status == 1, (command, ran.out, ran.err)
        assert "ledger 48 in the lake" in ran.err
        assert "one of them is of another history, and nothing was copied" in ran.err
    assert tree(copy.root / "data") == before
    copy.settings["source"]["local_path"] = str(right)
    assert copy.run().status == 0
    assert copy.committed() == copy.partitions()
    assert len(copy.partitions()) == 10


def test_hand_edited_checkpoint_switches_nothing_off(lakes: tuple[Path, Path], copier: Callable[..., Copier]) -> None:
    right, mixed = lakes
    copy = copier(right, ledger_start=8, ledger_end=47, partition_size=8)
    assert copy.run().status == 0
    checkpoint = copy.root / "state" / "checkpoint.json"
    text = checkpoint.read_text()
    checkpoint.write_text(text[: text.index('  "last_committed_partition"')] + text[text.index('  "chain_head"') :])
    copy.settings["source"]["local_path"] = str(mixed)
    copy.settings["era"]["ledger_end"] = 87
    ran = copy.run()
    assert ran.status == 1
    assert "of another history" in ran.err
    assert len(copy.partitions()) == 5


def test_next_era_links_to_the_one_before(lakes: tuple[Path, Path], copier: Callable[..., Copier]) -> None:
    right, mixed = lakes
    eras = [
        era("a", ledger_start=8, ledger_end=47, partition_size=8),
        era("b", ledger_start=48, ledger_end=87, partition_size=8),
    ]
    copy = copier(right, eras=eras)
    assert copy.run("--eras", "a").status == 0
    copy.settings["source"]["local_path"] = str(mixed)
    ran = copy.run("--eras", "b")
    assert ran.status == 1
    assert "of the published partition standalone/a/v1 40-47" in ran.err
    assert copy.partitions("b") == []
    copy.settings["source"]["local_path"] = str(right)
    assert copy.run().status == 0
    assert len(copy.partitions("b")) == 5


def test_gap_is_linked_to_the_partition_behind(lakes: tuple[Path, Path], copier: Callable[..., Copier]) -> None:
    right, mixed = lakes
    copy = copier(right, ledger_start=8, ledger_end=47, partition_size=8)
    assert copy.run().status == 0
    checkpoint = copy.root / "state" / "checkpoint.json"
    checkpoint.write_text(checkpoint.read_text().replace('"last_committed_ledger": 47', '"last_committed_ledger": 71'))
    copy.settings["era"]["ledger_end"] = 87
    assert copy.run().status == 6
    checkpoint.write_text(checkpoint.read_text().replace('"last_committed_ledger": 87', '"last_committed_ledger": 47'))
    shutil.copytree(right, copy.root / "broken")
    changed = next((copy.root / "broken").rglob("*--48.xdr.zst"))
    copy.settings["source"]["local_path"] = str(copy.root / "broken")
    for path in (copy.root / "broken").rglob("*.xdr.zst"):
        if 48 <= int(path.name.split("--")[1].split(".")[0]) <= 71:
            shutil.copyfile(next(mixed.rglob(path.name)), path)
    assert changed.exists()
    ran = copy.run()
    assert ran.status == 1
    assert "of another history" in ran.err
    assert len(copy.partitions()) == 7
    copy.settings["source"]["local_path"] = str(right)
    assert copy.run().status == 0
    assert len(copy.partitions()) == 10


def test_published_partition_of_other_history_is_named(
    lakes: tuple[Path, Path], copier: Callable[..., Copier], tmp_path: Path
) -> None:
    """As versions before this rule left it: published, in no chain. Every run names it, and the remedy works."""
    right, mixed = lakes
    wrong = copier(mixed, name="wrong", ledger_start=48, ledger_end=71, partition_size=8)
    assert wrong.run().status == 1  # the lake's ledger 47 is of the other history
    other = copier(mixed, name="other", ledger_start=56, ledger_end=71, partition_size=8)
    assert other.run().status == 0
    copy = copier(right, ledger_start=8, ledger_end=55, partition_size=8)
    assert copy.run().status == 0
    for part in other.partitions():
        shutil.copytree(other.parquet(part).parent, copy.parquet(part).parent)
    copy.settings["era"]["ledger_end"] = 87
    for _ in range(2):
        ran = copy.run()
        assert ran.status == 1
        assert "range=64-71" in ran.err + ran.out
        assert "of another history" in ran.err + ran.out
    shutil.rmtree(copy.parquet((64, 71)).parent)
    ran = copy.run()
    assert ran.status == 1
    assert "range=56-63" in ran.err + ran.out
    shutil.rmtree(copy.parquet((56, 63)).parent)
    assert copy.run().status == 0
    assert copy.committed() == copy.partitions()


def test_replacement_links_to_what_stays(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    """A correction from another history that ends where published partitions stay behind, or begins behind some."""
    other = sample(first=8, ledgers=80, seed=9).root
    copy = copier(sample(first=8, ledgers=80).root, ledger_start=8, ledger_end=87, partition_size=8)
    assert copy.run().status == 0
    before = tree(copy.root / "data")
    copy.settings["source"]["local_path"] = str(other)
    copy.settings["era"] |= {"allow_overwrite": True, "ledger_end": 71}
    for command in (("plan",), ("run",)):
        ran = copy.run(*command)
        assert ran.status == 1
        assert "ledger 71 in the lake" in ran.err
        assert "ledger 72 of the published partition standalone/e1/v1 72-79" in ran.err
    copy.settings["era"] |= {"ledger_start": 48, "ledger_end": 87}
    ran = copy.run()
    assert ran.status == 1
    assert "ledger 48 in the lake" in ran.err
    assert tree(copy.root / "data") == before
    copy.settings["era"]["ledger_start"] = 8
    assert copy.run().status == 0
    assert copy.verified()
