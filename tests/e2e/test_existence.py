"""What the chain says exists does exist: a run makes it again with the same bytes, or says why not and exits with 1."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.partitioning.era import Era
from bronze.producer import this_producer
from bronze.storage.local import LocalStore
from tests.bronze.conftest import summary
from tests.e2e.conftest import TABLE, Copier, LakeFiles, tree
from tests.faults.compare import count_rows

PARTITIONS = [(8, 15), (16, 23), (24, 31), (32, 39)]
MIDDLE = PARTITIONS[1]


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    return sample(first=8, ledgers=32)


@pytest.fixture
def copied(lake: LakeFiles, copier: Callable[..., Copier]) -> Copier:
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    assert copy.run().status == 0
    return copy


def directory(copy: Copier, part: tuple[int, int] = MIDDLE) -> Path:
    return copy.parquet(part).parent


def lose_manifest(copy: Copier) -> None:
    (directory(copy) / "_manifest.json").unlink()


def lose_parquet(copy: Copier) -> None:
    copy.parquet(MIDDLE).unlink()


def lose_files(copy: Copier) -> None:
    lose_manifest(copy)
    lose_parquet(copy)


def lose_directory(copy: Copier) -> None:
    shutil.rmtree(directory(copy))


def lose_all_but_one(copy: Copier) -> None:
    for part in PARTITIONS[:3]:
        shutil.rmtree(directory(copy, part))


LOSSES = [lose_manifest, lose_parquet, lose_files, lose_directory, lose_all_but_one]


def no_pas(copy: Copier) -> None:
    copy.settings["pas"]["enabled"] = False


def state(copy: Copier) -> dict[str, bytes]:
    return {**tree(copy.root / "pas"), **tree(copy.root / "data")}


@pytest.mark.parametrize("lose", LOSSES)
def test_repair_names_missing_partitions(lose: Callable[[Copier], None], copied: Copier) -> None:
    assert copied.run("repair").out == "nothing needed repair\n"
    lose(copied)
    before = state(copied)
    said = copied.run("repair")
    assert said.status == 0
    missing = "partition standalone/e1/v1 16-23 is in the chain but not published: `bronze-copier run` makes it again"
    assert missing in said.out
    assert state(copied) == before
    assert copied.run().status == 0
    assert copied.run("repair").out == "nothing needed repair\n"


def test_repair_says_when_nothing_is_published(copied: Copier) -> None:
    shutil.rmtree(copied.root / "data")
    said = copied.run("repair")
    assert (said.status, "nothing of the chain standalone/e1/v1 is published" in said.err) == (1, True)


def test_repair_names_gap_and_its_remedy(copied: Copier) -> None:
    no_pas(copied)
    lose_directory(copied)
    assert "ledgers 16-23 of standalone/e1/v1 have no partition: set last_committed_ledger" in copied.run("repair").out


@pytest.mark.parametrize("lose", LOSSES)
def test_lost_partition_is_made_again(lose: Callable[[Copier], None], copied: Copier) -> None:
    before, events = copied.published(), tree(copied.root / "pas")
    lose(copied)
    assert "16-23: in the chain but not published: to be made again" in copied.run("plan").out

    dry = copied.run("--dry-run")
    assert dry.status == 0
    assert "range=16-23" in dry.out
    assert copied.published() != before or not (directory(copied) / "_manifest.json").exists()

    ran = copied.run()

    assert (ran.status, ran.lines("missing"), ran.lines("gap")) == (0, [], [])
    assert copied.published() == before
    assert tree(copied.root / "pas") == events
    assert copied.verified()
    again = copied.run()
    assert (again.status, again.lines("partitions")) == (0, ["0 written, 0 skipped, 0 failed"])


@pytest.mark.parametrize("lose", LOSSES)
def test_lost_partition_with_other_bytes_is_refused(lose: Callable[[Copier], None], copied: Copier) -> None:
    lose(copied)
    left, events = tree(copied.root / "data"), tree(copied.root / "pas")
    copied.settings["bronze"] = {"compression": "none"}

    for _ in range(2):
        ran = copied.run()
        assert ran.status == 1
        assert any("16-23: ConflictError" in line and "allow_overwrite" in line for line in ran.lines("failed"))
        assert any("16-23" in line and "restore it" in line for line in ran.lines("missing"))
        assert (tree(copied.root / "data"), tree(copied.root / "pas")) == (left, events)
    dry = copied.run("--dry-run")
    assert dry.status == 1
    # The remedy that the message names.
    copied.settings["era"]["allow_overwrite"] = True
    assert copied.run().status == 0
    assert copied.verified()
    copied.settings["era"]["allow_overwrite"] = False
    assert copied.run().status == 0


@pytest.mark.parametrize("lose", LOSSES)
def test_lost_partition_without_its_ledgers_is_error(
    lose: Callable[[Copier], None], copied: Copier, lake: LakeFiles
) -> None:
    lose(copied)
    for ledger in range(16, 24):
        lake.remove(ledger)
    for _ in range(2):
        ran = copied.run()
        assert ran.status == 1
        assert any("16-23" in line and str(directory(copied)) in line for line in ran.lines("missing"))
    lake.repair()
    assert copied.run().status == 0
    assert copied.verified()


def pipe(path: Path) -> None:
    os.mkfifo(path)


def unmounted(path: Path) -> None:
    path.symlink_to("/not/mounted/file")


def link_out(path: Path) -> None:
    outside = path.parents[len(path.parents) - 4] / f"outside-{path.name}"
    outside.write_bytes(b"elsewhere")
    path.symlink_to(outside)


@pytest.mark.parametrize("odd", [pipe, unmounted, link_out])
@pytest.mark.parametrize("what", ["parquet", "manifest", "event"])
def test_odd_file_is_missing(what: str, odd: Callable[[Path], None], copied: Copier) -> None:
    """The name is there, and nothing that can be read; the last partition's is not looked at by itself."""
    path = {
        "parquet": copied.parquet(MIDDLE),
        "manifest": directory(copied) / "_manifest.json",
        "event": copied.root / "pas" / "standalone_e1_v1_16-23.json",
    }[what]
    kept = path.read_bytes()
    path.unlink()
    odd(path)
    ran = copied.run()
    assert ran.status == 1
    assert ("24-31 follows" if what == "event" else str(path)) in ran.err + ran.out
    assert "Traceback" not in ran.log
    assert copied.run("verify").status == 1
    path.unlink()
    path.write_bytes(kept)
    assert copied.run().status == 0
    assert copied.verified()


