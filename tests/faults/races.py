"""Two copiers at once: of one range, of different ends, partition sizes and eras, and one that corrects what is there.

With the locks of whole runs the second one is refused, whatever it wants. Without them (`without_run_lock`) the commits
alone keep one chain: there, only what two machines on one store may do without publishing the same ledgers twice.
"""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.e2e.conftest import Copier, RunResult, wait_until
from tests.faults.bed import Bed
from tests.faults.compare import chain_problems, duplicates
from tests.faults.program import finish, run, start
from tests.faults.steps import FIRST, LAST, LEDGERS, PARTITIONS


@dataclass(frozen=True)
class Kind:
    """What two copiers race for.

    Attributes:
        second: changes the settings of the second copier.
        prepare: makes what is there before.
        locks: whether the locks of whole runs hold.
        is_like_undisturbed: whether the result is that of an undisturbed run.
    """

    name: str
    second: Callable[[Copier], None] = lambda _: None
    prepare: Callable[[Bed], Copier] = lambda bed: bed.copy()
    locks: bool = True
    is_like_undisturbed: bool = True


def _earlier_end(copy: Copier) -> None:
    copy.settings["era"]["ledger_end"] = PARTITIONS[12][1]


def _other_size(copy: Copier) -> None:
    copy.settings["era"]["partition_size"] = 5


def _other_era(copy: Copier) -> None:
    copy.settings["era"]["era_id"] = "e2"
    copy.settings["checkpoint"]["dir"] = str(copy.root / "state2")


def _correction(copy: Copier) -> None:
    copy.settings["era"].update({"allow_overwrite": True, "ledger_end": PARTITIONS[9][1]})
    copy.settings["bronze"] = {"compression": "snappy"}


def _half(bed: Bed) -> Copier:
    copy = bed.copy(ledger_end=PARTITIONS[9][1])
    assert run(copy).status == 0
    copy.settings["era"]["ledger_end"] = LAST
    return copy


KINDS = {
    one.name: one
    for one in [
        Kind("same range"),
        Kind("same range, no locks", locks=False),
        Kind("different ends", _earlier_end),
        Kind("different ends, no locks", _earlier_end, locks=False),
        Kind("different sizes", _other_size),
        Kind("different eras", _other_era),
        Kind("different eras, no locks", _other_era, locks=False),
        Kind("correction", _correction, _half, is_like_undisturbed=False),
        Kind("correction, no locks", _correction, _half, locks=False, is_like_undisturbed=False),
    ]
}


@dataclass
class Raced:
    """The two copiers, how they ended, and the problems of the result."""

    copy: Copier
    ran: list[RunResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ended(self) -> str:
        """Both exit statuses, and the first line of a failing one's message."""
        told = [line for ran in self.ran if ran.status for line in [*ran.lines("failed"), *ran.err.splitlines()]]
        return " ".join([*(str(ran.status) for ran in self.ran), *(line.split(":")[0] for line in told[:1])])


class _Second(Copier):
    """A copier with a configuration of its own beside that of the first."""

    @property
    def config(self) -> Path:
        path = self.root / "second.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        return path


def race(bed: Bed, kind: Kind, seed: str) -> Raced:
    """Start two copiers, the second at once or after some partitions of the first; compare what they leave."""
    rng = random.Random(seed)
    copy = kind.prepare(bed)
    done = Raced(copy)
    other = _Second(copy.root, copy.lake, {key: dict(value) for key, value in copy.settings.items()})
    kind.second(other)
    module = "pipeline.main" if kind.locks else "tests.faults.without_run_lock"
    before = len(copy.partitions())
    begun = rng.choice([0, 0, 1, 4, 8])
    try:
        first = start(copy, module=module)
        wait_until(lambda: len(copy.partitions()) >= before + begun or first.poll() is not None, f"{begun} partitions")
        second = start(other, module=module)
        done.ran = [finish(first), finish(second)]
        for ran in done.ran:
            if ran.status not in (0, 1, 4):
                done.problems.append(f"a copier ends with {ran.status}: {ran.err}")
            if "Traceback" in ran.err or (
                ran.status and not (ran.err.strip() or ran.lines("failed") or ran.lines("missing"))
            ):
                done.problems.append(f"a copier that ends with {ran.status} does not say what happened: {ran}")
        done.problems += duplicates(copy)
        if any(ran.status for ran in done.ran):
            for one in (copy, other) if kind.second is not _other_size else (copy,):
                again = run(one)
                if again.status and not (kind.second is _other_size and "overlap" in again.err + again.out):
                    done.problems.append(f"the run that follows ends with {again.status}: {again}")
        done.problems += _problems(bed, kind, copy, other)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        done.problems.append(f"{type(error).__name__}: {error}")
    return done


def _problems(bed: Bed, kind: Kind, copy: Copier, other: Copier) -> list[str]:
    problems = [*chain_problems(copy), *duplicates(copy)]
    if kind.second is _other_era:
        problems += chain_problems(other)
        ledgers = sorted(copy.ledgers("e2"))
        if ledgers != list(range(FIRST, LAST + 1)):
            problems.append(f"the second era holds {len(ledgers)} ledgers, expected {LEDGERS}")
        return problems
    if sorted(copy.ledgers()) != list(range(FIRST, LAST + 1)):
        problems.append(f"published are {copy.partitions()}")
    if kind.is_like_undisturbed and kind.second is not _other_size:
        problems += bed.differences(copy)
    return problems


def remove(raced: Raced) -> None:
    """Remove what a race left."""
    shutil.rmtree(raced.copy.root, ignore_errors=True)
