"""Kills the program at named steps, lets it go on, and compares with a run that nobody disturbed.

How a kill is placed. strace runs the real command line and injects SIGKILL on entry to a system call, before it takes
effect; the program has no hook for it. A step is aimed at in one of two ways:

- *by path*, where the call names a file whose name is known beforehand (the link to a partition's parquet file, say):
  with ``-P PATH`` strace counts the calls on that file only, and the one that is meant is hit for certain;
- *by count*, where it works on a temporary file, whose name is random: strace counts the calls of each thread
  (``when=N``), and a traced run that is not killed (`Bed.traces`) tells which N is most likely which step. What was
  really hit is read from the trace of the killed run, never assumed.

The steps of a commit are aimed at by count in a run that starts with every partition published and no event yet, as a
kill before the first commit leaves it: else the encoding threads come to the same count first.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from bronze.audit import audit_era
from pipeline.prepare import prepare
from pipeline.sample import write_sample_lake
from pipeline.settings import load
from tests.e2e.conftest import PATIENCE, REPOSITORY, Copier, Ran, new_copier, small, wait_until

FIRST, LEDGERS, SIZE, WAVE = 8, 60, 3, 7
LAST = FIRST + LEDGERS - 1
PARTITIONS = [(start, start + SIZE - 1) for start in range(FIRST, LAST + 1, SIZE)]
CHAIN = "standalone/e1/v1"
#: Calls that are traced to tell which step a call belongs to.
_TRACED = ("openat", "flock", "write", "fsync", "mkdir", "link", "linkat", "rename", "unlink")
#: What names the call before an fsync of a directory, which says whose fsync it is.
_CONTEXT = ("link", "linkat", "rename", "mkdir")

Part = tuple[int, int]
#: Compares what lies outside the directories; complaints, none when both are as they should be.
Hook = Callable[[Copier, Copier], Iterable[str]]


# ------------------------------------------------------------------------------------------- the named steps


@dataclass(frozen=True)
class Step:
    """A named step of a run.

    Attributes:
        calls: the system calls by which it happens.
        path: the file that is named by the call, when that is known beforehand.
        numbers: which of a thread's calls on that file it may be.
        commit: whether it belongs to the commit: then, aimed at by count, all is published beforehand.
        after: a step at which a run is killed before, because only a resumed run comes to this one.
    """

    name: str
    calls: tuple[str, ...]
    path: Callable[[Copier, Part], Path] | None = None
    numbers: Sequence[int] = (1,)
    commit: bool = False
    after: str = ""


def _folder(copy: Copier, part: Part) -> Path:
    return copy.parquet(part).parent


def _manifest(copy: Copier, part: Part) -> Path:
    return _folder(copy, part) / "_manifest.json"


def _event(copy: Copier, part: Part) -> Path:
    return copy.root / "pas" / f"standalone_e1_v1_{part[0]}-{part[1]}.json"


_LINK = ("link", "linkat")
STEPS = {
    step.name: step
    for step in [
        # One partition is encoded…
        Step("parquet-lock", ("flock",)),  # the temporary file was created, and nobody holds it yet
        Step("encode-write", ("write",)),
        Step("parquet-fsync", ("fsync",)),
        # … and published.
        Step("folder-create", ("mkdir",), _folder),
        Step("folder-lock", ("flock",), _folder),
        Step("parquet-link", _LINK, lambda copy, part: copy.parquet(part)),
        Step("parquet-dir-fsync", ("fsync",), _folder),
        Step("manifest-lock", ("flock",)),
        Step("manifest-write", ("write",)),
        Step("manifest-fsync", ("fsync",)),
        Step("manifest-link", _LINK, _manifest),
        Step("manifest-dir-fsync", ("fsync",), _folder, numbers=(2,)),
        Step("manifest-unlink", ("unlink",)),
        Step("parquet-unlink", ("unlink",)),
        # A partition is committed.
        Step("chain-lock", ("flock",), lambda copy, _: copy.root / "pas", numbers=range(1, 2 * WAVE, 2)),
        Step("event-lock", ("flock",), commit=True),
        Step("event-write", ("write",), commit=True),
        Step("event-fsync", ("fsync",), commit=True),
        Step("event-link", _LINK, _event),
        Step("event-dir-fsync", ("fsync",), commit=True),
        Step("event-unlink", ("unlink",), commit=True),
        Step("head-lock", ("flock",), commit=True),
        Step("head-write", ("write",), commit=True),
        Step("head-fsync", ("fsync",), commit=True),
        Step("head-rename", ("rename",), commit=True),
        Step("head-dir-fsync", ("fsync",), commit=True),
        Step("checkpoint-lock", ("flock",), commit=True),
        Step("checkpoint-write", ("write",), commit=True),
        Step("checkpoint-fsync", ("fsync",), commit=True),
        Step("checkpoint-rename", ("rename",), commit=True),
        Step("checkpoint-dir-fsync", ("fsync",), commit=True),
        # A resumed run removes what a killed one left.
        Step("clean-unlink", ("unlink",), after="parquet-fsync"),
    ]
}

_NOUNS = [
    (re.compile(r"/data/_temporary/part-"), "parquet"),
    (re.compile(r"/data/_temporary/_manifest\.json\."), "manifest"),
    (re.compile(r"/pas/_temporary/pas-chain-heads\.json\."), "head"),
    (re.compile(r"/pas/_temporary/standalone_"), "event"),
    (re.compile(r"/state/_temporary/checkpoint"), "checkpoint"),
    (re.compile(r"/range=\d+-\d+/part-[^/]+\.parquet$"), "parquet"),
    (re.compile(r"/range=\d+-\d+/_manifest\.json$"), "manifest"),
    (re.compile(r"/range=\d+-\d+$"), "folder"),
    (re.compile(r"/pas/pas-chain-heads\.json$"), "head"),
    (re.compile(r"/pas/standalone_[^/]+\.json$"), "event"),
    (re.compile(r"/state/checkpoint\.json$"), "checkpoint"),
    (re.compile(r"/pas$"), "chain"),
    (re.compile(r"/state$"), "state"),
]
_LINE = re.compile(r"(?P<tid>\d+) +(?P<call>[a-z]\w*)\((?P<rest>.*)$")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_HANDLE = re.compile(r"\d+<([^>]*?)(?:\(deleted\))?>")


def _noun(path: str) -> str:
    return next((noun for pattern, noun in _NOUNS if pattern.search(path)), "")


def _step_of(call: str, rest: str, before: str) -> str:
    """The step that a traced call belongs to; `before` is the step of the thread's last link, rename or mkdir."""
    if call in ("link", "linkat", "rename"):
        noun = _noun(_QUOTED.findall(rest)[-1])
        return f"{noun}-{'rename' if call == 'rename' else 'link'}" if noun else ""
    if call in ("write", "fsync", "flock"):
        found = _HANDLE.match(rest)
        path = found.group(1) if found else ""
    else:
        found = _QUOTED.search(rest)
        path = found.group(1) if found else ""
    noun, temporary = _noun(path), "/_temporary/" in path
    if call == "write":
        return "" if not noun else "encode-write" if noun == "parquet" else f"{noun}-write"
    if call == "fsync" and not temporary:
        return f"{before.rpartition('-')[0]}-dir-fsync" if noun and before.endswith(("link", "rename")) else ""
    if call == "flock":
        unlocks = "LOCK_UN" in rest
        return f"{noun}-lock" if noun and not unlocks else ""
    if call == "openat":
        return f"{noun}-create" if noun and "O_CREAT" in rest else ""
    verb = {"fsync": "fsync", "unlink": "unlink", "mkdir": "create"}[call]
    return f"{noun}-{verb}" if noun else ""


