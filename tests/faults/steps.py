"""The named steps of a run, and the reader of a trace of its system calls.

A step is targeted in one of three ways:

- *by path*, where the call names a file whose name is known beforehand (such as a partition's parquet file): with
  ``-P PATH`` strace counts the calls on that file only, so the right one is always hit;
- *by part of a path*, where the call works on a temporary file with a random name, and other threads make more such
  calls than the one that comes to the step: a preloaded library counts the calls whose path holds that part;
- *by count*, where the call works on a temporary file with a random name or on a socket: strace counts the calls of
  each thread (``when=N``), and a traced run that is not killed (`likely_numbers`) shows which N is probably which step.
  The step that was hit is read from the trace of the killed run, never assumed.

Around a delivery the endpoint kills the run, because it knows when a request has arrived and when its event is stored.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bronze.storage.lock_file import lock_file_name
from tests.e2e.conftest import Copier

FIRST, LEDGERS, SIZE, WAVE = 8, 60, 3, 7
LAST = FIRST + LEDGERS - 1
PARTITIONS = [(start, start + SIZE - 1) for start in range(FIRST, LAST + 1, SIZE)]
CHAIN = "standalone/e1/v1"
#: System calls that are traced to find the step that a call belongs to.
TRACED = ("openat", "flock", "write", "fsync", "mkdir", "link", "linkat", "rename", "unlink", "unlinkat", "sendto")
#: The call before an fsync of a directory tells which step the fsync belongs to.
CONTEXT = ("link", "linkat", "rename", "mkdir")

Part = tuple[int, int]


@dataclass(frozen=True)
class Step:
    """A named step of a run.

    Attributes:
        calls: the system calls that perform it.
        path: the file that the call names, when that is known beforehand.
        part: what the path of the file holds, when a random name follows it.
        numbers: which of a thread's calls on that file it may be.
        commit: whether it belongs to the commit; targeted by count, everything is published beforehand.
        request: instead of a call, a request at the endpoint, ``before`` or ``after`` it stores the event.
        after: a step at which an earlier run is killed, because only a resumed run reaches this one.
    """

    name: str
    calls: tuple[str, ...]
    path: Callable[[Copier, Part], Path] | None = None
    numbers: Sequence[int] = (1,)
    commit: bool = False
    request: str = ""
    after: str = ""
    part: str = ""


def _folder(copy: Copier, part: Part) -> Path:
    return copy.parquet(part).parent


def _manifest(copy: Copier, part: Part) -> Path:
    return _folder(copy, part) / "_manifest.json"


def _event(copy: Copier, part: Part) -> Path:
    return copy.root / "pas" / f"standalone_e1_v1_{part[0]}-{part[1]}.json"


def _lock(store: Path, prefix: str) -> Path:
    """The lock file of a prefix of a store."""
    return store / "_temporary" / lock_file_name("prefix", prefix)


def _folder_lock(copy: Copier, part: Part) -> Path:
    data = copy.root / "data"
    return _lock(data, _folder(copy, part).relative_to(data).as_posix())


_LINK = ("link", "linkat")
_PARQUET, _MANIFEST = "/data/_temporary/part-", "/data/_temporary/_manifest.json."
_EACH = range(1, len(PARTITIONS) + 1)
STEPS = {
    step.name: step
    for step in [
        # One partition is encoded…
        Step(
            "parquet-lock", ("flock",), part=_PARQUET, numbers=_EACH
        ),  # the temporary file was created, and nobody holds it yet
        Step("encode-write", ("write",), part=_PARQUET, numbers=_EACH),
        Step("parquet-fsync", ("fsync",), part=_PARQUET, numbers=_EACH),
        # … and published.
        Step("folder-create", ("mkdir",), _folder),
        Step("folder-lock", ("flock",), _folder_lock),
        Step("parquet-link", _LINK, lambda copy, part: copy.parquet(part)),
        Step("parquet-dir-fsync", ("fsync",), _folder),
        Step("manifest-lock", ("flock",), part=_MANIFEST, numbers=_EACH),
        Step("manifest-write", ("write",), part=_MANIFEST, numbers=_EACH),
        Step("manifest-fsync", ("fsync",), part=_MANIFEST, numbers=_EACH),
        Step("manifest-link", _LINK, _manifest),
        Step("manifest-dir-fsync", ("fsync",), _folder, numbers=(2,)),
        Step("manifest-unlink", ("unlink",), part=_MANIFEST, numbers=_EACH),
        Step("parquet-unlink", ("unlink",), part=_PARQUET, numbers=_EACH),
        # A partition is committed.
        Step("chain-lock", ("flock",), lambda copy, _: _lock(copy.root / "pas", ""), numbers=range(1, 2 * WAVE, 2)),
        Step("event-lock", ("flock",), commit=True),
        Step("event-write", ("write",), commit=True),
        Step("event-fsync", ("fsync",), commit=True),
        Step("event-link", _LINK, _event),
        Step("event-dir-fsync", ("fsync",), commit=True),
        Step("event-unlink", ("unlink",), commit=True),
        # … and reported downstream.
        Step("catalog-send", ("sendto",), commit=True),
        Step("delivery-before", (), commit=True, request="before"),
        Step("delivery-after", (), commit=True, request="after"),
        Step("delivered-lock", ("flock",), commit=True),
        Step("delivered-fsync", ("fsync",), commit=True),
        Step("delivered-rename", ("rename",), commit=True),
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
        Step("clean-unlinkat", ("unlinkat",), after="parquet-fsync"),
    ]
}

_NOUNS = [
    (re.compile(r"/data/_temporary/part-"), "parquet"),
    (re.compile(r"/data/_temporary/_manifest\.json\."), "manifest"),
    (re.compile(r"/pas/_temporary/pas-chain-heads\.json\."), "head"),
    (re.compile(r"/pas/_temporary/pas-delivered\.json\."), "delivered"),
    (re.compile(r"/pas/_temporary/standalone_"), "event"),
    (re.compile(r"/state/_temporary/checkpoint"), "checkpoint"),
    (re.compile(r"/range=\d+-\d+/part-[^/]+\.parquet$"), "parquet"),
    (re.compile(r"/range=\d+-\d+/_manifest\.json$"), "manifest"),
    (re.compile(r"/range=\d+-\d+$"), "folder"),
    (re.compile(r"/pas/pas-chain-heads\.json$"), "head"),
    (re.compile(r"/pas/pas-delivered\.json$"), "delivered"),
    (re.compile(r"/pas/standalone_[^/]+\.json$"), "event"),
    (re.compile(r"/state/checkpoint\.json$"), "checkpoint"),
    (re.compile(r"/data/_temporary/prefix=[^/]*\.lock$"), "folder"),
    (re.compile(r"/pas/_temporary/prefix=\.lock$"), "chain"),
    (re.compile(r"/pas$"), "chain"),
    (re.compile(r"/state$"), "state"),
]
#: What the catalog is sent of a partition: its rows, and the end of their transaction.
_ROWS = re.compile(r"_meta_lineage|_meta_quality|COMMIT")
_LINE = re.compile(r"(?P<tid>\d+) +(?P<call>[a-z]\w*)\((?P<rest>.*)$")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"')
_HANDLE = re.compile(r"\d+<([^>]*?)(?:\(deleted\))?>")


def _noun(path: str) -> str:
    return next((noun for pattern, noun in _NOUNS if pattern.search(path)), "")


def _step_of(call: str, rest: str, before: str) -> str:
    """The step that a traced call belongs to; `before` is the step of the thread's last link, rename or mkdir."""
    if call == "sendto":
        return "catalog-send" if _ROWS.search(rest) else ""
    if call in ("link", "linkat", "rename"):
        noun = _noun(_QUOTED.findall(rest)[-1])
        return f"{noun}-{'rename' if call == 'rename' else 'link'}" if noun else ""
    if call == "unlinkat":  # of a name in an open directory
        folder, name = _HANDLE.match(rest), _QUOTED.search(rest)
        noun = _noun(f"{folder.group(1)}/{name.group(1)}") if folder and name else ""
        return f"{noun}-unlinkat" if noun else ""
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
        number: position among the calls of its kind in its thread, from 1.
    """

    tid: int
    kind: str
    number: int
    step: str
    text: str


def read_trace(trace: Path) -> list[Call]:
    """The calls of a trace in the order of their entry."""
    numbers: Counter[tuple[int, str]] = Counter()
    before: dict[int, str] = {}
    calls = []
    for line in trace.read_text(errors="replace").splitlines():
        found = _LINE.match(line)
        if found is None or found["call"] not in TRACED:
            continue
        tid, kind, rest = int(found["tid"]), found["call"], found["rest"]
        numbers[tid, kind] += 1
        step = _step_of(kind, rest, before.get(tid, ""))
        if kind in CONTEXT:
            before[tid] = step
        calls.append(Call(tid, kind, numbers[tid, kind], step, line))
    return calls


def likely_numbers(trace: Sequence[Call]) -> dict[tuple[str, str], list[int]]:
    """For a kind of call and a step: the counts at which the first thread to reach them is at this step."""
    first: dict[tuple[str, int], str] = {}
    for call in trace:
        first.setdefault((call.kind, call.number), call.step)
    found: dict[tuple[str, str], list[int]] = {}
    for (kind, number), step in first.items():
        if step:
            found.setdefault((kind, step), []).append(number)
    return found
