"""How far a run is: one state, from which metrics, health, live display and progress lines are all made.

It is told of every measurement of the run's workers (`bronze.measurements`), in whichever thread they are made.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from bronze import measurements as m
from bronze.metric_families import chain_of
from pipeline.telemetry.run_progress import Chain, ChainProgress, InFlight, RunProgress

#: Seconds over which the current rate is taken.
_RATE_WINDOW_S = 30.0
#: Seconds between two points of the rate.
_RATE_STEP_S = 1.0
#: Seconds of copying after which the rate tells how much time is left.
_RATE_SETTLED_S = 3.0
#: Partitions in a row that fail until the run is said to be failing.
_FAILING_AFTER = 3
#: What says that a system does not take what was committed, or takes it again.
_BEHIND = {m.EVENT_FAILED: "endpoint", m.METADATA_ERROR: "catalog"}
_UP_TO_DATE = {m.EVENT_DELIVERED: "endpoint", m.METADATA_RECORDED: "catalog"}
#: What a run does until its workers begin, in words.
_STARTING = "starting the workers"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state at one moment.

    Attributes:
        phase: what the run is doing, in words; empty while it copies.
        in_flight: in ledger order.
        ledgers, raw_bytes: read by this run, unfinished partitions included.
        ledgers_per_second, bytes_per_second: over the last half minute.
        rates: ledgers a second of each chain.
        eta_s: seconds until all is done at that rate; None when unknown, as in the first seconds of copying.
        idle_s: seconds since anything was read, published or committed, or since the lake had nothing new to copy.
        is_waiting: whether the run waits for the lake to grow.
        unreachable: stores that do not answer, and since when (Unix time); the run waits for them.
        behind: of ``endpoint`` and ``catalog`` those that do not take what is committed, and since when (Unix time).
        is_failing: whether the last partitions all failed, or one of these is `behind`.
    """

    phase: str
    chains: tuple[ChainProgress, ...]
    in_flight: tuple[InFlight, ...]
    ledgers: int
    raw_bytes: int
    ledgers_per_second: float
    bytes_per_second: float
    rates: dict[Chain, float]
    eta_s: float | None
    idle_s: float
    unreachable: tuple[tuple[str, float], ...]
    behind: tuple[tuple[str, float], ...]
    elapsed_s: float
    retries: int
    failures: int
    last_error: str
    is_failing: bool
    is_waiting: bool
    lake_latest: int | None

    @property
    def planned(self) -> int:
        """Partitions of the run."""
        return sum(chain.planned for chain in self.chains)

    @property
    def done(self) -> int:
        """Partitions whose outcome is known."""
        return sum(chain.done for chain in self.chains)


