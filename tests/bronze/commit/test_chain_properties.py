"""Whatever copiers do at the same time and wherever they fail: one chain, every partition committed exactly once.

Each copier runs in a thread of its own and stops before every call of a store until the scheduler gives it the turn,
so that an interleaving is a list of choices: it can be repeated, and Hypothesis can shrink it. With its turn a copier
may be told to fail (the call, or only its answer, is lost) or to die.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import itertools
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bronze.audit.event import parse_event
from bronze.audit.event_log import HEADS, EventLog, in_link_order
from bronze.commit.checkpoint import CheckpointFile
from bronze.commit.position import ChainPosition
from bronze.commit.recovery import restore
from bronze.commit.sequencer import Sequencer
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.dataset.schema import PRIMARY_TABLE
from bronze.errors import StoreError
from bronze.outcomes import Outcome, PartitionSummary
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.storage.memory import MemoryStore
from bronze.verify.verifier import verify_chain
from tests.bronze.conftest import ERA, PRODUCER, era, summary

CHECKPOINT = "checkpoint.json"
SIZE = ERA.partition_size
#: Times that a copier tries a commit, as the graph does.
ATTEMPTS = 3
#: Runs of one copier until it does not die any more.
LIVES = 3


class Fault(Enum):
    """What happens to the call of a store."""

    NONE = "it works"
    FAILS = "it has no effect"
    ANSWER_LOST = "it has its effect, but the caller gets an error"
    DIES = "the caller dies before it"
    DIES_AFTER = "the caller dies after it"


class Died(BaseException):
    """The end of a process: nothing of the program catches it."""


#: The choice of who is next (modulo the number of copiers that can go on), and what happens to its call.
Turn = tuple[int, Fault]


class _OfThread(threading.local):
    """The copier that a thread runs, and whether it is inside a call of a store."""

    copier: _Copier | None = None
    is_calling = False


class Scheduler:
    """Runs copiers in turns; when `turns` are used up, one after the other and without faults."""

    def __init__(self, turns: Sequence[Turn]) -> None:
        self._turns = iter(turns)
        self._yielded = threading.Semaphore(0)
        self._own = _OfThread()
        self._copiers: list[_Copier] = []

    def run(self, *programs: Callable[[], None]) -> None:
        """Run the programs to their ends. Raises the first error of any of them."""
        self._copiers = [_Copier(program) for program in programs]
        for copier in self._copiers:
            copier.thread = threading.Thread(target=self._live, args=(copier,), daemon=True)
            copier.thread.start()
        while waiting := [copier for copier in self._copiers if copier.can_continue()]:
            choice, copier_fault = next(self._turns, (0, Fault.NONE))
            copier = waiting[choice % len(waiting)]
            copier.fault = copier_fault
            copier.turn.release()
            self._yielded.acquire()
        assert all(copier.ended for copier in self._copiers), "the copiers wait for each other"
        for copier in self._copiers:
            if copier.error is not None:
                raise copier.error

    def _live(self, copier: _Copier) -> None:
        self._own.copier = copier
        copier.turn.acquire()
        try:
            copier.program()
        except BaseException as error:
            copier.error = error
        copier.ended = True
        self._yielded.release()

    def stop_faults(self) -> None:
        """Let nothing fail any more."""
        self._turns = iter(())

    def wait(self, blocked: Callable[[], bool] = lambda: False) -> Fault:
        """Let others go first, and wait while `blocked`; who is no copier, or is inside a call, does not wait."""
        copier = self._own.copier
        if copier is None or self._own.is_calling:
            return Fault.NONE
        copier.blocked = blocked
        self._yielded.release()
        copier.turn.acquire()
        return copier.fault

    @contextmanager
    def call(self) -> Iterator[None]:
        """Wait for the turn to call a store, and fail as it says."""
        fault = self.wait()
        if fault is Fault.FAILS:
            raise StoreError("the call is lost")
        if fault is Fault.DIES:
            raise Died
        is_inside, self._own.is_calling = self._own.is_calling, True
        try:
            yield
        finally:
            self._own.is_calling = is_inside
        if fault is Fault.ANSWER_LOST:
            raise StoreError("the answer is lost")
        if fault is Fault.DIES_AFTER:
            raise Died


@dataclass
class _Copier:
    program: Callable[[], None]
    turn: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    thread: threading.Thread | None = None
    blocked: Callable[[], bool] = lambda: False
    fault: Fault = Fault.NONE
    ended: bool = False
    error: BaseException | None = None

    def can_continue(self) -> bool:
        return not self.ended and not self.blocked()


class ScheduledStore(MemoryStore):
    """A store whose callers take turns; remembers what was ever created."""

    def __init__(self, scheduler: Scheduler, *, supports_locking: bool) -> None:
        super().__init__(supports_locking=supports_locking)
        self._scheduler = scheduler
        self._is_locked = False
        self.created: list[tuple[str, bytes]] = []

    def read(self, key: str, max_bytes: int | None = None) -> bytes:
        with self._scheduler.call():
            return super().read(key, max_bytes)

    def list_children(self, prefix: str) -> Iterator[Any]:
        with self._scheduler.call():
            found = list(super().list_children(prefix))
        yield from found

    def create(self, key: str, data: bytes) -> None:
        with self._scheduler.call():
            super().create(key, data)
            self.created.append((key, data))

    def update(self, key: str, change: Callable[[bytes | None], bytes | None]) -> bytes | None:
        with self._scheduler.call():
            return super().update(key, change)

    @contextmanager
    def lock(self, prefix: str = "") -> Iterator[None]:
        if not self.supports_locking:
            yield
            return
        self._scheduler.wait(lambda: self._is_locked)
        self._is_locked = True
        try:
            yield
        finally:
            self._is_locked = False


@dataclass(frozen=True)
class Round:
    """Copiers that run at the same time, and what an operator does after they have ended.

    Attributes:
        copiers: the state that each of them keeps its checkpoint in.
        corrects: whether another one replaces a committed partition meanwhile.
        pruned: number of the oldest event files that are removed then.
        loses: files that are lost then.
    """

    copiers: Sequence[int]
    corrects: bool
    pruned: int
    loses: Sequence[str]


class World:
    """Stores, published partitions, and what copiers and operators do with them."""

    def __init__(self, turns: Sequence[Turn], *, supports_locking: bool, count: int) -> None:
        self.scheduler = Scheduler(turns)
        self.events = ScheduledStore(self.scheduler, supports_locking=supports_locking)
        self.states = [ScheduledStore(self.scheduler, supports_locking=supports_locking) for _ in range(2)]
        self.dataset = Dataset(MemoryStore(), "bronze", PRIMARY_TABLE)
        self.grid = [Partition(start, start + SIZE - 1) for start in range(2, 2 + count * SIZE, SIZE)]
        self.corrected: Counter[Partition] = Counter()
        self._published: dict[Partition, PartitionSummary] = {}
        self._clock = itertools.count()

    def log(self) -> EventLog:
        """The event files, read by nobody before."""
        return EventLog(self.events, ERA)

    def checkpoint(self, state: int) -> CheckpointFile:
        """The checkpoint that a copier keeps in one of the states."""
        return CheckpointFile(self.states[state], ERA, "test", single=True)

    def play(self, rounds: Sequence[Round]) -> None:
        """Run the rounds, then one copier that nothing disturbs."""
        for one in rounds:
            programs = [functools.partial(self._survive, functools.partial(self._copy, state)) for state in one.copiers]
            committed = self.log().load()
            if one.corrects and committed:
                programs.append(functools.partial(self._correct, committed[0].partition))
            self.scheduler.run(*programs)
            # An operator prunes what chain head and checkpoint have gone past: one that lags could not tell the rest.
            known = self._known_heads()
            past = lambda event, known=known: event.event_hash not in known  # noqa: E731
            prunable = itertools.takewhile(past, self.log().load()[:-1])
            for event in list(prunable)[: one.pruned]:
                self.events.delete(self.log().key(event.partition))
            for name in one.loses:
                (self.events if name == HEADS else self.states[0]).delete(name)
        self.scheduler.stop_faults()
        self._copy(0)

    def check(self) -> None:
        """One chain of every event that was ever created, every partition once, caches at its end."""
        created = [parse_event(data, key) for key, data in self.events.created if re.fullmatch(r"[^/]*_\d.*json", key)]
        ordered = in_link_order(created, "the store")
        assert len(ordered) == len(created)
        assert ordered[0].prev_hash == ""
        times = Counter(event.partition for event in created)
        assert times == Counter(self.grid) + self.corrected
        assert self.log().head() == ordered[-1].event_hash
        found = self.checkpoint(0).load()
        assert found is not None
        assert found.last_ledger == self.grid[-1].end
        verified = verify_chain(ERA, self.dataset, log=self.log(), checkpoint=self.checkpoint(0))
        # The parquet files are stand-ins, which cannot be read.
        problems = [problem for problem in verified.problems if ".parquet: cannot be read: " not in problem]
        assert (problems, verified.gaps, verified.partitions) == ([], [], len(self.grid))

    def _known_heads(self) -> set[str | None]:
        """The heads that the chain heads file and the checkpoints state."""
        found = [self.checkpoint(state).load() for state in range(2)]
        return {self.log().head(), *(one.chain.head for one in found if one is not None and one.chain is not None)}

    def _survive(self, program: Callable[[], None]) -> None:
        """Run the program again until it does not die."""
        for _ in range(LIVES):
            with suppress(Died):
                program()
                return

    def _copy(self, state: int) -> None:
        """What a run does: restore, then commit what follows the position; ends when a store fails too often."""
        log, checkpoint = self.log(), self.checkpoint(state)
        with suppress(StoreError):
            restore(ERA, self.dataset, log, checkpoint)
            sequencer = self._sequencer(ERA, log, checkpoint)
            position: ChainPosition | None = sequencer.position()
            for partition in [one for one in self.grid if position and one.end >= position.next_ledger]:
                self._commit(sequencer, self._publish(partition), position)
                position = None

    def _correct(self, partition: Partition) -> None:
        """Replace a partition that is committed, and commit it again."""
        made = self._publish(partition, f"correction {self.corrected[partition]}")
        self.corrected[partition] += 1
        sequencer = self._sequencer(era(allow_overwrite=True), self.log(), self.checkpoint(0))
        for _ in range(10 * LIVES):  # in the end it succeeds
            with suppress(Died, StoreError):
                self._commit(sequencer, made)
                return
        raise AssertionError("the faults do not end")

    def _sequencer(self, of: Era, log: EventLog, checkpoint: CheckpointFile) -> Sequencer:
        clock = lambda: f"2026-01-01T00:00:00.{next(self._clock):06}Z"  # noqa: E731
        return Sequencer(of, self.dataset, PRODUCER, events=log, checkpoint=checkpoint, clock=clock)

    def _commit(self, sequencer: Sequencer, made: PartitionSummary, position: ChainPosition | None = None) -> None:
        for attempt in range(ATTEMPTS):
            try:
                sequencer.commit(made, position)
                return
            except StoreError:
                position = None
                if attempt == ATTEMPTS - 1:
                    raise

    def _publish(self, partition: Partition, content: str = "") -> PartitionSummary:
        """Publish the partition with this content, or find it published when no content is given."""
        if partition in self._published and not content:
            return dataclasses.replace(self._published[partition], outcome=Outcome.SKIPPED)
        data = f"{partition} {content}".encode()
        made = summary(
            partition.start, partition.end, byte_size=len(data), checksum=f"sha256:{hashlib.sha256(data).hexdigest()}",
            outcome=Outcome.REPLACED if content else Outcome.WRITTEN,
        )  # fmt: skip
        manifest = Manifest(
            partition=partition, network=ERA.network, era_id=ERA.era_id, version_label=ERA.version_label,
            table=PRIMARY_TABLE, checksum=made.checksum, row_count=made.row_count,
            byte_size=made.byte_size, producer=PRODUCER, created_at="",
            ledgers=LedgerLinks(
                first=made.first, last=made.last,
                previous_hash=made.previous_hash, first_hash=made.first_hash, last_hash=made.last_hash,
            ),
        )  # fmt: skip
        self.dataset.store.replace(self.dataset.parquet_key(ERA, partition), data)
        self.dataset.store.replace(self.dataset.manifest_key(ERA, partition), manifest.to_bytes())
        self._published[partition] = made
        return made


#: A byte a turn: one in ten calls fails somehow; zeros are copiers that run one after the other and without faults.
TURNS = st.binary(min_size=150, max_size=150).map(
    lambda drawn: [(byte % 6, (*[Fault.NONE] * 38, *Fault)[byte // 6]) for byte in drawn]
)
LOSSES = st.lists(st.sampled_from([HEADS, CHECKPOINT]), unique=True)


def rounds(copiers: st.SearchStrategy[int], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Round]]:
    """One to three rounds; what is not given does not happen."""
    never: dict[str, st.SearchStrategy[Any]] = {"corrects": st.just(False), "pruned": st.just(0), "loses": st.just(())}
    made = st.builds(Round, copiers=st.lists(copiers, min_size=1, max_size=3), **never | fields)
    return st.lists(made, min_size=1, max_size=3)


@pytest.fixture(params=[True, False], ids=["locking", "no locks"])
def supports_locking(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


property_test = settings(
    deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@property_test
@given(turns=TURNS, rounds=rounds(st.just(0), pruned=st.integers(0, 3), loses=LOSSES))
def test_same_range_makes_one_chain(supports_locking: bool, turns: list[Turn], rounds: list[Round]) -> None:
    world = World(turns, supports_locking=supports_locking, count=4)
    world.play(rounds)
    world.check()


@property_test
@given(turns=TURNS, rounds=rounds(st.just(0), corrects=st.booleans(), loses=LOSSES))
def test_corrections_meanwhile_make_one_chain(supports_locking: bool, turns: list[Turn], rounds: list[Round]) -> None:
    world = World(turns, supports_locking=supports_locking, count=4)
    world.play(rounds)
    world.check()


@property_test
@given(turns=TURNS, rounds=rounds(st.integers(0, 1), loses=LOSSES), ahead=st.integers(0, 3))
def test_different_ranges_make_one_chain(
    supports_locking: bool, turns: list[Turn], rounds: list[Round], ahead: int
) -> None:
    """Copiers of the second state were set forward by hand; those of the first fill the gap."""
    world = World(turns, supports_locking=supports_locking, count=4)
    world.checkpoint(1).save(world.grid[ahead], "")
    world.play(rounds)
    world.check()
