"""The command `status`: what it shows, its JSON, its exit status as a health check; it writes nothing."""

from __future__ import annotations

import json
import shutil

from tests.e2e.conftest import Copier, tree


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