@dataclass(frozen=True)
class Call:
    """A system call of a traced run.

    Attributes:
        number: the how many-th call of its kind in its thread, from 1.
    """

    tid: int
    kind: str
    number: int
    step: str
    text: str


def read_trace(trace: Path) -> list[Call]:
    """The calls of a trace in the order in which they were entered."""
    numbers: Counter[tuple[int, str]] = Counter()
    before: dict[int, str] = {}
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found is None or found["call"] not in _TRACED:
            continue
        tid, kind, rest = int(found["tid"]), found["call"], found["rest"]
        numbers[tid, kind] += 1
        step = _step_of(kind, rest, before.get(tid, ""))
        if kind in _CONTEXT:
            before[tid] = step
        calls.append(Call(tid, kind, numbers[tid, kind], step, line))
    return calls


def likely_numbers(trace: Sequence[Call]) -> dict[tuple[str, str], list[int]]:
    """For a kind of call and a step: the counts at which the first thread to come so far is at this step."""
    first: dict[tuple[str, int], str] = {}
    for call in trace:
        first.setdefault((call.kind, call.number), call.step)
    found: dict[tuple[str, str], list[int]] = {}
    for (kind, number), step in first.items():
        if step:
            found.setdefault((kind, step), []).append(number)
    return found


# ---------------------------------------------------------------------------------------- running the program


