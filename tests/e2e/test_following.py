"""A run that follows a lake which grows: the same files as a backfill, whatever happens meanwhile."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Copier, LakeFiles, finish, wait_until
from tests.support.growing_lake import GrowingLake

#: Seconds from the last object of a partition to its commit.
LIMIT_S = 30.0
FIRST, LAST = 8, 39


@pytest.fixture
def lake(sample: Callable[..., LakeFiles], tmp_path: Path) -> GrowingLake:
    """Ledgers 8 to 39, of which the lake has none yet."""
    full = sample(first=FIRST, ledgers=LAST - FIRST + 1)
    root = tmp_path / "growing"
    root.mkdir()
    shutil.copy(full.root / ".config.json", root)
    return GrowingLake(full, root)


@pytest.fixture
def copy(lake: GrowingLake, copier: Callable[..., Copier]) -> Copier:
    """Partitions of four ledgers of that lake, in an era without an end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    settings: dict[str, Any] = {
        "source": {"poll_seconds": 1},
        "metrics": {"enabled": True, "address": address},
        "logging": {"level": "info"},
    }
    return copier(lake.root, name="following", ledger_start=FIRST, partition_size=4, settings=settings)


def committed_within_limit(copy: Copier, program: subprocess.Popen[str], partition: tuple[int, int]) -> None:
    """Wait until `partition`, whose last object was just exported, is committed."""
    started = time.monotonic()

    def is_committed() -> bool:
        assert program.poll() is None, finish(program)
        return copy.checkpoint() >= partition[1]

    wait_until(is_committed, f"the commit of {partition}")
    assert time.monotonic() - started < LIMIT_S


def health(copy: Copier) -> dict[str, Any]:
    """What the run says of itself; empty values while it does not answer."""
    try:
        with urllib.request.urlopen(f"http://{copy.settings['metrics']['address']}/health", timeout=5) as answer:
            found: dict[str, Any] = json.load(answer)
    except OSError:
        return {"doing": "", "last_error": ""}
    return found


def stop(program: subprocess.Popen[str]) -> str:
    os.kill(program.pid, signal.SIGTERM)
    ran = finish(program)
    assert ran.status == 128 + signal.SIGTERM, ran.err
    return ran.err


@pytest.mark.timeout(180)
def test_followed_lake_gives_backfills_bytes(lake: GrowingLake, copy: Copier, copier: Callable[..., Copier]) -> None:
    program = copy.start("run", "--follow")
    try:
        for end in (11, 15):  # one ledger at a time
            for ledger in range(end - 3, end + 1):
                assert copy.checkpoint() < end
                lake.add(ledger)
            committed_within_limit(copy, program, (end - 3, end))

        lake.add(16, 17, 19, *range(20, 24))  # a gap: 18 comes late
        wait_until(lambda: (20, 23) in copy.partitions(), "the partition behind the gap")
        assert copy.checkpoint() == 15
        lake.add(18)
        committed_within_limit(copy, program, (16, 19))
        committed_within_limit(copy, program, (20, 23))

        lake.add(24, 25, 27)
        lake.export(26, lake.full.path(26).read_bytes()[:-9])  # damaged, and exported again
        lake.add(9)  # exported again, the same
        assert copy.checkpoint() == 23
        wait_until(lambda: "24-27" in str(health(copy)["last_error"]), "the failure of the damaged object")
        lake.add(26)
        committed_within_limit(copy, program, (24, 27))
        lake.add(28, 29)
        wait_until(lambda: "it has 29" in health(copy)["doing"], "the wait for the next ledger")
    finally:
        log = stop(program)
    assert "Traceback" not in log
    assert "waiting for ledger" in log

    lake.add(30, 31, *range(32, 38))  # while nothing runs
    program = copy.start("run", "--follow")
    try:
        committed_within_limit(copy, program, (32, 35))
        lake.add(38, 39)
        committed_within_limit(copy, program, (36, 39))
    finally:
        stop(program)

    assert copy.run("run", "--until-caught-up").status == 0
    backfill = copier(lake.full.root, name="backfill", ledger_start=FIRST, ledger_end=LAST, partition_size=4)
    assert backfill.run().status == 0
    assert copy.published() == backfill.published()
    assert copy.documents() == backfill.documents()
    assert copy.committed() == backfill.committed()
    assert copy.leftovers() == []
    assert copy.verified()


def test_waiting_run_is_healthy(lake: GrowingLake, copy: Copier) -> None:
    lake.add(*range(8, 13))
    program = copy.start("run", "--follow")

    try:
        wait_until(lambda: health(copy)["doing"] == "waiting for ledger 15 of the lake; it has 12", "the wait")
        found = health(copy)
        assert (found["status"], found["lake_latest_ledger"]) == ("ok", 12)
        assert found["chains"]["standalone/e1/v1"]["last_committed_ledger"] == 11
    finally:
        stop(program)


def test_bounded_eras_end_a_followed_run(lake: GrowingLake, copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = 17
    lake.add(*range(8, 16))
    program = copy.start("run", "--follow")
    committed_within_limit(copy, program, (12, 15))
    lake.add(16, 17)
    ran = finish(program)
    assert ran.status == 0, ran.err
    assert copy.committed() == [(8, 11), (12, 15), (16, 17)]
    assert ran.lines("partitions") == ["3 written, 0 skipped, 0 failed"]


def test_caught_up_run_ends_with_failures(lake: GrowingLake, copy: Copier) -> None:
    lake.add(*range(8, 12), 12, 13, 15)
    ran = copy.run("run", "--until-caught-up")
    assert ran.status == 1
    assert copy.committed() == [(8, 11)]
    lake.add(14)
    assert copy.run("run", "--until-caught-up").status == 0
    assert copy.committed() == [(8, 11), (12, 15)]


def test_lake_that_vanished_is_told(lake: GrowingLake, copy: Copier) -> None:
    """Also to cron: an unmounted volume looks like that."""
    assert copy.run("run", "--until-caught-up").status == 0  # it has not begun yet
    lake.add(*range(8, 12))
    assert copy.run("run", "--until-caught-up").status == 0
    for path in lake.root.rglob("*.xdr.zst"):
        path.unlink()
    ran = copy.run("run", "--until-caught-up")
    assert (ran.status, "is committed up to ledger 11" in ran.err) == (2, True), ran
    assert copy.verified()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--follow", "--until-caught-up"], "choose one"),
        (["--follow", "--dry-run"], "leave out --dry-run"),
        (["--until-caught-up", "--publish-partial"], "leave out --publish-partial"),
        (["--follow", "--partition", "8-11", "--again"], "leave out --again"),
    ],
)
def test_following_refuses_contradicting_options(copy: Copier, options: list[str], named: str) -> None:
    ran = copy.run("run", *options)
    assert (ran.status, named in ran.err) == (2, True), ran.err
    assert not (copy.root / "data").exists()