def test_event_lost_between_others_is_refused(copied: Copier) -> None:
    """Until those before it are gone too, as when old events are pruned; then the files that are left are known."""
    for part in PARTITIONS[1::-1]:
        (copied.root / "pas" / f"standalone_e1_v1_{part[0]}-{part[1]}.json").unlink()
        before = copied.root / "state" / "checkpoint.json"
        kept = before.read_bytes()
        dry, ran = copied.run("--dry-run"), copied.run()
        assert dry.status == ran.status == (1 if part == MIDDLE else 0)
        if ran.status:
            assert "Restore the event files that are missing" in ran.err
            assert before.read_bytes() == kept
    assert before.read_bytes() != kept
    kept = before.read_bytes()
    assert copied.run().status == 0
    assert before.read_bytes() == kept


def empty_data(copy: Copier) -> None:
    shutil.rmtree(copy.root / "data")
    (copy.root / "data").mkdir()


def other_prefix(copy: Copier) -> None:
    copy.settings["storage"]["prefix"] = "gold/"


def other_table(copy: Copier) -> None:
    copy.settings["bronze"] = {"primary_table": "ledgers_other"}


@pytest.mark.parametrize("pas", [True, False], ids=["audit stream", "no audit stream"])
@pytest.mark.parametrize("lose", [empty_data, other_prefix, other_table])
@pytest.mark.parametrize("more", [False, True], ids=["nothing to do", "more to do"])
def test_empty_dataset_of_a_chain_is_refused(
    lose: Callable[[Copier], None], pas: bool, more: bool, lake: LakeFiles, copier: Callable[..., Copier]
) -> None:
    copy = copier(lake.root, ledger_start=8, ledger_end=31 if more else 39, partition_size=8)
    copy.settings["pas"]["enabled"] = pas
    assert copy.run().status == 0
    copy.settings["era"]["ledger_end"] = 39
    lose(copy)
    before = tree(copy.root)
    before.pop("config.yaml", None)
    for command in (("run",), ("plan",), ("run", "--dry-run")):
        ran = copy.run(*command)
        assert ran.status == 1, command
        assert "nothing of the chain standalone/e1/v1 is published" in ran.err
        assert "range=" in ran.err
        after = tree(copy.root)
        after.pop("config.yaml", None)
        assert after == before


