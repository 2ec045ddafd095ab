"""The command `verify` at a level: by URL or configuration, its exit statuses, its JSON; it writes nothing."""

from __future__ import annotations

import json
import shutil
import socket
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier, call, tree


def bronze(copy: Copier) -> str:
    return str(copy.root / "data" / "bronze")


def events(copy: Copier) -> str:
    return copy.settings["pas"]["backup_dir"]


@pytest.mark.parametrize("level", ["manifests", "files", "rows"])
def test_url_alone_is_enough(copy: Copier, level: str) -> None:
    copy.run()
    before = tree(copy.root)
    ran = call("verify", bronze(copy), "--level", level)
    assert ran.status == 0, ran.out
    assert f"chain standalone/e1/v1: HOLDS\n  at {copy.folder()}\n" in ran.out
    assert f"checked at the level {level}: 3 partitions" in ran.out
    assert "not checked: the audit events" in ran.out
    assert tree(copy.root) == before


def test_path_may_lead_upwards(copy: Copier, monkeypatch: pytest.MonkeyPatch) -> None:
    copy.run()
    monkeypatch.chdir(copy.root / "state")
    assert call("verify", "../data/bronze", "--level", "manifests").status == 0


def test_source_level_compares_with_lake(copy: Copier) -> None:
    copy.run()
    assert call("verify", bronze(copy), "--level", "source", "--lake", str(copy.lake)).status == 0
    assert copy.run("verify", "--level", "source").status == 0
    ran = call("verify", bronze(copy), "--level", "source")
    assert (ran.status, "name it (--lake URL" in ran.err) == (2, True)


def test_workers_find_what_one_finds(copy: Copier) -> None:
    copy.run()
    path = copy.parquet((16, 23))
    path.write_bytes(path.read_bytes()[:-1] + b"X")
    alone, two = (
        json.loads(call("verify", bronze(copy), "--level", "rows", "--json", "--workers", count).out)
        for count in ("1", "2")
    )
    assert alone == two
    assert alone["result"] == "wrong"
    assert {(one["partition"], one["object"]) for one in alone["eras"][0]["findings"]} == {("16-23", str(path))}


def test_chain_is_checked_by_configuration(copy: Copier) -> None:
    copy.run()
    good = json.loads(copy.run("verify", "--chain", "--json").out)
    head = good["eras"][0]["head"]
    assert (good["result"], good["exit_status"], good["eras"][0]["events"]) == ("holds", 0, 3)
    assert any("rebuilt from its start" in sentence for sentence in good["eras"][0]["not_checked"])
    arguments = ("--chain", "--expect-head", head, "--expect-events")
    known = copy.run("verify", *arguments, "3", "--json")
    assert not any("rebuilt" in sentence for sentence in json.loads(known.out)["eras"][0]["not_checked"])
    assert copy.run("verify", *arguments, "4").status == 1


def test_nothing_there_exits_1(copy: Copier, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    ran = call("verify", str(empty), "--level", "manifests")
    assert (ran.status, ran.out) == (1, "NOTHING TO VERIFY: no partition was found there\n")
    assert "NOTHING TO VERIFY" in copy.run("verify", "--level", "files").out


def test_unreachable_store_exits_3(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    ran = call(
        "verify", "s3://bucket/bronze", "--endpoint", f"http://127.0.0.1:{port}", "--region", "us-east-1", "--json"
    )
    assert ran.status == 3
    assert json.loads(ran.out)["result"] == "unchecked"


def test_wrong_wins_over_unreadable(copy: Copier) -> None:
    copy.run()
    path = copy.parquet((8, 15))
    path.unlink()
    path.mkdir()  # reading it fails, whoever runs the tests
    ran = json.loads(call("verify", bronze(copy), "--level", "manifests", "--json").out)
    assert ran["exit_status"] in (1, 3)
    shutil.rmtree(copy.parquet((16, 23)).parent)
    ran = json.loads(call("verify", bronze(copy), "--level", "manifests", "--json").out)
    assert ran["exit_status"] == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--subset", "9/7"), "--subset: '9/7' is neither"),
        (("--chain",), "--chain needs the place of the event files"),
        (("--eras", "other"), "no era other is published at"),
    ],
)
def test_wrong_arguments_exit_2(copy: Copier, arguments: tuple[str, ...], words: str) -> None:
    copy.run()
    ran = call("verify", bronze(copy), *arguments)
    assert (ran.status, words in ran.err) == (2, True), ran.err


def test_range_and_subset_narrow_the_audit(copy: Copier) -> None:
    copy.run()
    ran = json.loads(call("verify", bronze(copy), "--from", "16", "--to", "20", "--json").out)
    assert (ran["result"], ran["eras"][0]["partitions"], ran["eras"][0]["gaps"]) == ("holds", 1, [])
    parts = [
        json.loads(call("verify", bronze(copy), "--subset", f"{part}/3", "--json").out)["eras"][0]["looked_into"]
        for part in (1, 2, 3)
    ]
    assert sum(parts) == 3
