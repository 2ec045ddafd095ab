"""SIGKILL at every effect of ``repair --adopt events``: nothing is half adopted, and the same command completes it.

The effects are the calls that change a file or a directory, as a traced command that is not killed makes them.
"""

from __future__ import annotations

import re
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Copier
from tests.faults.bed import Bed
from tests.faults.compare import chain_problems, count_rows
from tests.faults.program import finish, start, strace
from tests.faults.steps import CHAIN, FIRST, LAST, PARTITIONS

pytestmark = pytest.mark.timeout(600)
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
#: What changes a directory or a file: all that a kill can come before.
EFFECTS = ("mkdir", "link", "linkat", "rename", "renameat2", "unlink", "unlinkat", "rmdir", "write", "pwrite64")
#: Event files that are left; the checkpoint knows of twice as many.
LEFT = 5
_LINE = re.compile(r"(\d+) +([a-z]\w*)\((.*)")


@pytest.fixture(scope="module", params=[LEFT, 0], ids=["older events", "no event"])
def contradicting(bed: Bed, request: pytest.FixtureRequest) -> Path:
    """Half of the range is copied, and the event files are an older state of the chain, or gone."""
    copy = bed.copy(ledger_end=PARTITIONS[2 * LEFT - 1][1])
    assert copy.run().status == 0
    events = copy.events()
    for event in events[request.param :]:
        part = event["partition"]
        (copy.root / "pas" / f"standalone_e1_v1_{part['ledger_start']}-{part['ledger_end']}.json").unlink()
    if not request.param:  # with chain heads these would be events that were pruned
        (copy.root / "pas" / "pas-chain-heads.json").unlink()
    return copy.root


@pytest.fixture
def copies(bed: Bed, contradicting: Path) -> Iterator[Copier]:
    """Any number of copies of that; the next run copies the rest."""

    def make() -> Iterator[Copier]:
        while True:
            copy = bed.copy()
            for part in ("data", "pas", "state"):
                shutil.copytree(contradicting / part, copy.root / part)
            yield copy
            shutil.rmtree(copy.root)

    return make()


def adopt(copy: Copier, *options: str) -> int:
    under = strace(copy.root / "trace", *options, calls=EFFECTS)
    return finish(start(copy, "repair", under=under, arguments=("--adopt", "events"))).status


def effects(copy: Copier) -> list[tuple[str, int, str]]:
    """Of a traced command: its calls below the directories of events and state; the number among its thread's calls."""
    numbers: Counter[tuple[str, str]] = Counter()
    found = []
    for line in (copy.root / "trace").read_text().splitlines():
        call = _LINE.match(line)
        if call is None or call[2] not in EFFECTS:
            continue
        numbers[call[1], call[2]] += 1
        if any(f"{copy.root}/{place}" in call[3] for place in ("pas", "state")):
            found.append((call[2], numbers[call[1], call[2]], call[3].replace(str(copy.root), "")))
    return found


def check_adopted(copy: Copier) -> None:
    """The chain goes on behind the events that were left; all other partitions have a new event."""
    ran = copy.run()
    assert ran.status == 0, ran
    assert copy.committed() == PARTITIONS
    assert len(copy.events()) == len(PARTITIONS)
    assert copy.checkpoint() == LAST
    assert copy.heads == {CHAIN: copy.events()[-1]["chain"]["event_hash"]}
    assert count_rows(copy) == dict.fromkeys(range(FIRST, LAST + 1), 1)
    assert list(chain_problems(copy)) == []
    assert copy.leftovers() == []
    assert len(list((copy.root / "pas").glob("standalone_*.json"))) == len(PARTITIONS)


def kill_and_complete(copy: Copier, call: str, number: int, text: str) -> None:
    """Kill the adoption before one of its effects; until it is completed no run begins or goes on with a chain."""
    left = {path.name: path.read_bytes() for path in (copy.root / "pas").glob("standalone_*.json")}
    status = adopt(copy, "-e", f"inject={call}:signal=SIGKILL:when={number}")
    assert status in KILLED, f"not killed at {call} {number}: {text}"
    between = copy.run("repair")
    kept = {path.name: path.read_bytes() for path in (copy.root / "pas").glob("standalone_*.json")}
    assert kept == left, f"killed at {call} {number} ({text}), event files changed"
    assert between.status in (0, 1), between
    if between.status == 1:
        assert "repair --adopt events" in between.err, between
    assert copy.run("repair", "--adopt", "events").status == 0
    check_adopted(copy)


@pytest.mark.parametrize("every", [pytest.param(True, marks=pytest.mark.full, id="each effect"), False])
def test_killed_adoption_of_events_is_completed(copies: Iterator[Copier], every: bool) -> None:
    """By default at the two that make something visible: the chain heads and the checkpoint."""
    undisturbed = next(copies)
    assert adopt(undisturbed) == 0
    points = effects(undisturbed)
    check_adopted(undisturbed)
    visible = [point for point in points if point[0] == "rename"]
    renamed = [name for _, _, text in visible for name in ("pas-chain-heads.json", "checkpoint.json") if name in text]
    assert renamed in (["pas-chain-heads.json", "checkpoint.json"], ["checkpoint.json"]), points
    for call, number, text in points if every else visible:
        kill_and_complete(next(copies), call, number, text)
