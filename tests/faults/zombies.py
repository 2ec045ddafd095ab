"""A worker that is stopped (SIGSTOP) in the middle of its work, while another one does the same; then it goes on.

That is what a distributed runner does with a worker that it takes for lost: the bundle is given to another one, and the
lost one may come back. The zombie is a real process with the stages of the graph (`tests.faults.stage_worker`); it is
stopped before or after a chosen effect, on disks by a preloaded library, on S3 by a proxy that holds its request back.
The successor is the whole program. What the zombie does then must change nothing at all.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bronze.storage.opening import open_store
from tests.e2e.conftest import Copier, RunResult, tree, wait_until
from tests.e2e.conftest import finish as finish_within
from tests.e2e.test_object_stores import Cloud
from tests.faults.bed import Bed
from tests.faults.program import finish, run, start
from tests.faults.races import Change, rival_of, same
from tests.faults.steps import PARTITIONS
from tests.support.failing_calls import build, preloaded
from tests.support.fault_proxy import Fault, FaultProxy, Kind
from tests.support.s3_server import S3Server, environment

#: A successor may take so long, in seconds: some wait half a minute for a zombie.
LIMIT_S = 150.0
#: The partition that the zombie is stopped at: three are before it in the chain.
NUMBER = 4
FIRST, LAST = PARTITIONS[NUMBER - 1]
_PART = f"{FIRST}-{LAST}"
_TABLES = ("_meta_datasets", "_meta_lineage", "_meta_quality", "_meta_changes")


@dataclass(frozen=True)
class Moment:
    """Where a zombie is stopped.

    Attributes:
        there: what there is of the partition then: of ``file``, ``manifest``, ``event``, ``row``, ``head`` and
            ``checkpoint``.
        call, text, number, after: on disks and towards the catalog, see `tests.support.failing_calls`.
        request, skip: on S3, a pattern of "METHOD path", and how many of them pass before; the request is held back,
            or, `after` it took effect, its answer.
        holds_lock: whether it holds a lock meanwhile that the successor waits for.
    """

    name: str
    there: str
    call: str = ""
    text: str = ""
    number: int = 1
    after: bool = False
    request: str = ""
    skip: int = 0
    holds_lock: bool = False


_EVENT = f"/pas/standalone_e1_v1_{_PART}.json"
_FILE, _MANIFEST = f"/part-{_PART}.parquet", f"/range={_PART}/_manifest.json"
_PUBLISHED, _RECORDED = "file manifest", "file manifest event row"
DISK_MOMENTS = {
    one.name: one
    for one in [
        Moment("before the file", "", call="link", text=_FILE, holds_lock=True),
        Moment("before the manifest", "file", call="link", text=_MANIFEST, holds_lock=True),
        Moment("before the event", _PUBLISHED, call="link", text=_EVENT, holds_lock=True),
        Moment("with the event made", f"{_PUBLISHED} event", call="link", text=_EVENT, after=True, holds_lock=True),
        Moment(
            "between event and row", f"{_PUBLISHED} event",
            call="unlink", text="/pas/_temporary/prefix=.lock", number=2 * NUMBER - 1, after=True,
        ),
        Moment(
            # Its locks of rows end when the server ends a transaction that does nothing for 30 s.
            "in the row's transaction", f"{_PUBLISHED} event",
            call="send", text="INSERT INTO _meta_lineage", number=NUMBER, after=True,
        ),
        Moment("between row and delivery", _RECORDED, call="send", text="POST /", number=NUMBER),
        Moment("between delivery and head", _RECORDED, call="rename", text="/pas/pas-delivered.json", number=NUMBER,
               after=True, holds_lock=True),
        Moment("before the head", _RECORDED, call="rename", text="/pas/pas-chain-heads.json", number=NUMBER,
               holds_lock=True),
        Moment("between head and checkpoint", f"{_RECORDED} head", call="rename", text="/pas/pas-chain-heads.json",
               number=NUMBER, after=True, holds_lock=True),
        Moment("before the checkpoint", f"{_RECORDED} head", call="rename", text="/state/checkpoint.json",
               number=NUMBER, holds_lock=True),
    ]
}  # fmt: skip
S3_MOMENTS = {
    one.name: one
    for one in [
        Moment("before the file", "", request=f"PUT .*{_FILE}"),
        Moment("before the manifest", "file", request=f"PUT .*{_MANIFEST}"),
        Moment("after the manifest", _PUBLISHED, request=f"PUT .*{_MANIFEST}", after=True),
        Moment("before the claim", _PUBLISHED, request="PUT .*/pas/_links/", skip=NUMBER - 1),
        Moment("between claim and event", _PUBLISHED, request="PUT .*/pas/_links/", skip=NUMBER - 1, after=True),
        Moment("before the event", _PUBLISHED, request=f"PUT .*{_EVENT}"),
        Moment("between event and row", f"{_PUBLISHED} event", request=f"PUT .*{_EVENT}", after=True),
        Moment("between row and delivery", _RECORDED, call="send", text="POST /", number=NUMBER),
        Moment("before the head", _RECORDED, request="PUT .*/pas/pas-chain-heads.json", skip=NUMBER - 1),
        Moment("between head and checkpoint", f"{_RECORDED} head", request="PUT .*/pas/pas-chain-heads.json",
               skip=NUMBER - 1, after=True),
        Moment("before the checkpoint", f"{_RECORDED} head", request="PUT .*/state/checkpoint.json", skip=NUMBER - 1),
    ]
}  # fmt: skip


@dataclass
class Haunted:
    """A copy that a zombie and its successor worked on.

    Attributes:
        zombie, successor: how they ended.
        problems: what is not as it has to be, a line each.
    """

    copy: Copier
    zombie: RunResult | None = None
    successor: RunResult | None = None
    problems: list[str] = field(default_factory=list)


class Place:
    """Where the copies of a bed are written: directories, or a bucket of an S3 server that a zombie reaches by a proxy.

    Args:
        server: None: directories.
    """

    def __init__(self, bed: Bed, server: S3Server | None = None) -> None:
        self.bed = bed
        self.server = server

    def haunt(self, moment: Moment, *, is_launcher: bool = False) -> Haunted:
        """Stop a zombie at `moment`, let a successor do all, let the zombie go on, and compare.

        Args:
            is_launcher: the zombie is the whole program, with the locks of a run; the successor is refused then.
        """
        copy = self.bed.copy(downstream=True)
        done = Haunted(copy)
        with ExitStack() as stack:
            cloud = None if self.server is None else Cloud("s3", self.server.new_bucket(), self.server.url)
            if cloud is not None:
                cloud.write_to(copy)
            module = "pipeline.main" if is_launcher else "tests.faults.stage_worker"
            zombie = _Zombie(self, copy, cloud, moment, stack, module)
            try:
                zombie.wait()
                there = self._there(copy, cloud)
                if there != moment.there.split():
                    done.problems.append(f"stopped with {there}, expected {moment.there}")
                if is_launcher:
                    done.successor = finish(start(copy, **(environment() if cloud else {})))
                    done.zombie = zombie.go_on()
                    self._fetch(copy, cloud)
                    done.problems += self.bed.differences(copy)
                else:
                    self._compare(moment, zombie, cloud, done)
            except (AssertionError, subprocess.TimeoutExpired) as error:
                done.problems.append(f"{type(error).__name__}: {error}")
            finally:
                zombie.end()
        return done

    def _compare(self, moment: Moment, zombie: _Zombie, cloud: Cloud | None, done: Haunted) -> None:
        copy, variables = done.copy, environment() if cloud else {}
        successor = start(copy, **variables)
        if moment.holds_lock:
            assert successor.stderr is not None
            waiting = next((line for line in successor.stderr if "waiting up to" in line), "")
            if f"process {zombie.pid} " not in waiting:
                done.problems.append(f"the successor does not say who it waits for: {waiting}")
            done.zombie = zombie.go_on()
        done.successor = finish_within(successor, LIMIT_S)
        after = self._everything(copy, cloud)
        if not moment.holds_lock:
            done.zombie = zombie.go_on()
        assert done.zombie is not None
        for who, ran in (("successor", done.successor), ("zombie", done.zombie)):
            if ran.status or "Traceback" in ran.err:
                done.problems.append(f"the {who} ends with {ran}")
        changed = self._everything(copy, cloud)
        done.problems += [
            f"the zombie changed {name}: {after.get(name)!r} became {changed.get(name)!r}"
            for name in sorted(after.keys() | changed.keys())
            if after.get(name) != changed.get(name)
        ]
        again = run(copy, **variables)
        if again.lines("partitions") != ["0 written, 0 skipped, 0 failed"]:
            done.problems.append(f"the run that follows still has something to do: {again}")
        self._fetch(copy, cloud)
        done.problems += self.bed.differences(copy)

    def _there(self, copy: Copier, cloud: Cloud | None) -> list[str]:
        """What there is of the partition."""
        self._fetch(copy, cloud)
        found = {
            "file": copy.parquet((FIRST, LAST)).exists(),
            "manifest": (FIRST, LAST) in copy.partitions(),
            "event": (FIRST, LAST) in copy.committed(),
            "row": any(row[0] == FIRST for row in self._rows(copy, "_meta_lineage", "ledger_start")),
            "head": (FIRST, LAST) in copy.committed()
            and copy.heads.get("standalone/e1/v1") == copy.events()[NUMBER - 1]["chain"]["event_hash"],
            "checkpoint": copy.checkpoint() >= LAST,
        }
        return [name for name, is_there in found.items() if is_there]

    def _everything(self, copy: Copier, cloud: Cloud | None) -> dict[str, Any]:
        """Every object and every row, but for what is temporary."""
        self._fetch(copy, cloud)
        found: dict[str, Any] = {
            f"{part}/{name}": data
            for part in ("data", "pas", "state")
            for name, data in tree(copy.root / part).items()
            if "_temporary/" not in name
        }
        if cloud is not None:
            store = open_store(cloud.location())
            found |= {key: store.read(key) for key in cloud.objects("pas/_links")}
        for table in _TABLES:
            found[table] = self._rows(copy, table)
        return found

    def _rows(self, copy: Copier, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        database = copy.settings["catalog"]["postgres_dsn"].rpartition("/")[2]
        postgres = self.bed.servers.postgres
        if not postgres.execute("SELECT to_regclass(%s)", database, (table,))[0][0]:
            return []
        return postgres.execute(f"SELECT {columns} FROM {table} ORDER BY id", database)

    @staticmethod
    def _fetch(copy: Copier, cloud: Cloud | None) -> None:
        if cloud is not None:
            for part in ("data", "pas", "state"):
                shutil.rmtree(copy.root / part, ignore_errors=True)
            cloud.fetch(copy)


class _Zombie:
    """The process that is stopped.

    Args:
        stack: what it needs is closed with it.
        module: what is run.
    """

    def __init__(
        self, place: Place, copy: Copier, cloud: Cloud | None, moment: Moment, stack: ExitStack, module: str
    ) -> None:
        self._fault: Fault | None = None
        variables: dict[str, str] = {}
        change: Change = same
        self._log = copy.root / "stopped"
        if cloud is not None:
            assert place.server is not None
            proxy = stack.enter_context(FaultProxy(place.server.port))
            variables |= environment()
            through = Cloud("s3", cloud.bucket, proxy.url)
            change = through.write_to
            if moment.request:
                kind: Kind = "hold-answer" if moment.after else "hold"
                self._fault = Fault(kind, moment.request, skip=moment.skip)
                proxy.faults.append(self._fault)
        if moment.call:
            if place.bed.library is None:
                place.bed.library = build(place.bed.root)
            chosen = {
                "STOP_CALL": moment.call,
                "STOP_TEXT": moment.text,
                "STOP_NUMBER": moment.number,
                "STOP_LOG": self._log,
            }
            after = {"STOP_AFTER": 1} if moment.after else {}
            variables |= preloaded(place.bed.library, **{key: str(value) for key, value in (chosen | after).items()})
        zombie = rival_of(copy, change, "zombie")
        zombie.settings["perf"] = {**zombie.settings["perf"], "workers": 1}
        self._process = start(zombie, module=module, **variables)

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait(self) -> None:
        """Wait until it is stopped."""
        reached: Callable[[], bool] = self._log.exists if self._fault is None else self._fault.is_held.is_set
        wait_until(lambda: reached() or self._process.poll() is not None, "the zombie's moment", every_s=0.02)
        assert self._process.poll() is None, f"it ended before its moment: {finish(self._process)}"
        if self._fault is not None:
            self._process.send_signal(signal.SIGSTOP)
        wait_until(self._is_stopped, "its stop")

    def _is_stopped(self) -> bool:
        return Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

    def go_on(self) -> RunResult:
        """Let it go on to its end."""
        self._release()
        return finish(self._process)

    def _release(self) -> None:
        if self._fault is not None:
            self._fault.is_released.set()
        os.kill(self.pid, signal.SIGCONT)

    def end(self) -> None:
        """End it, whatever it does."""
        if self._process.poll() is None:
            self._release()
            self._process.kill()
            self._process.communicate()
