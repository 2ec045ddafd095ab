"""The command `verify` beside a run that copies or replaces partitions, or behind one that was killed: nothing of what
it finds is called wrong.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Copier, LakeFiles, call, finish, wait_until

pytestmark = pytest.mark.timeout(300)
ERA = {"ledger_start": 8, "ledger_end": 39, "partition_size": 4}


def assert_no_false_alarm(copy: Copier) -> list[dict[str, Any]]:
    """Verify by URL, and by configuration; nothing is wrong. What was said of the era each time."""
    bronze, events = (copy.root / name for name in ("data/bronze", "pas"))
    by_url = call("verify", bronze, "--chain", events, "--level", "rows", "--json")
    found = []
    for ran in (by_url, copy.run("verify", "--json")):
        for era in json.loads(ran.out)["eras"]:
            assert [one for one in era["findings"] if one["severity"] == "wrong"] == [], ran
            found.append(era)
    return found


def audits_during_run(copy: Copier) -> list[dict[str, Any]]:
    """What verifications say of the era until the run is over; nothing is wrong."""
    found = []
    process = copy.start()
    try:
        while process.poll() is None:
            found += assert_no_false_alarm(copy)
    finally:
        ended = finish(process)
    assert ended.status == 0, ended
    return found


def test_running_copy_gives_no_false_alarm(sample: Callable[..., LakeFiles], copier: Callable[..., Copier]) -> None:
    copy = copier(sample(first=8, ledgers=32).root, **ERA)
    copy.settings["perf"] = {"workers": 2, "wave_partitions": 2}
    for name in ("data/bronze", "pas"):
        (copy.root / name).mkdir(parents=True)
    copying = audits_during_run(copy)
    assert any(0 < era["partitions"] < 8 for era in copying)

    copy.settings["era"]["allow_overwrite"] = True
    copy.settings["bronze"] = {"compression": "snappy"}
    replacing = audits_during_run(copy)
    assert any(era["partitions"] for era in replacing)
    ran = copy.run("verify", "--level", "rows", "--json")
    (era,) = json.loads(ran.out)["eras"]
    assert (ran.status, era["findings"], era["events"]) == (0, [], 16), era


def inodes(copy: Copier) -> dict[str, int]:
    """What is published and in the chain, by its inode: another one is another file."""
    found = {}
    for name in ("data/bronze", "pas"):
        for path in (copy.root / name).rglob("*.*"):
            with contextlib.suppress(FileNotFoundError):  # it is replaced meanwhile
                found[str(path)] = path.stat().st_ino
    return found


@pytest.mark.parametrize(("is_replacing", "changes"), [(False, 3), (True, 8)], ids=["copy", "replacement"])
def test_killed_copy_gives_no_false_alarm(
    sample: Callable[..., LakeFiles], copier: Callable[..., Copier], is_replacing: bool, changes: int
) -> None:
    """Killed when so many files had appeared, changed or gone: between any two of parquet, manifest, event and head."""
    copy = copier(sample(first=8, ledgers=32).root, **ERA)
    copy.settings["perf"] = {"workers": 1, "wave_partitions": 2}
    for name in ("data/bronze", "pas"):
        (copy.root / name).mkdir(parents=True)
    if is_replacing:
        assert copy.run().status == 0
        copy.settings["era"]["allow_overwrite"] = True
        copy.settings["bronze"] = {"compression": "snappy"}
    before = inodes(copy).items()
    process = copy.start()
    try:
        wait_until(lambda: len(before ^ inodes(copy).items()) >= changes, f"{changes} changes", every_s=0)
    finally:
        process.kill()
        process.communicate()
    assert_no_false_alarm(copy)
    assert copy.run().status == 0
    assert {era["verdict"] for era in assert_no_false_alarm(copy)} == {"HOLDS"}
