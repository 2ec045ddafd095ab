"""Several copiers at once: of one range, of different ends, partition sizes and eras, and one that corrects.

With the locks of whole runs all but one are refused, whatever they want. Without them (`without_run_lock`, and in
buckets, where there are none) the commits alone keep one chain. Copiers with different partition sizes may then publish
the same ledgers twice: neither sees the other's partition in time. Nothing of that gets into the chain twice, one of
them and every run that follows says so, and what they say ends it.
"""

from __future__ import annotations

import itertools
import random
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.e2e.conftest import Copier, RunResult, wait_until
from tests.faults.bed import Bed
from tests.faults.compare import chain_problems, count_rows, duplicates
from tests.faults.program import finish, run, start
from tests.faults.steps import FIRST, LAST, LEDGERS, PARTITIONS

Change = Callable[[Copier], None]


@dataclass(frozen=True)
class Kind:
    """What several copiers race for.

    Attributes:
        others: changes the settings of each copier but the first.
        prepare: makes what is there before.
        locks: whether the locks of whole runs hold.
        is_like_undisturbed: whether the result is that of an undisturbed run.
        mixes_sizes: whether their partition sizes differ.
    """

    name: str
    others: tuple[Change, ...] = (lambda _: None,)
    prepare: Callable[[Bed], Copier] = lambda bed: bed.copy()
    locks: bool = True
    is_like_undisturbed: bool = True
    mixes_sizes: bool = False


def same(_: Copier) -> None:
    """The copier wants what the first one wants."""


def earlier_end(copy: Copier) -> None:
    """The copier ends earlier."""
    copy.settings["era"]["ledger_end"] = PARTITIONS[12][1]


def size(ledgers: int) -> Change:
    """The copier has another partition size."""

    def change(copy: Copier) -> None:
        copy.settings["era"]["partition_size"] = ledgers

    return change


def other_era(copy: Copier) -> None:
    """The copier copies the same ledgers into another era."""
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
        Kind("four of the same range, no locks", (same, same, same), locks=False),
        Kind("different ends", (earlier_end,)),
        Kind("different ends, no locks", (earlier_end,), locks=False),
        Kind("different sizes", (size(5),), mixes_sizes=True),
        Kind("two sizes, no locks", (size(5),), locks=False, mixes_sizes=True),
        Kind("four sizes, no locks", (size(2), size(5), size(7)), locks=False, mixes_sizes=True),
        Kind("different eras", (other_era,)),
        Kind("different eras, no locks", (other_era,), locks=False),
        Kind("correction", (_correction,), _half, is_like_undisturbed=False),
        Kind("correction, no locks", (_correction,), _half, locks=False, is_like_undisturbed=False),
    ]
}


@dataclass
class Raced:
    """The first of the copiers, how all of them ended, and the problems of the result."""

    copy: Copier
    ran: list[RunResult] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ended(self) -> str:
        """The exit statuses, and the first line of a failing one's message."""
        told = [line for ran in self.ran if ran.status for line in [*ran.lines("failed"), *ran.err.splitlines()]]
        return " ".join([*(str(ran.status) for ran in self.ran), *(line.split(":")[0] for line in told[:1])])


@dataclass
class Rival(Copier):
    """A copier with a configuration of its own beside that of the first."""

    name: str = "rival"

    @property
    def config(self) -> Path:
        path = self.root / f"{self.name}.yaml"
        path.write_text(yaml.safe_dump(self.settings))
        return path


def rival_of(copy: Copier, change: Change, name: str) -> Rival:
    """A rival of `copy` in the same place, its settings changed."""
    rival = Rival(copy.root, copy.lake, {key: dict(value) for key, value in copy.settings.items()}, name)
    change(rival)
    return rival