class _Rates:
    """Ledgers and bytes a second of each chain since copying began, over the last half minute at most."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, dict[Chain, tuple[int, int]]]] = deque()

    def begin(self, now: float, read: dict[Chain, tuple[int, int]]) -> None:
        """Copying begins, when `read` has been read."""
        self._points.clear()
        self._points.append((now, read))

    def are_settled(self, now: float) -> bool:
        """Whether they are taken over so long a time that they tell how it goes on."""
        return bool(self._points) and now - self._points[0][0] >= _RATE_SETTLED_S

    def at(self, now: float, read: dict[Chain, tuple[int, int]]) -> dict[Chain, tuple[float, float]]:
        """The rates when `read` has been read, ledgers and bytes in all."""
        points = self._points
        while len(points) > 1 and now - points[1][0] >= _RATE_WINDOW_S:
            points.popleft()
        before, earlier = points[0] if points else (now, {})
        span = max(now - before, 1e-3)
        rates = {}
        for chain, (ledgers, raw) in read.items():
            was = earlier.get(chain, (0, 0))
            rates[chain] = (max(0, ledgers - was[0]) / span, max(0, raw - was[1]) / span)
        if not points or now - points[-1][0] >= _RATE_STEP_S:
            points.append((now, read))
        return rates


@dataclass(slots=True)
class RunState:
    """The state of one run. For any number of threads.

    Attributes:
        clock, now: seconds, monotonic and Unix time.
        table: of the dataset, once a run is planned.
    """

    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time
    table: str = ""
    _phase: str = "planning"
    _is_waiting: bool = False
    _progress: RunProgress = field(default_factory=RunProgress)
    _unreachable: dict[str, float] = field(default_factory=dict)
    _behind: dict[str, float] = field(default_factory=dict)
    _rates: _Rates = field(default_factory=_Rates)
    _retries: int = 0
    _failures_in_a_row: int = 0
    _last_error: str = ""
    _lake_latest: int | None = None
    _started: float = 0.0
    _progress_at: float = 0.0
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._started = self._progress_at = self.clock()

    def plan(self, chains: Iterable[ChainProgress], *, table: str = "", lake_latest: int | None = None) -> None:
        """The run is planned, and begins."""
        with self._lock:
            self._progress.plan(chains)
            self.table, self._lake_latest, self._phase = table, lake_latest, ""
            self._copying_begins()

    def plan_more(self, chains: Iterable[ChainProgress]) -> None:
        """The run has planned further partitions of its chains, and copies them; what had failed is among them."""
        with self._lock:
            self._progress.plan_more(chains)
            self._phase, self._is_waiting = "", False
            self._copying_begins()

    def grow(self, chain: Chain, ledgers: int) -> None:
        """A partition is copied that was not planned."""
        with self._lock:
            self._progress.grow(chain, ledgers)

    def enter(self, phase: str) -> None:
        """The run does something else than copying now; empty: it copies."""
        with self._lock:
            self._phase, self._is_waiting = phase, False

    def keep_alive(self) -> None:
        """Workers that tell nothing here are known to be at work."""
        with self._lock:
            self._progress_at = self.clock()
            self._work_begins()

    def start_workers(self) -> None:
        """The workers are being started; the run copies from the first sign of one on."""
        self.enter(_STARTING)

    def _work_begins(self) -> None:
        if self._phase == _STARTING:
            self._phase = ""
            self._copying_begins()

    def _copying_begins(self) -> None:
        self._progress_at = self.clock()
        self._rates.begin(self._progress_at, self._progress.amounts_read())

    def wait_for(self, what: str, *, lake_latest: int | None) -> None:
        """The lake was looked at, and the run waits for `what`: not stalled as long as the lake answers."""
        with self._lock:
            self._phase, self._is_waiting, self._progress_at = f"waiting for {what}", True, self.clock()
            self._lake_latest = lake_latest

    def update_lake(self, latest: int) -> None:
        """The newest ledger of the lake is known, or has changed."""
        with self._lock:
            self._lake_latest = latest

    @property
    def is_planned(self) -> bool:
        """Whether the run has its plan and its locks."""
        return bool(self._progress.chains)

    def __call__(self, measurement: m.Measurement) -> None:
        """Take one measurement."""
        name, value, fields = measurement
        with self._lock:
            if name == m.RETRY:
                self._retries += 1
                return
            if name == m.STORE_UNREACHABLE:
                self._unreachable[str(fields["store"])] = value
                self._last_error = str(fields["error"])
                return
            if name == m.STORE_REACHABLE:
                self._unreachable.pop(str(fields["store"]), None)
                self._progress_at = self.clock()
                return
            if name in _BEHIND:
                self._behind.setdefault(_BEHIND[name], self.now())
                self._last_error = f"{fields['error_type']}: {fields['error']}"
                return
            if name in _UP_TO_DATE:
                self._behind.pop(_UP_TO_DATE[name], None)
                return
            chain = chain_of(fields)
            if name == m.LEDGER_ANCHORED and chain in self._progress.chains:
                self._progress.anchor(chain, int(value))
            elif chain in self._progress.chains and "ledger_start" in fields and self._take(measurement, chain):
                self._progress_at = self.clock()

    def _take(self, measurement: m.Measurement, chain: Chain) -> bool:
        """Take a measurement of one partition; return whether it shows progress."""
        name, value, fields = measurement
        progress, key = self._progress, (chain, fields["ledger_start"], fields["ledger_end"])
        if name == m.PARTITION_STARTED:
            self._work_begins()
            progress.start(*key, str(fields.get("worker", "")))
        elif name == m.LEDGER_READ:
            progress.read(*key, int(value), fields["raw_bytes"])
        elif name == m.PARTITION_STOPPED:
            progress.stop(*key)
        elif name == m.PARTITION_FAILED:
            self._failures_in_a_row += 1
            self._last_error = f"{fields['error_type']}: {fields['error']}"
            progress.fail(*key, is_published=fields["is_published"])
        elif name == m.PARTITION_DONE:
            self._failures_in_a_row = 0
            progress.finish(*key, fields)
        elif name == m.PARTITION_COMMITTED:
            progress.commit(*key, fields, self.now())
        else:
            return False
        return True

    def snapshot(self) -> Snapshot:
        """The state now."""
        with self._lock:
            now = self.clock()
            read = self._progress.amounts_read()
            rates = self._rates.at(now, read)
            chains, in_flight = self._progress.current(), self._progress.in_flight()
            rate = sum(ledgers for ledgers, _ in rates.values())
            left = sum(one.planned_ledgers - one.done_ledgers for one in chains) - sum(one.ledgers for one in in_flight)
            return Snapshot(
                phase=self._phase,
                chains=chains,
                in_flight=in_flight,
                ledgers=sum(ledgers for ledgers, _ in read.values()),
                raw_bytes=sum(raw for _, raw in read.values()),
                ledgers_per_second=rate,
                bytes_per_second=sum(raw for _, raw in rates.values()),
                rates={chain: ledgers for chain, (ledgers, _) in rates.items()},
                eta_s=max(0, left) / rate if rate > 0 and self._rates.are_settled(now) else None,
                idle_s=now - self._progress_at,
                unreachable=tuple(sorted(self._unreachable.items())),
                behind=tuple(sorted(self._behind.items())),
                elapsed_s=now - self._started,
                retries=self._retries,
                failures=sum(one.failed for one in chains),
                last_error=self._last_error,
                is_failing=self._failures_in_a_row >= _FAILING_AFTER or bool(self._behind),
                is_waiting=self._is_waiting,
                lake_latest=self._lake_latest,
            )