def test_data_that_comes_back_is_used(copied: Copier) -> None:
    shutil.move(copied.root / "data", copied.root / "unmounted")
    assert copied.run().status == 1
    shutil.rmtree(copied.root / "data", ignore_errors=True)
    shutil.move(copied.root / "unmounted", copied.root / "data")
    ran = copied.run()
    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 0 skipped, 0 failed"])


@pytest.mark.parametrize("lose", [lose_manifest, lose_parquet])
def test_lone_file_without_audit_stream_is_completed(
    lose: Callable[[Copier], None], lake: LakeFiles, copier: Callable[..., Copier]
) -> None:
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    no_pas(copy)
    assert copy.run().status == 0
    before = copy.published()
    lose(copy)
    assert copy.run().status == 0
    assert copy.published() == before
    assert copy.partitions() == PARTITIONS
    assert copy.verified()


def test_last_partition_without_audit_stream_is_made_again(lake: LakeFiles, copier: Callable[..., Copier]) -> None:
    copy = copier(lake.root, ledger_start=8, ledger_end=39, partition_size=8)
    no_pas(copy)
    assert copy.run().status == 0
    before = copy.published()
    shutil.rmtree(directory(copy, PARTITIONS[3]))
    assert copy.run().status == 0
    assert copy.published() == before
    shutil.rmtree(directory(copy, PARTITIONS[3]))
    copy.settings["bronze"] = {"compression": "none"}
    assert copy.run().status == 1


# ------------------------------------------------------------------------------------------------ orphans


def orphan(copy: Copier, part: tuple[int, int], data: bytes = b"PAR1") -> Path:
    """A parquet file without a manifest, as a killed run leaves it."""
    path = copy.parquet(part)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