def race(bed: Bed, kind: Kind, seed: str) -> Raced:
    """Start the copiers, all but the first at once or after some partitions of the first; compare what they leave."""
    rng = random.Random(seed)
    copy = kind.prepare(bed)
    done = Raced(copy)
    rivals = [rival_of(copy, change, f"rival{number}") for number, change in enumerate(kind.others)]
    module = "pipeline.main" if kind.locks else "tests.faults.without_run_lock"
    before = len(copy.partitions())
    begun = rng.choice([0, 0, 1, 4, 8])
    try:
        processes = [start(copy, module=module)]
        wait_until(
            lambda: len(copy.partitions()) >= before + begun or processes[0].poll() is not None, f"{begun} partitions"
        )
        processes += [start(rival, module=module) for rival in rivals]
        done.ran = [finish(process) for process in processes]
        done.problems += [problem for ran in done.ran for problem in untold(ran)]
        if kind.mixes_sizes and not kind.locks:
            done.problems += settle_sizes(
                copy,
                [ran.status for ran in done.ran],
                lambda: run(copy),
                lambda part: shutil.rmtree(copy.parquet(part).parent),
            )
        done.problems += duplicates(copy)
        if any(ran.status for ran in done.ran):
            for one in [copy] if kind.mixes_sizes else [copy, *rivals]:
                again = run(one)
                if again.status:
                    done.problems.append(f"the run that follows ends with {again.status}: {again}")
        done.problems += _problems(bed, kind, copy, rivals)
    except (AssertionError, subprocess.TimeoutExpired) as error:
        done.problems.append(f"{type(error).__name__}: {error}")
    return done


def untold(ran: RunResult) -> list[str]:
    """What a copier that lost a race does not tell as it should, a line each."""
    problems = []
    if ran.status not in (0, 1, 4):
        problems.append(f"a copier ends with {ran.status}: {ran.err}")
    told = ran.err.strip() or ran.lines("failed") or ran.lines("missing")
    if "Traceback" in ran.err or (ran.status and not told):
        problems.append(f"a copier that ends with {ran.status} does not say what happened: {ran}")
    return problems


def settle_sizes(
    copy: Copier,
    statuses: list[int],
    follow: Callable[[], RunResult],
    remove_partition: Callable[[tuple[int, int]], object],
) -> list[str]:
    """Do with ledgers that are published twice what the runs say, and check that they say it.

    Args:
        copy: what lies in its directories was published.
        statuses: of the copiers that raced.
        follow: a run that follows.
        remove_partition: removes the directory of a partition.
    """
    committed = sorted(copy.committed())
    problems = [
        f"the events of {one} and {other} overlap" for one, other in itertools.pairwise(committed) if other[0] <= one[1]
    ]
    if not duplicates(copy):
        return problems
    if not any(statuses):
        problems.append("ledgers are published twice, and every copier ends with 0")
    again = follow()
    if again.status != 1 or not any(word in again.err + again.out for word in ("overlaps", "holds ledgers of")):
        problems.append(f"ledgers are published twice, and the run that follows does not say so: {again}")
    for part in superfluous_partitions(copy):
        remove_partition(part)
    return problems


def superfluous_partitions(copy: Copier) -> list[tuple[int, int]]:
    """The partitions that have no event and hold ledgers of others."""
    committed = set(copy.committed())
    kept: list[tuple[int, int]] = []
    gone = []
    for part in sorted(copy.partitions(), key=lambda part: (part not in committed, part)):
        (gone if any(part[0] <= end and start <= part[1] for start, end in kept) else kept).append(part)
    return gone


def _problems(bed: Bed, kind: Kind, copy: Copier, rivals: list[Rival]) -> list[str]:
    problems = [*chain_problems(copy), *duplicates(copy)]
    if kind.others[0] is other_era:
        problems += chain_problems(rivals[0])
        ledgers = sorted(copy.ledgers("e2"))
        if ledgers != list(range(FIRST, LAST + 1)):
            problems.append(f"the second era holds {len(ledgers)} ledgers, expected {LEDGERS}")
        return problems
    if count_rows(copy) != dict.fromkeys(range(FIRST, LAST + 1), 1):
        problems.append(f"the README's query does not count every ledger once; published are {copy.partitions()}")
    if kind.is_like_undisturbed and sorted(copy.committed()) != copy.partitions():
        problems.append(f"committed are {copy.committed()}, published {copy.partitions()}")
    if kind.is_like_undisturbed and not kind.mixes_sizes:
        problems += bed.differences(copy)
    return problems


def remove(raced: Raced) -> None:
    """Remove what a race left."""
    shutil.rmtree(raced.copy.root, ignore_errors=True)
