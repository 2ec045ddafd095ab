"""``run --partition A-B --again``: a damaged or missing partition is made anew with the same bytes, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, LakeFiles, tree

MIDDLE = (16, 23)
AGAIN = ("--partition", "16-23", "--again")


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    return sample(first=8, ledgers=32)


@pytest.fixture
def copied(lake: LakeFiles, copier: Callable[..., Copier]) -> Copier:
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    assert copy.run().status == 0
    return copy


def flip_byte(parquet: Path) -> None:
    data = bytearray(parquet.read_bytes())
    data[1000] ^= 1
    parquet.write_bytes(data)


def cut(parquet: Path) -> None:
    parquet.write_bytes(parquet.read_bytes()[:1000])


def remove(parquet: Path) -> None:
    parquet.unlink()


def link_away(parquet: Path) -> None:
    parquet.unlink()
    parquet.symlink_to("/dev/zero")


@pytest.mark.parametrize("damage", [flip_byte, cut, remove, link_away])
def test_damaged_file_is_mended(damage: Callable[[Path], None], copied: Copier) -> None:
    before = {part: tree(copied.root / part) for part in ("data", "pas", "state")}
    damage(copied.parquet(MIDDLE))
    assert copied.run("verify").status == 1

    ran = copied.run(*AGAIN)

    assert ran.status == 0, (ran.out, ran.err)
    assert ran.lines("partitions") == ["1 written, 0 skipped, 0 failed"]
    assert {part: tree(copied.root / part) for part in ("data", "pas")} == {
        part: before[part] for part in ("data", "pas")
    }
    assert copied.verified()
    assert copied.run().lines("partitions") == ["0 written, 0 skipped, 0 failed"]


def test_good_partition_stays_untouched(copied: Copier) -> None:
    files = [copied.parquet(MIDDLE), copied.parquet(MIDDLE).parent / "_manifest.json", copied.root / "state"]
    before = [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files[:2]]
    ran = copied.run(*AGAIN)
    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 1 unchanged, 0 skipped, 0 failed"])
    assert [(path.stat().st_ino, path.stat().st_mtime_ns) for path in files[:2]] == before


@pytest.mark.parametrize("damage", [b"", b"{}", None], ids=["empty", "other", "missing"])
def test_damaged_manifest_is_made_anew(damage: bytes | None, copied: Copier) -> None:
    manifest, events = copied.parquet(MIDDLE).parent / "_manifest.json", tree(copied.root / "pas")
    before = copied.documents()
    if damage is None:
        manifest.unlink()
    else:
        manifest.write_bytes(damage)
    assert copied.run(*AGAIN).status == 0
    assert copied.documents() == before
    assert tree(copied.root / "pas") == events
    assert copied.verified()


def test_missing_directory_is_made_again(copied: Copier) -> None:
    before = copied.published()
    shutil.rmtree(copied.parquet(MIDDLE).parent)
    assert copied.run(*AGAIN).status == 0
    assert copied.published() == before
    assert copied.verified()


@pytest.mark.parametrize("options", [(), ("--dry-run",)], ids=["run", "dry run"])
def test_other_bytes_replace_nothing(options: tuple[str, ...], copied: Copier, lake: LakeFiles) -> None:
    stated = copied.manifests()[MIDDLE]["tables"]["ledgers_lcm_raw"]["checksum"]
    flip_byte(copied.parquet(MIDDLE))
    before = {part: tree(copied.root / part) for part in ("data", "pas", "state")}
    copied.settings["bronze"] = {"compression": "none"}

    ran = copied.run(*AGAIN, *options)

    assert ran.status == 1
    (failed,) = ran.lines("failed")
    assert "ConflictError" in failed
    assert stated in failed
    assert failed.count("sha256:") == 2
    assert str(lake.root) in failed
    assert "Nothing was replaced" in failed
    assert {part: tree(copied.root / part) for part in ("data", "pas", "state")} == before


def test_dry_run_mends_nothing(copied: Copier) -> None:
    flip_byte(copied.parquet(MIDDLE))
    before = tree(copied.root / "data")
    assert copied.run(*AGAIN, "--dry-run").status == 0
    assert tree(copied.root / "data") == before


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--again",), "belong together"),
        (("--partition", "16-23"), "belong together"),
        (("--partition", "23-16", "--again"), "is not a partition"),
        (("--partition", "x", "--again"), "is not a partition"),
        (("--partition", "16-31", "--again"), "those with its ledgers are 16-23, 24-31"),
        (("--partition", "40-47", "--again"), "lies in none of the eras e1 (8-39)"),
    ],
)
def test_wrong_partition_is_refused(options: tuple[str, ...], says: str, copied: Copier) -> None:
    before = tree(copied.root / "data")
    ran = copied.run(*options)
    assert ran.status == 2
    assert says in ran.err
    assert tree(copied.root / "data") == before


def test_only_that_partition_is_copied(copied: Copier) -> None:
    copied.settings["era"]["ledger_end"] = 47  # there would be more to do
    flip_byte(copied.parquet((24, 31)))
    assert copied.run(*AGAIN).status == 0
    assert len(copied.partitions()) == 4
    assert copied.run("verify").status == 1  # the other damaged one stays


def test_mending_works_without_audit_stream(lake: LakeFiles, copier: Callable[..., Copier]) -> None:
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    copy.settings["pas"]["enabled"] = False
    assert copy.run().status == 0
    before = tree(copy.root / "data")
    flip_byte(copy.parquet(MIDDLE))
    assert copy.run(*AGAIN).status == 0
    assert tree(copy.root / "data") == before
    (copy.parquet(MIDDLE).parent / "_manifest.json").write_bytes(b"{}")
    ran = copy.run(*AGAIN)
    assert ran.status == 1
    assert "No event states what the partition held" in ran.err


@pytest.mark.parametrize("step", ["parquet", "manifest"])
def test_killed_mending_is_recoverable(step: str, copied: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run dies right after the step; an ordinary run and another mending both complete it."""
    from bronze.storage.local import LocalStore, LocalUpload

    before, events = copied.published(), tree(copied.root / "pas")
    flip_byte(copied.parquet(MIDDLE))
    (copied.parquet(MIDDLE).parent / "_manifest.json").write_bytes(b"{}")
    with monkeypatch.context() as patch:
        if step == "parquet":
            publish = LocalUpload.publish

            def die_after(upload: LocalUpload, **how: object) -> None:
                publish(upload, **how)  # type: ignore[arg-type]
                raise OSError("stopped here")

            patch.setattr(LocalUpload, "publish", die_after)
        else:

            def die(store: LocalStore, key: str, data: bytes) -> None:
                raise OSError("stopped here")

            patch.setattr(LocalStore, "create", die)
        assert copied.run(*AGAIN).status == 1
    assert copied.run(*AGAIN if step == "parquet" else ()).status == 0
    assert copied.published() == before
    assert tree(copied.root / "pas") == events
    assert copied.verified()