def environment(copy: Copier) -> dict[str, str]:
    """The environment of the program: nothing configures it, and its temporary directory is its own."""
    folder = copy.root / "tmp"
    folder.mkdir(exist_ok=True)
    kept = {"PATH", "HOME", "LANG", "LD_LIBRARY_PATH", "VIRTUAL_ENV"}
    return {
        **{name: value for name, value in os.environ.items() if name in kept},
        "PYTHONPATH": str(REPOSITORY),
        "TMPDIR": str(folder),
    }


def start(copy: Copier, command: str = "run", *, under: Sequence[str] = ()) -> subprocess.Popen[str]:
    """Start the real command line, `under` strace or prlimit when told; in a process group of its own."""
    return subprocess.Popen(
        [*under, sys.executable, "-m", "pipeline.main", command, "--config", str(copy.config)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=copy.root,
        env=environment(copy),
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> Ran:
    """Wait for it; all of its group is ended when that takes too long."""
    try:
        out, err = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        raise
    return Ran(process.returncode, out, err)


def run(copy: Copier, command: str = "run", *, under: Sequence[str] = ()) -> Ran:
    """Run the real command line to its end."""
    return finish(start(copy, command, under=under))


def strace(trace: Path | str, *options: str, calls: Sequence[str] = _TRACED) -> list[str]:
    """The command line of strace.

    Not with ``--seccomp-bpf``, which is quicker: strace 6.1 then delivers no signal that it injects.
    """
    chosen = ["-e", f"trace={','.join(calls)}", "-e", "signal=none", *options]
    return ["strace", "-f", "-qq", "-y", "-s", "200", "-o", str(trace), *chosen]


def fail_calls(copy: Copier, calls: str, error: str, *, path: Path | None = None, when: str = "") -> list[str]:
    """The command line of strace that makes `calls` fail with `error`, on `path` only when it is given."""
    fault = f"inject={calls}:error={error}" + (f":when={when}" if when else "")
    where = ["-P", str(path)] if path else []
    return strace(copy.root / "trace", *where, "-e", fault, calls=[calls])


# --------------------------------------------------------------------------------------------------- the bed


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
    """A lake, a copy of it that nobody disturbed, and copies to be disturbed; all below `root`."""

    root: Path
    lake: Path = field(init=False)
    undisturbed: Copier = field(init=False)
    traces: dict[bool, dict[tuple[str, str], list[int]]] = field(init=False)
    _made: int = 0

    def __post_init__(self) -> None:
        self.lake = self.root / "lake"
        write_sample_lake(self.lake, small(first=FIRST, ledgers=LEDGERS, ledgers_per_file=4))
        self.undisturbed, self.traces = self.copy("undisturbed"), {}
        for commit in (False, True):
            copy = self.published("committed") if commit else self.undisturbed
            trace = copy.root / "trace"
            ran = run(copy, under=strace(trace))
            assert ran.status == 0, f"a run that nobody disturbs fails: {ran}"
            self.traces[commit] = likely_numbers(read_trace(trace))

    def copy(self, name: str = "", **keys: Any) -> Copier:
        """A copier of the lake with an empty destination."""
        self._made += 1
        chosen = {"ledger_start": FIRST, "ledger_end": LAST, "partition_size": SIZE, **keys}
        settings = {"perf": {"workers": 2, "wave_partitions": WAVE, "retry_backoff_ms": 1}}
        return new_copier(self.root / (name or f"copy{self._made}"), self.lake, settings=settings, **chosen)

    def published(self, name: str = "") -> Copier:
        """A copier whose partitions are all published, none of them committed."""
        copy = self.copy(name)
        shutil.copytree(self.undisturbed.root / "data", copy.root / "data")
        return copy

    def complete(self, name: str = "") -> Copier:
        """A copier that is done: what the undisturbed one left, in a place of its own."""
        copy = self.published(name)
        for part in ("pas", "state"):
            shutil.copytree(self.undisturbed.root / part, copy.root / part)
        return copy

    def kill_at(self, copy: Copier, step: Step, chance: random.Random) -> Kill | None:
        """Run `copy` until it comes to `step` (or, by count, close to it) and is killed; None if it ran to its end."""
        trace = copy.root / "trace"
        if step.path is not None:
            path = step.path(copy, chance.choice(PARTITIONS))
            number = chance.choice(step.numbers)
            options = ["-P", str(path), "-e", f"inject={','.join(step.calls)}:signal=SIGKILL:when={number}"]
            ran = run(copy, under=strace(trace, *options, calls=step.calls))
        else:
            kind = step.calls[0]
            number = 1
            if not step.after:
                numbers = self.traces[step.commit].get((kind, step.name))
                assert numbers, f"no run comes to the step {step.name}"
                # How the encoding threads share the later partitions differs from run to run.
                number = chance.choice(numbers if step.commit else numbers[: max(4, len(numbers) // 3)])
            calls = sorted({kind, *_CONTEXT})
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

    def case(self, step: Step, seed: str, *, twice: bool = False) -> Case:
        """Kill a run at `step` (`twice`: and the one that resumes it, anywhere), resume, compare."""
        chance = random.Random(seed)
        by_count = step.path is None
        copy = self.published() if step.commit and by_count else self.copy()
        done = Case(copy)
        aims = [STEPS[step.after], step] if step.after else [step]
        if twice:
            aims.append(chance.choice([other for other in STEPS.values() if not other.after]))
        try:
            for aim in aims:
                kill = self.kill_at(copy, aim, chance)
                if kill is not None:
                    done.kills.append(kill)
            ran = run(copy)
            done.complaints += (
                [] if ran.status == 0 else [f"the resumed run ends with {ran.status}: {ran.out}{ran.err}"]
            )
            done.complaints += differences(copy, self.undisturbed)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            done.complaints.append(f"{type(error).__name__}: {error}")
        return done

    def race(self, seed: str) -> Race:
        """Start two copiers of one range, the second at once or when the first has come some way; compare."""
        chance = random.Random(seed)
        copy = self.copy()
        done = Race(copy)
        first = start(copy)
        begun = chance.choice([0, 0, 1, 4, 8])
        try:
            wait_until(lambda: len(copy.partitions()) >= begun or first.poll() is not None, f"{begun} partitions")
            second = start(copy)
            done.ran = [finish(first), finish(second)]
            for ran in done.ran:
                if ran.status not in (0, 1):
                    done.complaints.append(f"a copier ends with {ran.status}: {ran.err}")
                if "Traceback" in ran.err or (ran.status and not (ran.err.strip() or ran.lines("failed"))):
                    done.complaints.append(f"a copier that ends with {ran.status} does not say what happened: {ran}")
            if any(ran.status for ran in done.ran):
                again = run(copy)
                if again.status:
                    done.complaints.append(f"the run that follows ends with {again.status}: {again}")
            done.complaints += differences(copy, self.undisturbed)
        except (AssertionError, subprocess.TimeoutExpired) as error:
            done.complaints.append(f"{type(error).__name__}: {error}")
        return done


@dataclass
class Race:
    """Two copiers of one range, how they ended, and what is wrong with the result."""

    copy: Copier
    ran: list[Ran] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @property
    def ended(self) -> str:
        """Both exit statuses, and the first line of what a failing one says."""
        told = [line for ran in self.ran if ran.status for line in [*ran.lines("failed"), *ran.err.splitlines()]]
        return " ".join([*(str(ran.status) for ran in self.ran), *told[:1]])

    def check(self) -> None:
        """Fail, saying how both ended; else remove the copy."""
        assert not self.complaints, f"{self.copy.root}: {self.ended}\n" + "\n".join(self.complaints)
        shutil.rmtree(self.copy.root)


@dataclass
class Case:
    """A copy that was disturbed and resumed, the kills that fell, and what is wrong with the result."""

    copy: Copier
    kills: list[Kill] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def hit(self, step: Step) -> bool:
        """Whether one of the kills fell on `step`."""
        return any(kill.step == step.name for kill in self.kills)

    def check(self) -> None:
        """Fail, saying where it was killed and what came of it; else remove the copy."""
        killed = "\n".join(f"  {kill.step or 'elsewhere'}: {kill.call}" for kill in self.kills)
        assert not self.complaints, f"{self.copy.root} was killed at\n{killed}\nand then:\n" + "\n".join(
            self.complaints
        )
        shutil.rmtree(self.copy.root)


# ------------------------------------------------------------------------------------------------- comparing


def differences(
    copy: Copier, undisturbed: Copier, *, catalog: Hook | None = None, endpoint: Hook | None = None
) -> list[str]:
    """What tells `copy` from a run that nobody disturbed; one line each, none when nothing does.

    Args:
        catalog, endpoint: compare what the two wrote elsewhere.
    """
    return [
        *_files(copy, undisturbed),
        *_stories(copy, undisturbed),
        *_state(copy),
        *_audit(copy),
        *(catalog(copy, undisturbed) if catalog else ()),
        *(endpoint(copy, undisturbed) if endpoint else ()),
    ]


def check_same(copy: Copier, undisturbed: Copier, *, catalog: Hook | None = None, endpoint: Hook | None = None) -> None:
    """Fail with every one of the `differences`."""
    found = differences(copy, undisturbed, catalog=catalog, endpoint=endpoint)
    assert not found, f"{copy.root} is not as an undisturbed run leaves it:\n" + "\n".join(found)


#: Python tries whether it can write to the temporary directory; killed right there, its four bytes stay.
_PYTHONS_OWN = re.compile(r"tmp/[a-z0-9_]{8}")


def _left(copy: Copier) -> dict[str, Path]:
    """Everything that lies in the program's directories, its temporary one included; directories by a slash."""
    found = {
        f"{path.relative_to(copy.root)}{'/' if path.is_dir() else ''}": path
        for part in ("data", "pas", "state", "tmp")
        for path in sorted((copy.root / part).rglob("*"))
    }
    return {name: path for name, path in found.items() if not _PYTHONS_OWN.fullmatch(name)}


def _files(copy: Copier, undisturbed: Copier) -> Iterator[str]:
    ours, theirs = _left(copy), _left(undisturbed)
    yield from (f"missing: {name}" for name in theirs.keys() - ours.keys())
    yield from (f"left over: {name}" for name in ours.keys() - theirs.keys())
    for name in sorted(ours.keys() & theirs.keys()):
        if name.endswith(".parquet") and ours[name].read_bytes() != theirs[name].read_bytes():
            yield f"other bytes: {name}"


def _stories(copy: Copier, undisturbed: Copier) -> Iterator[str]:
    ours, theirs = copy.story(), undisturbed.story()
    for name in sorted(ours.keys() & theirs.keys()):
        if ours[name] != theirs[name]:
            yield f"{name} says {ours[name]}, undisturbed {theirs[name]}"


def _state(copy: Copier) -> Iterator[str]:
    """One event for each partition, linked in ledger order; heads and checkpoint at the last of them."""
    try:
        events, parts, manifests = copy.events(), copy.partitions(), copy.manifests()
    except (AssertionError, ValueError, KeyError) as error:
        yield f"events and manifests cannot be read: {type(error).__name__}: {error}"
        return
    spans = [(event["partition"]["ledger_start"], event["partition"]["ledger_end"]) for event in events]
    if spans != parts:
        yield f"the chain holds {spans}, published is {parts}"
    files = len(list((copy.root / "pas").glob("standalone_*.json")))
    if files != len(events):
        yield f"{files} event files, {len(events)} of them in the chain"
    for span, event in zip(spans, events, strict=True):
        tables = manifests[span]["tables"] if span in manifests else {}
        for table, stated in event["tables"].items():
            if stated["checksum"] != tables.get(table, {}).get("checksum"):
                yield f"the event of {span} says {stated['checksum']}, its manifest {tables.get(table)}"
    if not events:
        return
    head = events[-1]["chain"]["event_hash"]
    if copy.heads != {CHAIN: head}:
        yield f"the chain heads are {copy.heads}, the last event is {head}"
    path = copy.root / "state" / "checkpoint.json"
    document = json.loads(path.read_bytes()) if path.exists() else {}
    (start, end), table = spans[-1], next(iter(events[-1]["tables"].values()))
    expected = {"start": start, "end": end, "checksum": table["checksum"]}
    if document.get("last_committed_ledger") != end or document.get("last_committed_partition") != expected:
        yield f"the checkpoint is {document}, expected it at {expected}"


def _audit(copy: Copier) -> Iterator[str]:
    try:
        prepared = prepare(load(copy.config))
        for plan in prepared.plans:
            audit = audit_era(prepared.job, plan.era)
            yield from (f"audit: {problem}" for problem in audit.problems)
            yield from (f"audit: gap {gap}" for gap in audit.gaps)
    except Exception as error:
        yield f"audit: {type(error).__name__}: {error}"


def publishes_nothing_half(copy: Copier) -> None:
    """After any end: each manifest's parquet file has its checksum, each event is of a published partition."""
    manifests = copy.manifests()
    for part, manifest in manifests.items():
        for stated in manifest["tables"].values():
            checksum = "sha256:" + sha256(copy.parquet(part).read_bytes()).hexdigest()
            assert stated["checksum"] == checksum, (
                f"{copy.parquet(part)}: manifest {stated['checksum']}, has {checksum}"
            )
    committed = copy.committed()
    assert set(committed) <= set(manifests), f"events without a partition: {set(committed) - set(manifests)}"
    assert len(committed) == len(set(committed)), f"a partition has two events: {committed}"
