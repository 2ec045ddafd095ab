"""Existing partitions: skipped when their manifests are right, an error when not, never trusted unchecked."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.e2e.conftest import SHARED, Copier, LakeFiles, tree

PARTITIONS = [(8, 15), (16, 23), (24, 31)]
MIDDLE = PARTITIONS[1]


@pytest.fixture
def lake(sample: Callable[..., LakeFiles]) -> LakeFiles:
    return sample(first=8, ledgers=24)


@pytest.fixture
def copied(lake: LakeFiles, copier: Callable[..., Copier]) -> Copier:
    """A complete dataset whose checkpoint and events are lost, so that every partition is examined again."""
    copy = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=8)
    assert copy.run().status == 0
    lose_chain_state(copy)
    return copy


def lose_chain_state(copy: Copier) -> None:
    shutil.rmtree(copy.root / "state")
    shutil.rmtree(copy.root / "pas")


def manifest_path(copy: Copier, part: tuple[int, int]) -> Path:
    return copy.parquet(part).with_name("_manifest.json")


def edit_manifest(copy: Copier, part: tuple[int, int], edit: Callable[[dict[str, Any]], Any]) -> None:
    path = manifest_path(copy, part)
    document = json.loads(path.read_bytes())
    edit(document)
    path.write_text(json.dumps(document, indent=2))


def test_existing_partition_is_skipped(lake: LakeFiles, copied: Copier) -> None:
    """It needs no lake object, none of its files changes, and the chain commits it."""
    for ledger in range(16, 24):
        lake.remove(ledger)
    shutil.rmtree(copied.parquet(PARTITIONS[2]).parent)
    before = {path: path.stat().st_mtime_ns for path in copied.parquet(MIDDLE).parent.iterdir()}

    ran = copied.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["1 written, 2 skipped, 0 failed"])
    assert {path: path.stat().st_mtime_ns for path in copied.parquet(MIDDLE).parent.iterdir()} == before
    assert copied.committed() == PARTITIONS
    assert copied.verified()


def remove_parquet(copy: Copier) -> None:
    copy.parquet(MIDDLE).unlink()


def shorten_parquet(copy: Copier) -> None:
    path = copy.parquet(MIDDLE)
    path.write_bytes(path.read_bytes()[:-1])


def lengthen_parquet(copy: Copier) -> None:
    path = copy.parquet(MIDDLE)
    path.write_bytes(path.read_bytes() + b"\0")


def short_by_a_row(copy: Copier) -> None:
    """As the Go copier published a partition beyond the end of its lake."""
    edit_manifest(copy, MIDDLE, lambda manifest: manifest["tables"]["ledgers_lcm_raw"].update(row_count=7))


def of_another_partition(copy: Copier) -> None:
    shutil.copy(manifest_path(copy, PARTITIONS[0]), manifest_path(copy, MIDDLE))


def of_another_era(copy: Copier) -> None:
    edit_manifest(copy, MIDDLE, lambda manifest: manifest["partition"].update(era_id="e2"))


def half_a_manifest(copy: Copier) -> None:
    path = manifest_path(copy, MIDDLE)
    path.write_bytes(path.read_bytes()[:100])


def empty_manifest(copy: Copier) -> None:
    manifest_path(copy, MIDDLE).write_bytes(b"")


@pytest.mark.parametrize(
    ("harm", "says"),
    [
        pytest.param(remove_parquet, "stands without its parquet file", id="its parquet file is missing"),
        pytest.param(shorten_parquet, "bytes, its manifest says", id="its parquet file is shorter"),
        pytest.param(lengthen_parquet, "bytes, its manifest says", id="its parquet file is longer"),
        pytest.param(short_by_a_row, "it says 7 rows, 16-23 has 8 ledgers", id="a short partition of the Go copier"),
        pytest.param(
            of_another_partition,
            "describes standalone/e1/v1 8-15, expected standalone/e1/v1 16-23",
            id="it is of another partition",
        ),
        pytest.param(
            of_another_era,
            "describes standalone/e2/v1 16-23, expected standalone/e1/v1 16-23",
            id="it is of another era",
        ),
        pytest.param(half_a_manifest, "cannot be used", id="it is cut off"),
        pytest.param(empty_manifest, "cannot be used", id="it is empty"),
    ],
)
def test_mismatched_manifest_fails_partition(harm: Callable[[Copier], None], says: str, copied: Copier) -> None:
    harm(copied)

    ran = copied.run()

    assert (ran.status, ran.failures_logged) == (1, (1, ""))
    assert ran.lines("partitions") == ["0 written, 2 skipped, 1 failed"]
    (failed,) = ran.lines("failed")
    assert "standalone/e1/v1 16-23: StateError" in failed
    assert str(copied.parquet(MIDDLE).parent) in failed
    assert says in failed
    assert copied.committed() == PARTITIONS[:1]
    # The message says what to do: without the manifest the partition is made again.
    manifest_path(copied, MIDDLE).unlink()
    assert copied.run().status == 0
    assert copied.committed() == PARTITIONS
    assert copied.verified()


@pytest.mark.parametrize(
    "left",
    [
        pytest.param(b"", id="an empty file"),
        pytest.param(b"PAR1 and half of the rest", id="half a file"),
        pytest.param(None, id="the whole file"),
    ],
)
def test_orphaned_parquet_file_is_not_trusted(left: bytes | None, copied: Copier) -> None:
    whole = copied.parquet(MIDDLE).read_bytes()
    manifest_path(copied, MIDDLE).unlink()
    copied.parquet(MIDDLE).write_bytes(whole if left is None else left)

    ran = copied.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["1 written, 2 skipped, 0 failed"])
    assert copied.parquet(MIDDLE).read_bytes() == whole
    assert copied.verified()


def test_dead_run_leftovers_are_removed(copied: Copier) -> None:
    for folder in ("data", "pas", "state"):
        left = copied.root / folder / "_temporary" / "part-8-15.parquet.0123456789abcdef"
        left.parent.mkdir(parents=True)
        left.write_bytes(b"half")

    assert copied.run().status == 0

    assert copied.leftovers() == []


# ---------------------------------------------------------------------------------------- allow_overwrite


def test_differing_existing_partition_is_kept(copied: Copier) -> None:
    before = copied.published()
    copied.settings["bronze"] = {"compression": "none"}

    ran = copied.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 3 skipped, 0 failed"])
    assert copied.published() == before


def test_allow_overwrite_replaces_differing_partition(lake: LakeFiles, copier: Callable[..., Copier]) -> None:
    copy = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=8)
    copy.run()
    before, first_events = copy.published(), copy.events()
    copy.settings["bronze"] = {"compression": "none"}
    copy.settings["era"]["allow_overwrite"] = True

    ran = copy.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 3 replaced, 0 skipped, 0 failed"])
    assert not set(copy.published().values()) & set(before.values())
    # Corrections are appended; the existing chain is not rewritten.
    assert copy.events()[:3] == first_events
    assert copy.committed() == [*PARTITIONS, *PARTITIONS]
    assert copy.checkpoint() == 31
    assert copy.verified()


def test_allow_overwrite_keeps_equal_partition(lake: LakeFiles, copier: Callable[..., Copier]) -> None:
    copy = copier(lake.root, ledger_start=8, ledger_end=31, partition_size=8, allow_overwrite=True)
    copy.run()
    before = {path: path.stat().st_mtime_ns for path in (copy.root / "data").rglob("*")}

    ran = copy.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["0 written, 3 unchanged, 0 skipped, 0 failed"])
    assert {path: path.stat().st_mtime_ns for path in (copy.root / "data").rglob("*")} == before
    assert copy.committed() == PARTITIONS


# ------------------------------------------------------------------------------------------ the Go copier


def test_go_partitions_are_skipped_and_linked(copied: Copier, lake: LakeFiles) -> None:
    """Its manifests lack the key `ledgers`: the linking hashes are read from the parquet files."""
    for part in PARTITIONS[:2]:
        edit_manifest(copied, part, lambda manifest: [manifest.pop(key) for key in ("ledgers", "made_with")])
    shutil.rmtree(copied.parquet(PARTITIONS[2]).parent)
    lake.remove(16)

    ran = copied.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["1 written, 2 skipped, 0 failed"])
    assert copied.committed() == PARTITIONS
    assert copied.verified()


def test_unlinked_go_partition_is_refused(copied: Copier) -> None:
    """Its file belongs to another chain: intact, but it does not follow the partition before it."""
    edit_manifest(copied, MIDDLE, lambda manifest: manifest.pop("ledgers"))
    table = pq.ParquetFile(copied.parquet(MIDDLE)).read()
    hashes = table.column("previous_ledger_hash").to_pylist()
    changed = table.set_column(2, table.schema.field(2), [["ab" * 32, *hashes[1:]]])
    pq.write_table(changed, copied.parquet(MIDDLE))
    size = copied.parquet(MIDDLE).stat().st_size
    edit_manifest(copied, MIDDLE, lambda manifest: manifest["tables"]["ledgers_lcm_raw"].update(byte_size=size))

    ran = copied.run()

    assert ran.status == 1
    (refused,) = ran.lines("refused")
    assert refused.startswith("standalone/e1/v1 16-23: VerificationError: ledger 16")
    assert "ab" * 32 in refused
    assert copied.committed() == PARTITIONS[:1]
    assert copied.checkpoint() == 15


def make_partition_of(copy: Copier, part: tuple[int, int], types: dict[str, pa.DataType], lacks: list[str]) -> None:
    """Give a partition the column types of an older program, and let its manifest lack what that did not state."""
    path = copy.parquet(part)
    table = pq.ParquetFile(path).read()
    fields = [field.with_type(types.get(field.name, field.type)) for field in table.schema]
    pq.write_table(table.cast(pa.schema(fields)), path)
    data = path.read_bytes()
    stated = {"checksum": f"sha256:{hashlib.sha256(data).hexdigest()}", "byte_size": len(data)}

    def edit(manifest: dict[str, Any]) -> None:
        for key in lacks:
            del manifest[key]
        manifest["tables"]["ledgers_lcm_raw"].update(stated)
        manifest["producer"]["version"] = "v0.1.0"

    edit_manifest(copy, part, edit)


def make_go_partition(copy: Copier, part: tuple[int, int]) -> None:
    """Give a partition the column types of the Go copier, and a manifest as it writes them."""
    types = {"ledger_sequence": pa.uint64(), "protocol_version": pa.uint32(), "close_time": pa.timestamp("ms", "UTC")}
    make_partition_of(copy, part, types, ["ledgers", "made_with", "authenticity"])


def make_older_partition(copy: Copier, part: tuple[int, int]) -> None:
    """Give a partition what version 0.1 wrote: milliseconds, and a manifest that does not say what it was made with."""
    types = dict.fromkeys(("close_time", "ingested_at"), pa.timestamp("ms", "UTC"))
    make_partition_of(copy, part, types, ["made_with", "authenticity"])


def test_older_partitions_stay_and_are_continued(lake: LakeFiles, copier: Callable[..., Copier]) -> None:
    """Two of version 0.1, one of them off the grid: they are planned around, linked, verified, and never changed."""
    copy = copier(lake.root, ledger_start=8, ledger_end=19, partition_size=8)
    assert copy.run().status == 0
    older = [(8, 15), (16, 19)]
    for part in older:
        make_older_partition(copy, part)
    lose_chain_state(copy)
    before = tree(copy.root / "data")
    copy.settings["era"]["ledger_end"] = 31

    plan = json.loads(copy.run("plan", "--json").out)["eras"][0]
    ran = copy.run()

    assert (plan["partitions"], plan["skipped"], plan["to_copy"]) == (4, 2, {"partitions": 2, "ledgers": 12})
    assert (ran.status, ran.lines("partitions")) == (0, ["2 written, 2 skipped, 0 failed"]), ran
    assert copy.committed() == [*older, (20, 23), (24, 31)]
    after = tree(copy.root / "data")
    assert {name: after[name] for name in before} == before
    verified = copy.run("verify", "--level", "rows")
    assert (verified.status, "HOLDS" in verified.out) == (0, True), verified
    assert copy.ledgers() == list(range(8, 32))


def test_unlinked_older_partition_is_refused(
    sample: Callable[..., LakeFiles], copied: Copier, copier: Callable[..., Copier]
) -> None:
    for part in PARTITIONS[:2]:
        make_older_partition(copied, part)
    shutil.rmtree(copied.parquet(PARTITIONS[2]).parent)
    copied.settings["source"]["local_path"] = str(sample(first=8, ledgers=24, seed=5).root)
    ran = copied.run()
    assert ran.status == 1
    assert "another history" in ran.err or "another chain" in ran.err, ran
    assert copied.partitions() == PARTITIONS[:2]


def go_partition_without_chain(copy: Copier, part: tuple[int, int]) -> None:
    make_go_partition(copy, part)
    lose_chain_state(copy)


def go_partition_with_chain(copy: Copier, part: tuple[int, int]) -> None:
    edit_manifest(copy, part, lambda manifest: [manifest.pop(key) for key in ("ledgers", "made_with")])


@pytest.mark.parametrize("seed", [1, 0], ids=["same chain", "another chain"])
@pytest.mark.parametrize(
    ("start", "make_go"),
    [
        (0, go_partition_without_chain),
        (1, go_partition_without_chain),
        (8, go_partition_with_chain),
    ],
)
def test_new_partition_must_link_to_go_partition(
    sample: Callable[..., LakeFiles],
    copier: Callable[..., Copier],
    start: int,
    make_go: Callable[[Copier, tuple[int, int]], None],
    seed: int,
) -> None:
    """The Go copier wrote the first partition; the later ones come from the same lake or from another one."""
    first, second = (start, start + 7), (start + 8, start + 15)
    options = {"first": max(start, 2), "ledgers": 30}
    copy = copier(sample(seed=1, **options).root, ledger_start=start, ledger_end=first[1], partition_size=8)
    assert copy.run().status == 0
    make_go(copy, first)
    copy.settings["era"]["ledger_end"] = second[1]
    copy.settings["source"]["local_path"] = str(sample(seed=seed, **options).root)

    ran = copy.run()

    if seed == 1:
        assert (ran.status, ran.lines("refused")) == (0, [])
        assert copy.committed() == [first, second]
        assert copy.verified()
        return
    assert ran.status == 1
    assert f"ledger {start + 8} in the lake" in ran.err
    assert f"the published partition standalone/e1/v1 {start}-{start + 7}" in ran.err
    assert copy.partitions() == [first]
    assert copy.checkpoint() in (0, first[1])


OLD_CHAIN = SHARED / "samples" / "pas_chain"
#: Where the Go copier's sample chain ends: five partitions of ten ledgers.
OLD_START, OLD_NEXT = 53312000, 53312050


@pytest.fixture
def continued(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> Copier:
    """The Go copier's chain, and a lake that continues where it ends."""
    if not OLD_CHAIN.exists():
        pytest.skip(f"no sample chain at {OLD_CHAIN}")
    lake = sample(first=OLD_NEXT, ledgers=20, passphrase="Public Global Stellar Network ; September 2015")
    copy = copier(
        lake.root,
        era_id="pre_p23",
        network="pubnet",
        ledger_start=OLD_START,
        ledger_end=OLD_NEXT + 19,
        partition_size=10,
    )
    (copy.root / "pas").mkdir()
    for path in OLD_CHAIN.iterdir():
        shutil.copyfile(path, copy.root / "pas" / path.name)
    return copy


