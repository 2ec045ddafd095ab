"""How far a run is: one state, from which metrics, health, live display and progress lines are all made.

It is told of every measurement of the run's workers (`bronze.measurements`), in whichever thread they are made.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from bronze import measurements as m
from bronze.metric_families import chain_of

#: Seconds over which the current rate is taken.
_RATE_WINDOW_S = 30.0
#: Seconds between two points of the rate.
_RATE_STEP_S = 1.0
#: Partitions in a row that fail until the run is said to be failing.
_FAILING_AFTER = 3

Chain = tuple[str, str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainProgress:
    """How far one chain is.

    Attributes:
        chain: network, era id and version label.
        planned, planned_ledgers: partitions of the run, and their ledgers.
        done, done_ledgers: those whose outcome is known, failed ones included; stopped ones not.
        failed: partitions that failed, or that their chain refused.
        begun: partitions that a worker has begun.
        waiting: published partitions that wait for their commit.
        committed: the last committed ledger; 0 when nothing is.
        committed_at: Unix time of the last commit; None when unknown.
        attested: the last attested ledger; None when none is, or nobody's attestation is asked for.
        anchored: the last ledger that enough history archives have confirmed; None when none is, or none is asked.
    """

    chain: Chain
    planned: int = 0
    planned_ledgers: int = 0
    done: int = 0
    done_ledgers: int = 0
    failed: int = 0
    begun: int = 0
    waiting: int = 0
    committed: int = 0
    committed_at: float | None = None
    attested: int | None = None
    anchored: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """A partition that a worker is copying.

    Attributes:
        ledger: last ledger that was read; the one before the first when none was.
        ledgers, raw_bytes: read so far.
    """

    chain: Chain
    start: int
    end: int
    worker: str
    ledger: int
    ledgers: int = 0
    raw_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The state at one moment.

    Attributes:
        phase: what the run is doing, in words; empty while it copies.
        in_flight: in ledger order.
        ledgers, raw_bytes: read by this run, unfinished partitions included.
        ledgers_per_second, bytes_per_second: over the last half minute.
        rates: ledgers a second of each chain.
        eta_s: seconds until all is done at that rate; None when unknown.
        idle_s: seconds since anything was read, published or committed, or since the lake had nothing new to copy.
        is_waiting: whether the run waits for the lake to grow.
        is_failing: whether the last partitions all failed.
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
    _chains: dict[Chain, ChainProgress] = field(default_factory=dict)
    _in_flight: dict[tuple[Chain, int, int], InFlight] = field(default_factory=dict)
    _waiting: set[tuple[Chain, int, int]] = field(default_factory=set)
    _ended: dict[Chain, tuple[int, int]] = field(default_factory=dict)
    _points: deque[tuple[float, dict[Chain, tuple[int, int]]]] = field(default_factory=deque)
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
            self._chains = {chain.chain: chain for chain in chains}
            self._ended = dict.fromkeys(self._chains, (0, 0))
            self.table, self._lake_latest, self._phase = table, lake_latest, ""
            self._progress_at = self.clock()
            self._points.append((self._progress_at, dict(self._ended)))

    def plan_more(self, chains: Iterable[ChainProgress]) -> None:
        """The run has planned further partitions of its chains, and copies them; what had failed is among them."""
        with self._lock:
            for new in chains:
                one = self._chains[new.chain]
                self._chains[new.chain] = replace(
                    one,
                    planned=one.begun + new.planned,
                    planned_ledgers=one.done_ledgers + new.planned_ledgers,
                    failed=0,
                    committed=max(one.committed, new.committed),
                )
            self._waiting.clear()
            self._phase, self._is_waiting, self._progress_at = "", False, self.clock()

    def enter(self, phase: str) -> None:
        """The run does something else than copying now; empty: it copies."""
        with self._lock:
            self._phase, self._is_waiting = phase, False

    def keep_alive(self) -> None:
        """Workers that tell nothing here are known to be at work."""
        with self._lock:
            self._progress_at = self.clock()

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
        return bool(self._chains)

    def __call__(self, measurement: m.Measurement) -> None:
        """Take one measurement."""
        name, value, fields = measurement
        with self._lock:
            if name == m.RETRY:
                self._retries += 1
                return
            chain = chain_of(fields)
            progress = self._chains.get(chain)
            if progress is not None and name == m.LEDGER_ANCHORED:
                self._chains[chain] = replace(progress, anchored=int(value))
                return
            if progress is None or "ledger_start" not in fields:
                return
            key = (chain, fields["ledger_start"], fields["ledger_end"])
            if name == m.PARTITION_STARTED:
                self._start(progress, key, str(fields.get("worker", "")))
            elif name == m.LEDGER_READ:
                self._read(key, int(value), fields)
            elif name in (m.PARTITION_DONE, m.PARTITION_FAILED, m.PARTITION_STOPPED):
                self._end(progress, key, name, fields)
            elif name == m.PARTITION_COMMITTED:
                self._waiting.discard(key)
                committed = max(progress.committed, int(fields["committed_up_to"]))
                attested = fields.get("attested_through")
                self._chains[chain] = replace(
                    progress,
                    committed=committed,
                    committed_at=self.now(),
                    attested=progress.attested if attested is None else int(attested),
                )
            else:
                return
            self._progress_at = self.clock()

    def _start(self, progress: ChainProgress, key: tuple[Chain, int, int], worker: str) -> None:
        chain, start, end = key
        self._in_flight[key] = InFlight(chain=chain, start=start, end=end, worker=worker, ledger=start - 1)
        self._chains[chain] = replace(progress, begun=progress.begun + 1)

    def _read(self, key: tuple[Chain, int, int], ledger: int, fields: m.Fields) -> None:
        found = self._in_flight.get(key)
        if found is not None:
            read = max(0, ledger - max(key[1], 2) + 1)
            self._in_flight[key] = replace(found, ledger=ledger, ledgers=read, raw_bytes=fields["raw_bytes"])

    def _end(self, progress: ChainProgress, key: tuple[Chain, int, int], name: str, fields: m.Fields) -> None:
        chain = key[0]
        self._in_flight.pop(key, None)
        size = key[2] - key[1] + 1
        if name == m.PARTITION_FAILED:
            self._failures_in_a_row += 1
            self._last_error = f"{fields['error_type']}: {fields['error']}"
            self._waiting.discard(key)
            counted = 0 if fields["is_published"] else 1
            self._chains[chain] = replace(
                progress,
                failed=progress.failed + 1,
                done=progress.done + counted,
                done_ledgers=progress.done_ledgers + counted * size,
            )
        elif name == m.PARTITION_DONE:
            self._failures_in_a_row = 0
            self._chains[chain] = replace(progress, done=progress.done + 1, done_ledgers=progress.done_ledgers + size)
            if fields["outcome"] != "measured":
                self._waiting.add(key)
            if fields["outcome"] != "skipped":
                ledgers, raw = self._ended[chain]
                self._ended[chain] = (ledgers + fields["rows"], raw + fields["raw_bytes"])

    def snapshot(self) -> Snapshot:
        """The state now."""
        with self._lock:
            now = self.clock()
            read = dict(self._ended)
            for one in self._in_flight.values():
                ledgers, raw = read[one.chain]
                read[one.chain] = (ledgers + one.ledgers, raw + one.raw_bytes)
            rates = self._rates(now, read)
            waiting = {chain: sum(key[0] == chain for key in self._waiting) for chain in self._chains}
            chains = tuple(replace(one, waiting=waiting[one.chain]) for one in self._chains.values())
            rate = sum(ledgers for ledgers, _ in rates.values())
            in_flight = tuple(sorted(self._in_flight.values(), key=lambda one: (one.chain, one.start)))
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
                eta_s=max(0, left) / rate if rate > 0 else None,
                idle_s=now - self._progress_at,
                elapsed_s=now - self._started,
                retries=self._retries,
                failures=sum(one.failed for one in chains),
                last_error=self._last_error,
                is_failing=self._failures_in_a_row >= _FAILING_AFTER,
                is_waiting=self._is_waiting,
                lake_latest=self._lake_latest,
            )

    def _rates(self, now: float, read: dict[Chain, tuple[int, int]]) -> dict[Chain, tuple[float, float]]:
        """Ledgers and bytes a second of each chain, over the last half minute at most."""
        points = self._points
        while len(points) > 1 and now - points[1][0] >= _RATE_WINDOW_S:
            points.popleft()
        before, earlier = points[0] if points else (self._started, {})
        span = max(now - before, 1e-3)
        rates = {}
        for chain, (ledgers, raw) in read.items():
            was = earlier.get(chain, (0, 0))
            rates[chain] = (max(0, ledgers - was[0]) / span, max(0, raw - was[1]) / span)
        if not points or now - points[-1][0] >= _RATE_STEP_S:
            points.append((now, read))
        return rates
