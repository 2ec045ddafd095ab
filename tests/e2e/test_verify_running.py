"""The command `verify` beside a run that copies or replaces partitions: nothing of what it finds is called wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.e2e.conftest import Copier, LakeFiles, call, finish

pytestmark = pytest.mark.timeout(300)
ERA = {"ledger_start": 8, "ledger_end": 39, "partition_size": 4}


def audits_during_run(copy: Copier) -> list[dict[str, Any]]:
    """What verifications by URL, and by configuration, say of the era until the run is over; nothing is wrong."""
    bronze, events = (copy.root / name for name in ("data/bronze", "pas"))
    found = []
    process = copy.start()
    try:
        while process.poll() is None:
            by_url = call("verify", bronze, "--chain", events, "--level", "rows", "--json")
            for ran in (by_url, copy.run("verify", "--json")):
                for era in json.loads(ran.out)["eras"]:
                    assert [one for one in era["findings"] if one["severity"] == "wrong"] == [], ran
                    found.append(era)
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
