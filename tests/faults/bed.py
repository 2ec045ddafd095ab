"""A test bed: a lake, an undisturbed copy of it, and copies that are killed or raced and then compared with it.

Steps of a commit that are targeted by count start from a copy with every partition published and no event, as a kill
before the first commit leaves it; otherwise the encoding threads would reach the same count first.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipeline.sample import write_sample_lake
from tests.e2e.conftest import TIMEOUT_S, Copier, new_copier, small
from tests.faults.compare import differences, duplicates
from tests.faults.downstream_servers import DownstreamServers
from tests.faults.program import finish, run, start, strace
from tests.faults.steps import (
    CONTEXT,
    FIRST,
    LAST,
    LEDGERS,
    PARTITIONS,
    SIZE,
    STEPS,
    WAVE,
    Step,
    likely_numbers,
    read_trace,
)
from tests.support.failing_calls import build, preloaded


@dataclass(frozen=True)
class Kill:
    """A run that was killed.

    Attributes:
        step: the step that it was killed at; empty when that is none of `STEPS`.
        call: the call that did not take effect.
    """

    step: str
    call: str


@dataclass
class Bed:
    """A lake, an undisturbed copy of it, and copies to be disturbed; all below `root`.

    Attributes:
        servers: the catalog and the endpoint that the copies report to.
    """

    root: Path
    servers: DownstreamServers
    lake: Path = field(init=False)
    undisturbed: Copier = field(init=False)
    traces: dict[bool, dict[tuple[str, str], list[int]]] = field(init=False)
    library: Path | None = None
    _made: int = 0

    def __post_init__(self) -> None:
        self.lake = self.root / "lake"
        write_sample_lake(self.lake, small(first=FIRST, ledgers=LEDGERS, ledgers_per_file=4))
        self.undisturbed, self.traces = self.copy("undisturbed", downstream=True), {}
        for commit in (False, True):
            copy = self.published("committed", downstream=True) if commit else self.undisturbed
            trace = copy.root / "trace"
            ran = run(copy, under=strace(trace))
            assert ran.status == 0, f"a run that nobody disturbs fails: {ran}"
            self.traces[commit] = likely_numbers(read_trace(trace))

    def copy(self, name: str = "", *, downstream: bool = False, strict: bool = True, **keys: Any) -> Copier:
        """A copier of the lake with an empty destination.

        Args:
            downstream: whether it has a catalog and an endpoint, and whether both are `strict`.
            keys: of its era.
        """
        self._made += 1
        name = name or f"copy{self._made}"
        chosen = {"ledger_start": FIRST, "ledger_end": LAST, "partition_size": SIZE, **keys}
        settings = {"perf": {"workers": 2, "wave_partitions": WAVE, "retry_backoff_ms": 1}}
        copy = new_copier(self.root / name, self.lake, settings=settings, **chosen)
        if downstream:
            self.servers.join(copy.settings, name, strict=strict)
        return copy

    def published(self, name: str = "", *, downstream: bool = False) -> Copier:
        """A copier whose partitions are all published, none of them committed."""
        copy = self.copy(name, downstream=downstream)
        shutil.copytree(self.undisturbed.root / "data", copy.root / "data")
        return copy

    def complete(self, name: str = "") -> Copier:
        """A finished copier: a copy of the undisturbed one's output."""
        copy = self.published(name)
        for part in ("pas", "state"):
            shutil.copytree(self.undisturbed.root / part, copy.root / part)
        return copy

    def differences(self, copy: Copier) -> list[str]:
        """What differs between `copy` and an undisturbed run, a line each; empty when they are equal."""
        return differences(copy, self.undisturbed, self.servers)

    def check(self, copy: Copier) -> None:
        """Fail with every one of the `differences`."""
        found = self.differences(copy)
        assert not found, f"{copy.root} is not as an undisturbed run leaves it:\n" + "\n".join(found)

    def kill_at(self, copy: Copier, step: Step, rng: random.Random) -> Kill | None:
        """Run `copy` until it comes to `step` (or, by count, close to it) and is killed; None if it ran to its end."""
        if step.request:
            return self._kill_at_request(copy, step, rng.randrange(len(PARTITIONS)))
        trace = copy.root / "trace"
        if step.part:
            return self._kill_at_part(copy, step, rng.choice(step.numbers))
        if step.path is not None:
            path = step.path(copy, rng.choice(PARTITIONS))
            number = rng.choice(step.numbers)
            options = ["-P", str(path), "-e", f"inject={','.join(step.calls)}:signal=SIGKILL:when={number}"]
            ran = run(copy, under=strace(trace, *options, calls=step.calls))
        else:
            kind = step.calls[0]
            number = 1
            if not step.after:
                numbers = self.traces[step.commit].get((kind, step.name))
                assert numbers, f"no run comes to the step {step.name}"
                # How the encoding threads share the later partitions differs from run to run.
                number = rng.choice(numbers if step.commit else numbers[: max(4, len(numbers) // 3)])
            calls = sorted({kind, *CONTEXT})
            ran = run(copy, under=strace(trace, "-e", f"inject={kind}:signal=SIGKILL:when={number}", calls=calls))
        if ran.status == 0:
            return None
        assert ran.status in (-signal.SIGKILL, 128 + signal.SIGKILL), f"the run failed before it was killed: {ran}"
        calls_made = read_trace(trace)
        if step.path is not None:
            return Kill(step.name, calls_made[-1].text if calls_made else "")
        hit = next((call for call in calls_made if call.kind == kind and call.number == number), None)
        assert hit is not None, f"killed, but not at {kind} {number}: {trace.read_text()[-2000:]}"
        name = f"clean-{kind}" if step.after and hit.step else hit.step
        return Kill(name if name in STEPS else "", hit.text)

    def _kill_at_part(self, copy: Copier, step: Step, number: int) -> Kill | None:
        if self.library is None:
            self.library = build(self.root)
        log = copy.root / "killed"
        log.unlink(missing_ok=True)
        chosen = {"KILL_CALL": step.calls[0], "KILL_PATH": step.part, "KILL_NUMBER": number, "KILL_LOG": str(log)}
        ran = run(copy, **preloaded(self.library, **chosen))
        if ran.status == 0:
            return None
        assert ran.status == -signal.SIGKILL, f"the run failed before it was killed: {ran}"
        assert log.exists(), f"killed, but not at {step.calls[0]} {number} on {step.part}"
        return Kill(step.name, f"{step.calls[0]}({log.read_text()})")

    def _kill_at_request(self, copy: Copier, step: Step, number: int) -> Kill | None:
        ready = threading.Event()

        def kill(found: int, when: str) -> None:
            if (found, when) == (number, step.request):
                ready.wait(TIMEOUT_S)
                os.killpg(process.pid, signal.SIGKILL)

        path = "/" + copy.root.name
        self.servers.endpoint.watchers[path] = kill
        process = start(copy)
        ready.set()
        ran = finish(process)
        del self.servers.endpoint.watchers[path]
        return None if ran.status == 0 else Kill(step.name, f"request {number} at {path}")

    def case(self, step: Step, seed: str, *, twice: bool = False) -> Case:
        """Kill a run at `step` (`twice`: and the one that resumes it, anywhere), resume, compare."""
        rng = random.Random(seed)
        by_count = step.path is None and not step.part
        copy = self.published(downstream=True) if step.commit and by_count else self.copy(downstream=True)
        done = Case(copy)
        aims = [STEPS[step.after], step] if step.after else [step]
        if twice:
            aims.append(rng.choice([other for other in STEPS.values() if not other.after]))
        try:
            for aim in aims:
                kill = self.kill_at(copy, aim, rng)
                if kill is not None:
                    done.kills.append(kill)
                done.problems += duplicates(copy)
            ran = run(copy)
            done.problems += [] if ran.status == 0 else [f"the resumed run ends with {ran.status}: {ran.out}{ran.err}"]
            done.problems += self.differences(copy)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            done.problems.append(f"{type(error).__name__}: {error}")
        return done


@dataclass
class Case:
    """A copy that was killed and resumed, the kills, and the problems of the result."""

    copy: Copier
    kills: list[Kill] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def hit(self, step: Step) -> bool:
        """Whether one of the kills fell on `step`."""
        return any(kill.step == step.name for kill in self.kills)

    def check(self) -> None:
        """Fail with the kills and the problems; without problems remove the copy."""
        killed = "\n".join(f"  {kill.step or 'elsewhere'}: {kill.call}" for kill in self.kills)
        assert not self.problems, f"{self.copy.root} was killed at\n{killed}\nand then:\n" + "\n".join(self.problems)
        shutil.rmtree(self.copy.root)