@pytest.fixture
def partial(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """A copy of the first 20 ledgers of a lake that has 32: the last partition, 24-27, lost its manifest and event."""
    short, long = sample(first=8, ledgers=32), sample(first=8, ledgers=32)
    for ledger in range(28, 40):
        short.remove(ledger)
    copy = copier(short.root, ledger_start=8, ledger_end=0, partition_size=8)
    assert copy.run().status == 0
    before = {part: tree(copy.root / part) for part in ("pas", "state")}
    assert copy.run("--publish-partial").status == 0
    for part, kept in before.items():
        shutil.rmtree(copy.root / part)
        for name, data in kept.items():
            (copy.root / part).mkdir(exist_ok=True)
            (copy.root / part / name).write_bytes(data)
    (directory(copy, (24, 27)) / "_manifest.json").unlink()
    copy.settings["source"]["local_path"] = str(long.root)
    return copy


@pytest.mark.parametrize("options", [(), ("--publish-partial",)], ids=["whole", "partial"])
def test_orphan_is_finished_before_lake_has_grown_on(options: tuple[str, ...], partial: Copier) -> None:
    assert count_rows(partial) == dict.fromkeys(range(8, 28), 1)
    assert "24-27: a parquet file without a manifest: to be finished" in partial.run("plan").out

    assert partial.run(*options).status == 0

    assert partial.partitions() == [(8, 15), (16, 23), (24, 27), (28, 31), (32, 39)]
    assert partial.committed() == partial.partitions()
    assert count_rows(partial) == dict.fromkeys(range(8, 40), 1)
    assert partial.verified()


def test_orphan_beside_its_published_ledgers_is_removed(copied: Copier) -> None:
    """As versions before this one left it."""
    path = orphan(copied, (24, 27), copied.parquet((24, 31)).read_bytes())
    assert count_rows(copied)[24] == 2
    assert "24-27: a parquet file without a manifest, of ledgers of other partitions" in copied.run("plan").out
    assert copied.run("--dry-run").status == 0
    assert path.exists()

    assert copied.run().status == 0

    assert not path.exists()
    assert count_rows(copied) == dict.fromkeys(range(8, 40), 1)
    assert copied.verified()


def test_doubly_published_ledgers_are_named_until_removed(
    copied: Copier, lake: LakeFiles, copier: Callable[..., Copier]
) -> None:
    """As after a copier with another partition size at the same time, where nothing kept the two apart."""
    other = copier(lake.root, name="other", ledger_start=8, ledger_end=39, partition_size=4)
    assert other.run().status == 0
    for part in ((16, 19), (20, 23)):
        shutil.copytree(directory(other, part), directory(copied, part))
    for command in ((), (), ("repair",)):
        ran = copied.run(*command)
        assert ran.status == (0 if command else 1), ran
        for part in ((16, 19), (20, 23)):
            assert f"It has no event: remove {directory(copied, part)}" in ran.out
    for part in ((16, 19), (20, 23)):
        shutil.rmtree(directory(copied, part))
    assert copied.run().status == 0
    assert copied.verified()


def test_orphan_that_lake_cannot_finish_stays_alone(partial: Copier, lake: LakeFiles) -> None:
    partial.settings["source"]["local_path"] = str(lake.root)
    for ledger in (24, 25):
        lake.remove(ledger)
    ran = partial.run()
    assert ran.status == 1
    assert any("24-27" in line for line in ran.lines("failed"))
    assert set(count_rows(partial).values()) == {1}


def test_orphan_beyond_era_is_told(copied: Copier) -> None:
    """Left by a killed run of an era whose end was set back then: readers find its ledgers."""
    copied.settings["era"]["ledger_end"] = 31
    (directory(copied, PARTITIONS[3]) / "_manifest.json").unlink()
    for name in ("pas", "state"):
        shutil.rmtree(copied.root / name)
    for _ in range(2):
        ran = copied.run()
        assert ran.status == 1
        (told,) = ran.lines("missing")
        assert f"32-39: {copied.parquet(PARTITIONS[3])} has no manifest" in told
        assert "ledgers 8 to 31 only" in told
    copied.settings["era"]["ledger_end"] = 39  # the remedy that it names
    assert copied.run().status == 0
    assert copied.verified()


# ------------------------------------------------------------------------------------------- overwriting


def corrected(copy: Copier) -> None:
    copy.settings["bronze"] = {"compression": "none"}
    copy.settings["era"]["allow_overwrite"] = True


def ordinary(copy: Copier) -> None:
    copy.settings["bronze"] = {"compression": "zstd"}
    copy.settings["era"]["allow_overwrite"] = False


def test_finished_overwriting_leaves_no_mark(copied: Copier) -> None:
    corrected(copied)
    assert copied.run().lines("partitions") == ["0 written, 4 replaced, 0 skipped, 0 failed"]
    assert not list((copied.root / "data").rglob("_replacing.json"))
    assert copied.committed() == [*PARTITIONS, *PARTITIONS]


@pytest.fixture
def stopped(copied: Copier, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """``stopped(step)``: an overwriting run in this process that fails for good at a step of each publication."""
    from bronze.dataset.publication import Publication
    from bronze.storage.local import LocalStore, LocalUpload

    def fail(*_: Any, **__: Any) -> None:
        raise OSError("stopped here")

    def run(step: str) -> None:
        corrected(copied)
        with monkeypatch.context() as patch:
            if step == "parquet":
                patch.setattr(Publication, "_replace_orphan", fail)
                publish = LocalUpload.publish
                patch.setattr(
                    LocalUpload,
                    "publish",
                    lambda upload, **how: fail() if ".parquet" in upload._final.name else publish(upload, **how),
                )
            elif step == "manifest":
                patch.setattr(Publication, "_create_manifest", fail)
            else:
                create = LocalStore.create
                patch.setattr(
                    LocalStore,
                    "create",
                    lambda store, key, data: fail() if "standalone_" in key else create(store, key, data),
                )
            assert copied.run().status == 1
        ordinary(copied)

    return run


@pytest.mark.parametrize("step", ["parquet", "manifest", "event"])
def test_stopped_overwriting_is_noticed_and_completed(step: str, stopped: Callable[[str], Any], copied: Copier) -> None:
    stopped(step)
    assert set(count_rows(copied).values()) == {1}
    for command in (("plan",), ("run", "--dry-run")):
        assert "8-15" in copied.run(*command).out
    ran = copied.run()
    if step == "event":
        assert ran.status == 1
        assert any("8-15" in line and "Run once more with allow_overwrite" in line for line in ran.lines("missing"))
        corrected(copied)
        assert copied.run().status == 0
        ordinary(copied)
    else:  # the lake gives what the events say
        assert ran.status == 0
        assert copied.committed() == PARTITIONS
    assert count_rows(copied) == dict.fromkeys(range(8, 40), 1)
    assert copied.verified()
    assert copied.run().status == 0
    assert not list((copied.root / "data").rglob("_replacing.json"))


def test_stopped_overwriting_is_completed_with_other_bytes(stopped: Callable[[str], Any], copied: Copier) -> None:
    stopped("manifest")
    copied.settings["bronze"] = {"compression": "none"}
    assert copied.run().status == 1
    corrected(copied)
    assert copied.run().status == 0
    assert copied.verified()


# ------------------------------------------------------------------------------------------------------ cost


def made_up(copy: Copier, count: int) -> None:
    """Partitions of one ledger each, from ledger 8 on, with made-up files, committed in order."""
    chain = Era(
        era_id="e1", version_label="v1", network="standalone", ledger_start=8, ledger_end=7 + count, partition_size=1
    )
    dataset = Dataset(LocalStore(copy.root / "data"), "bronze", TABLE)
    log = EventLog(LocalStore(copy.root / "pas"), chain)
    checkpoint = CheckpointFile(LocalStore(copy.root / "state"), chain, "made-up", single=True)
    sequencer = Sequencer(chain, dataset, this_producer(), events=log, checkpoint=checkpoint)
    for ledger in range(8, 8 + count):
        found = summary(ledger, ledger, of=chain)
        links = LedgerLinks(
            first=ledger,
            last=ledger,
            previous_hash=found.previous_hash,
            first_hash=found.first_hash,
            last_hash=found.last_hash,
        )
        manifest = Manifest(
            partition=found.partition,
            network=chain.network,
            era_id=chain.era_id,
            version_label=chain.version_label,
            table=TABLE,
            checksum=found.checksum,
            row_count=1,
            byte_size=found.byte_size,
            producer=found.producer,
            created_at="2026-01-01T00:00:00Z",
            ledgers=links,
        )
        folder = copy.root / "data" / dataset.directory(chain, found.partition)
        folder.mkdir(parents=True)
        (folder / manifest.file).write_bytes(b"x" * found.byte_size)
        (folder / "_manifest.json").write_bytes(manifest.to_bytes())
        sequencer.commit(found)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each method of a store is called, without the calls that a method makes itself."""
    found: Counter[str] = Counter()
    inside = [0]
    names = ("read", "size", "list_children", "list_directories", "create", "replace", "update", "delete", "open_read")
    for name in names:
        real = getattr(LocalStore, name)

        def counted(store: LocalStore, *given: Any, real: Any = real, name: str = name, **more: Any) -> Any:
            if not inside[0]:
                found[f"{name} {store.root.name}"] += 1
            inside[0] += 1
            try:
                made = real(store, *given, **more)
                return iter(list(made)) if name.startswith("list") else made
            finally:
                inside[0] -= 1

        monkeypatch.setattr(LocalStore, name, counted)
    return found


def test_run_with_nothing_to_do_has_constant_cost(
    lake: LakeFiles, copier: Callable[..., Copier], calls: Counter[str]
) -> None:
    costs = []
    for count in (10, 300):
        copy = copier(lake.root, name=f"of{count}", ledger_start=8, ledger_end=7 + count, partition_size=1)
        made_up(copy, count)
        calls.clear()
        ran = copy.run()
        assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 0 skipped, 0 failed"])
        costs.append(dict(calls))
    assert costs[0] == costs[1]
    assert costs[0]["list_directories data"] == 1
    assert costs[0].get("list_children pas", 0) <= 2  # the events, and the leftovers of dead runs
    assert costs[0].get("size data", 0) == costs[0].get("read data", 0) == 0