def keep_everything(copy: Copier) -> None:
    (copy.root / "state").mkdir()
    name = "checkpoint_pubnet_pre_p23_v1.json"
    shutil.copyfile(SHARED / "samples" / name, copy.root / "state" / name)


def lose_the_checkpoint(copy: Copier) -> None:
    """The event files tell where the chain resumes."""


def lose_the_head(copy: Copier) -> None:
    (copy.root / "pas" / "pas-chain-heads.json").unlink()


def prune_old_events(copy: Copier) -> None:
    for start in (OLD_START, OLD_START + 10):
        (copy.root / "pas" / f"pubnet_pre_p23_v1_{start}-{start + 9}.json").unlink()


@pytest.mark.ledgers
@pytest.mark.parametrize("having", [keep_everything, lose_the_checkpoint, lose_the_head, prune_old_events])
def test_go_chain_is_continued(having: Callable[[Copier], None], continued: Copier) -> None:
    having(continued)
    head = json.loads((OLD_CHAIN / "pas-chain-heads.json").read_bytes())["pubnet/pre_p23/v1"]

    ran = continued.run()

    assert (ran.status, ran.lines("partitions")) == (0, ["2 written, 0 skipped, 0 failed"])
    first, second = continued.events("pre_p23")[-2:]
    assert (first["partition"]["ledger_start"], first["chain"]["prev_event_hash"]) == (OLD_NEXT, head)
    assert second["chain"]["prev_event_hash"] == first["chain"]["event_hash"]
    assert continued.heads == {"pubnet/pre_p23/v1": second["chain"]["event_hash"]}
