"""The full campaign: ``python -m tests.faults.campaign --kills 300 --races 100``; about 25 minutes on two cores.

Kills the program at every named step in turn until so many kills have fallen, each resumed and compared with an
undisturbed run; every third in another history (`tests.faults.scenarios`). Then it races copiers
(`tests.faults.races`). Prints tables of the steps, of the histories and of the races; exit status 1 when anything does
not hold, when a step was hit fewer than `--each` times, when a history had no kill, or when fewer kills fell than were
asked for. After each kill and at each end the README's query counts no ledger twice, in the end every ledger once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.settings.load import VARIABLES
from tests.faults.bed import Bed, Case
from tests.faults.downstream_servers import downstream_servers
from tests.faults.races import KINDS, race, remove
from tests.faults.scenarios import AIMS, SCENARIOS, play
from tests.faults.steps import STEPS

#: At most so many cases for each requested kill: a run that is targeted by count may end unharmed.
_BOUND = 3
#: In every so many cases the resuming run is killed as well.
_TWICE = 4
#: Every so many cases play a scenario.
_SCENARIO = 3


@dataclass
class Tally:
    """The kills and problems so far."""

    kills: Counter[str] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    histories: Counter[str] = field(default_factory=Counter)
    killed_histories: Counter[str] = field(default_factory=Counter)
    cases: int = 0
    problems: list[str] = field(default_factory=list)

    def add(self, name: str, case: Case) -> None:
        """Count the kills of a case; remove a copy without problems."""
        self.cases += 1
        steps = [kill.step or "elsewhere" for kill in case.kills]
        self.kills.update(steps)
        if name in SCENARIOS:
            self.histories[name] += 1
            self.killed_histories[name] += len(case.kills)
        if case.problems:
            self.bad.update(steps or [name])
            killed = "; ".join(f"{kill.step or 'elsewhere'}: {kill.call[:160]}" for kill in case.kills)
            self.problems.append(f"{case.copy.root}: {killed}\n    " + "\n    ".join(case.problems))
        else:
            shutil.rmtree(case.copy.root, ignore_errors=True)

    def wanted(self, each: int) -> list[str]:
        """The steps that were hit fewer than `each` times."""
        return [name for name in STEPS if self.kills[name] < each]


def _kills(bed: Bed, kills: int, each: int, seed: str, jobs: int) -> Tally:
    tally, begun = Tally(), time.monotonic()
    bound = _BOUND * max(kills, each * len(STEPS))

    def names() -> Iterator[str]:
        """Steps with too few kills first, then all in turn."""
        while tally.kills.total() < kills or tally.wanted(each):
            yield from tally.wanted(each) or STEPS

    with ThreadPoolExecutor(jobs) as pool:
        going: dict[Future[Case], str] = {}
        turn, started = names(), 0
        while True:
            while len(going) < jobs and started < bound and (name := next(turn, None)):
                case_seed = f"{seed} {name} {started}"
                if started % _SCENARIO == _SCENARIO - 1:  # a history of its own, at a step that every history comes to
                    scenario = list(SCENARIOS.values())[started // _SCENARIO % len(SCENARIOS)]
                    aim = STEPS[name] if STEPS[name] in AIMS else AIMS[started % len(AIMS)]
                    future = pool.submit(play, bed, scenario, aim, case_seed)
                    name = scenario.name
                else:
                    twice = started % _TWICE == _TWICE - 1
                    future = pool.submit(bed.case, STEPS[name], case_seed, twice=twice)
                going[future] = name
                started += 1
            if not going:
                return tally
            for future in wait(going, return_when=FIRST_COMPLETED).done:
                tally.add(going.pop(future), future.result())
                if tally.cases % 10 == 0:
                    each_s = (time.monotonic() - begun) / tally.cases
                    text = f"  {tally.kills.total()} of {kills} kills in {tally.cases} cases, {each_s:.1f} s a case"
                    print(text, file=sys.stderr, flush=True)


def _races(bed: Bed, races: int, seed: str) -> tuple[Counter[str], list[str]]:
    ends: Counter[str] = Counter()
    problems = []
    for number in range(races):
        kind = list(KINDS.values())[number % len(KINDS)]
        raced = race(bed, kind, f"{seed} race {number}")
        ends[f"{kind.name}: {raced.ended}"] += 1
        if raced.problems:
            problems.append(f"{raced.copy.root}: {kind.name}: {raced.ended}\n    " + "\n    ".join(raced.problems))
        else:
            remove(raced)
        if number % 10 == 9:
            print(f"  {number + 1} of {races} races", file=sys.stderr, flush=True)
    return ends, problems


def main() -> int:
    """Run the campaign; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.campaign", description=__doc__)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--each", type=int, default=5, help="kills at each named step, at least")
    parser.add_argument("--races", type=int, default=100)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    for name in (*VARIABLES, "CONFIG_FILE"):
        os.environ.pop(name, None)
    folder = Path(tempfile.mkdtemp(prefix="bronze-faults-"))
    started = time.monotonic()
    with downstream_servers() as servers:
        bed = Bed(folder, servers)
        each = options.each if options.kills else 0
        tally = _kills(bed, options.kills, each, options.seed, options.jobs)
        kill_seconds = time.monotonic() - started
        ends, race_problems = _races(bed, options.races, options.seed)

    print(f"{'step':24} {'kills':>5}  verdict")
    for name in [*STEPS, "elsewhere"]:
        verdict = "DOES NOT HOLD" if tally.bad[name] else "holds" if tally.kills[name] else "-"
        print(f"{name:24} {tally.kills[name]:>5}  {verdict}")
    print(f"{'all':24} {tally.kills.total():>5}  {len(tally.problems)} of {tally.cases} cases do not hold")
    for name in SCENARIOS:
        print(f"history: {name:30} {tally.histories[name]:>3} cases, {tally.killed_histories[name]:>3} kills")
    for name in KINDS:
        print(f"race of: {name:30} {sum(n for end, n in ends.items() if end.startswith(f'{name}: ')):>3}")
    for end, count in sorted(ends.items()):
        print(f"race: {end:70} {count:>3}")
    print(f"races: {ends.total()}, {len(race_problems)} do not hold")
    print(f"time: {kill_seconds:.0f} s kills, {time.monotonic() - started - kill_seconds:.0f} s races")
    problems = [*tally.problems, *race_problems]
    short = [] if tally.kills.total() >= options.kills else [f"only {tally.kills.total()} kills fell"]
    short += [f"{name} was hit {tally.kills[name]} times, expected {each}" for name in tally.wanted(each)]
    if options.kills:
        short += [f"the history {name!r} had no kill" for name in SCENARIOS if not tally.killed_histories[name]]
    for problem in [*problems, *short]:
        print(problem)
    if problems:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if problems or short else 0


if __name__ == "__main__":
    sys.exit(main())
