"""Histories of a copy that a kill may fall into: gaps that are filled, corrections, pruned events, directories that are
lost or cannot be written to.

Each scenario prepares a copy, is killed in the run that follows, and is then settled. What has to hold at the end is
stated by `problems_of`: the chain holds, each partition is committed as often as it should be, and the README's query
counts every ledger once.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tests.e2e.conftest import Copier, wait_until
from tests.faults.bed import Bed, Case
from tests.faults.compare import assert_nothing_half_published, chain_problems, count_rows, duplicates
from tests.faults.program import finish, run, start
from tests.faults.steps import FIRST, LAST, PARTITIONS, STEPS, Step
from tests.support.unwritable import unwritable

#: Steps that a run of any history comes to, and that are found by the path of the file.
AIMS = [step for step in STEPS.values() if step.path is not None or step.part]
#: The gap that is filled later: these partitions, by their number.
GAP = range(6, 10)
_PRUNED = 4
GAP_STATUS = 6


@dataclass(frozen=True)
class Scenario:
    """A history.

    Attributes:
        prepare: makes a copy whose next run is killed.
        settle: what happens after the kill, before the last run; gives problems.
        events: how many events there are in the end; None: one for each partition.
    """

    name: str
    prepare: Callable[[Bed], Copier]
    settle: Callable[[Copier], list[str]] = lambda _: []
    events: int | None = None


def _set_checkpoint(copy: Copier, last: int) -> None:
    """As an operator edits it."""
    path = copy.root / "state" / "checkpoint.json"
    document = json.loads(path.read_bytes())
    document["last_committed_ledger"] = last
    path.write_text(json.dumps(document))


def _done(copy: Copier, status: int = 0) -> None:
    ran = run(copy)
    assert ran.status == status, f"a run that nobody disturbs ends with {ran.status}: {ran.out}{ran.err}"


def _with_gap(bed: Bed) -> Copier:
    """The chain went on behind a gap; the checkpoint is set back, so that the next run fills it."""
    before, behind = PARTITIONS[GAP.start][0] - 1, PARTITIONS[GAP.stop][0] - 1
    copy = bed.copy(ledger_end=before)
    _done(copy)
    _set_checkpoint(copy, behind)
    copy.settings["era"]["ledger_end"] = LAST
    _done(copy, GAP_STATUS)
    _set_checkpoint(copy, before)
    return copy


def _pruned_gap(bed: Bed) -> Copier:
    """The same, and the oldest event files by links are removed."""
    copy = _with_gap(bed)
    for event in copy.events()[:_PRUNED]:
        part = event["partition"]
        (copy.root / "pas" / f"standalone_e1_v1_{part['ledger_start']}-{part['ledger_end']}.json").unlink()
    return copy


def _overwriting(bed: Bed) -> Copier:
    copy = bed.complete()
    copy.settings["era"]["allow_overwrite"] = True
    copy.settings["bronze"] = {"compression": "snappy"}
    return copy


def _half(bed: Bed) -> Copier:
    copy = bed.copy(ledger_end=PARTITIONS[9][1])
    _done(copy)
    copy.settings["era"]["ledger_end"] = LAST
    return copy


def _away(name: str, *, is_mount: bool) -> Callable[[Copier], list[str]]:
    """The directory is away: a run is refused and leaves nothing in its place.

    Args:
        is_mount: whether an empty directory is left, as where a volume is not mounted.
    """

    def settle(copy: Copier) -> list[str]:
        place, away = copy.root / name, copy.root / f"{name}-away"
        place.rename(away)
        if is_mount:
            place.mkdir()
        ran = run(copy)
        problems = [] if ran.status == 1 else [f"a run without {name} ends with {ran.status}: {ran.out}{ran.err}"]
        left = [path for path in place.rglob("*") if path.is_file() and "_temporary" not in path.parts]
        problems += [f"a run without {name} left {left}"] if left else []
        shutil.rmtree(place, ignore_errors=True)
        away.rename(place)
        return problems

    return settle


def _unwritable(name: str) -> Callable[[Copier], list[str]]:
    """In the middle of a run, and when the next one begins, nothing can be written there: both fail and say where."""

    def settle(copy: Copier) -> list[str]:
        place = copy.folder() if name == "data" else copy.root / name
        events = copy.root / "pas"

        def committed() -> int:
            return len(list(events.glob("standalone_*.json")))

        before = committed()
        going = start(copy)
        wait_until(
            lambda: going.poll() is not None or (place.is_dir() and committed() > before), f"a commit and {place}"
        )
        with unwritable(place):
            runs = [finish(going), run(copy)]
        assert_nothing_half_published(copy)
        is_complete = copy.committed() == PARTITIONS
        problems = []
        for ran in runs:
            says = ran.out + ran.err
            if ran.status == 0 and not is_complete:
                problems.append(f"a run that could not write to {place} ends with 0: {says}")
            if ran.status not in (0, 1, 2) or (ran.status and str(place) not in says) or "Traceback" in says:
                problems.append(f"a run ends with {ran.status} and does not say that {place} is unwritable: {says}")
        return problems

    return settle


def _state_lost(copy: Copier) -> list[str]:
    shutil.rmtree(copy.root / "state", ignore_errors=True)
    return []


SCENARIOS = {
    one.name: one
    for one in [
        Scenario("gap filled", _with_gap),
        Scenario("gap filled, events pruned", _pruned_gap, events=len(PARTITIONS) - _PRUNED),
        Scenario("overwriting", _overwriting, events=2 * len(PARTITIONS)),
        Scenario("events unmounted", _half, _away("pas", is_mount=True)),
        Scenario("data unmounted", _half, _away("data", is_mount=True)),
        Scenario("events lost", _half, _away("pas", is_mount=False)),
        Scenario("data lost", _half, _away("data", is_mount=False)),
        Scenario("state lost", _half, _state_lost),
        Scenario("data unwritable", lambda bed: bed.copy(), _unwritable("data")),
        Scenario("events unwritable", lambda bed: bed.copy(), _unwritable("pas")),
        Scenario("state unwritable", lambda bed: bed.copy(), _unwritable("state")),
    ]
}


def problems_of(copy: Copier, scenario: Scenario) -> list[str]:
    """What does not hold at the end of a scenario, a line each."""
    problems = [*chain_problems(copy)]
    try:
        events, parts = copy.events(), copy.partitions()
    except (AssertionError, ValueError, KeyError) as error:
        return [*problems, f"events cannot be read: {type(error).__name__}: {error}"]
    if parts != PARTITIONS:
        problems.append(f"published are {parts}")
    wanted = scenario.events if scenario.events is not None else len(PARTITIONS)
    if len(events) != wanted:
        problems.append(f"the chain has {len(events)} events, expected {wanted}")
    if copy.checkpoint() != LAST:
        problems.append(f"the checkpoint is at {copy.checkpoint()}, expected {LAST}")
    if copy.leftovers():
        problems.append(f"left over: {copy.leftovers()}")
    if count_rows(copy) != dict.fromkeys(range(FIRST, LAST + 1), 1):
        problems.append("the README's query does not count every ledger once")
    return problems


def play(bed: Bed, scenario: Scenario, step: Step, seed: str) -> Case:
    """Play a scenario with a kill at `step`."""
    done = Case(scenario.prepare(bed))
    copy, problems = done.copy, done.problems
    try:
        kill = bed.kill_at(copy, step, random.Random(seed))
        done.kills += [kill] if kill else []
        problems += duplicates(copy)
        problems += scenario.settle(copy)
        _done(copy)
        problems += problems_of(copy, scenario)
        ran = run(copy)
        if ran.status:
            problems.append(f"one more run ends with {ran.status}: {ran.out}{ran.err}")
    except (AssertionError, subprocess.TimeoutExpired) as error:
        problems.append(f"{scenario.name}: {type(error).__name__}: {error}")
    return done
