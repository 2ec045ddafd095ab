"""The command `status`: what it shows, its JSON, its exit status as a health check; it writes nothing."""

from __future__ import annotations

import json
import shutil

from tests.e2e.conftest import Copier, era, new_copier, tree


def era_of(copy: Copier, *arguments: str) -> tuple[int, dict]:
    ran = copy.run("status", "--json", *arguments)
    return ran.status, json.loads(ran.out)["eras"][0]


def test_finished_era_is_healthy(copy: Copier) -> None:
    copy.run()
    before = tree(copy.root)
    status, era = era_of(copy, "--max-age", "600", "--max-lag", "0")
    assert status == 0
    assert (era["partitions"], era["first"], era["last"], era["committed"], era["lag"]) == (3, 8, 31, 31, 0)
    assert (era["gaps"], era["unmet"], era["failures"], era["events"]) == ([], [], [], 3)
    assert era["head"].startswith("sha256:")
    assert era["undelivered"] is None
    assert tree(copy.root) == before


def test_unstarted_era_exceeds_limits(copy: Copier) -> None:
    status, era = era_of(copy)
    assert (status, era["committed"], era["partitions"], era["lag"]) == (0, None, 0, 24)
    status, era = era_of(copy, "--max-age", "600", "--max-lag", "23")
    assert status == 1
    assert len(era["unmet"]) == 2


def test_old_commit_exceeds_age(copy: Copier) -> None:
    copy.run()
    path = copy.root / "state" / "checkpoint.json"
    document = json.loads(path.read_bytes())
    path.write_text(json.dumps({**document, "updated_at": "2020-01-01T00:00:00Z"}))
    assert era_of(copy, "--max-age", "86400")[0] == 1
    assert era_of(copy)[0] == 0


def test_gap_exits_1_with_remedy(copy: Copier) -> None:
    copy.run()
    shutil.rmtree(copy.parquet((16, 23)).parent)
    ran = copy.run("status")
    assert ran.status == 1
    assert "gap          ledgers 16-23: set last_committed_ledger of the checkpoint to 15" in ran.out


def test_ledgers_behind_last_commit_are_no_gap(copy: Copier) -> None:
    """As while workers copy several partitions at once, or after such a run was killed."""
    copy.run()
    document = json.loads((copy.root / "state" / "checkpoint.json").read_bytes())
    shutil.rmtree(copy.root / "pas")
    kept = {key: document[key] for key in ("copier_id", "network", "era_id", "version_label", "updated_at")}
    (copy.root / "state" / "checkpoint.json").write_text(json.dumps({**kept, "last_committed_ledger": 15}))
    shutil.rmtree(copy.parquet((16, 23)).parent)
    status, era = era_of(copy)
    assert (status, era["gaps"], era["last"], era["lag"]) == (0, [], 31, 16)
    copy.settings["checkpoint"] = {"enabled": False}
    status, era = era_of(copy)
    assert (status, era["gaps"]) == (1, [{"start": 16, "end": 23}])


def publish_again(copy: Copier, era_id: str, **keys: int) -> None:
    """Publish ledgers once more, by a copier that knows nothing of the first one's chain."""
    other = new_copier(copy.root.parent / "other", copy.lake, era_id=era_id, **keys)
    assert other.run().status == 0
    for path in other.folder(era_id).iterdir():
        shutil.copytree(path, copy.folder(era_id) / path.name)


def test_overlapping_partitions_exit_1_with_remedy(copy: Copier) -> None:
    copy.run()
    publish_again(copy, "e1", ledger_start=12, ledger_end=19, partition_size=8)
    status, found = era_of(copy)
    assert (status, found["gaps"], len(found["problems"])) == (1, [], 1)
    (sentence,) = found["problems"]
    assert "partition 12-19: it holds ledgers of the published partition 16-23 too" in sentence
    assert f"It has no event: remove {copy.folder()}/range=12-19" in sentence
    assert "wrong        partition 12-19: it holds ledgers" in copy.run("status").out


def test_ledgers_of_another_era_exit_1(copy: Copier) -> None:
    copy.run()
    publish_again(copy, "e2", ledger_start=24, ledger_end=31, partition_size=8)
    del copy.settings["era"]
    eras = [("e1", 8, 23), ("e2", 24, 31)]
    copy.settings["eras"] = [era(name, ledger_start=a, ledger_end=b, partition_size=8) for name, a, b in eras]
    ran = copy.run("status")
    assert ran.status == 1
    assert (
        "wrong        1 partition (24-31 and on, up to ledger 31) with ledgers that era e1 has published too" in ran.out
    )


def test_partition_without_its_file_exits_1(copy: Copier) -> None:
    copy.run()
    copy.parquet((16, 23)).unlink()
    status, found = era_of(copy)
    (problem,) = found["problems"]
    assert (status, found["partitions"]) == (1, 2)
    assert problem == ("partition 16-23: its parquet file is missing: `bronze-copier run --partition 16-23 --again`")
    assert copy.run("run", "--partition", "16-23", "--again").status == 0
    assert era_of(copy)[0] == 0


def test_unreadable_lake_exits_3(copy: Copier) -> None:
    copy.run()
    for path in copy.lake.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    (copy.lake / ".config.json").write_text("{")
    ran = copy.run("status")
    assert ran.status == 3
    assert "unknown      the lake cannot be read" in ran.out
    assert "committed    up to ledger 31" in ran.out


def test_damaged_checkpoint_exits_3(copy: Copier) -> None:
    copy.run()
    (copy.root / "state" / "checkpoint.json").write_text("{")
    status, era = era_of(copy)
    assert status == 3
    assert "the checkpoint cannot be read" in era["failures"][0]
    assert era["partitions"] == 3


def test_undelivered_events_are_counted(copy: Copier) -> None:
    copy.run()
    copy.settings["pas"]["endpoint"] = "http://127.0.0.1:9/"
    assert era_of(copy)[1]["undelivered"] == 3
