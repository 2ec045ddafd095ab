"""How a distributed runner treats the stateful stage: in bundles, which it repeats, gives up and forgets.

The state of a bundle is kept when the bundle ends, and only then. A worker that is killed in a bundle leaves what it
did outside (events, checkpoint) and nothing else; the bundle is given to another worker. A zombie is a worker that the
runner believes dead: it works on, at the same time as the one that got its bundle, or much later.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from bronze.errors import StoreError
from bronze.outcomes import PartitionSummary
from tests.support.stage_state import Bag, Timer, copied, new_states, pending_states
from transforms.sequence import SequencePartitions

#: How often Dataflow tries a bundle of a batch job.
_ATTEMPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """How often what goes wrong, as a share of the bundles."""

    killed: float = 0.0
    zombies: float = 0.0
    late_zombies: float = 0.0


@dataclass(slots=True)
class Counted:
    """What was done."""

    bundles: int = 0
    raised: int = 0
    killed: int = 0
    zombies: int = 0
    late_zombies: int = 0
    most_waiting: int = 0
    state: Counter[str] = field(default_factory=Counter)


class SimulatedRunner:
    """Runs the stage for one chain.

    Args:
        stage: makes one, as each worker has its own.
        most: elements of a bundle, at most.
    """

    def __init__(
        self, stage: Callable[[], SequencePartitions], rng: random.Random, faults: Faults, *, most: int = 50
    ) -> None:
        self._stage = stage
        self._rng = rng
        self._faults = faults
        self._most = most
        self._worker: SequencePartitions | None = None
        self.states = new_states()
        self.counted = Counted()

    def run(self, arrivals: Sequence[PartitionSummary]) -> list[Any]:
        """Give `arrivals` to the stage in this order; what it put out, and what still waits at the end."""
        out: list[Any] = []
        late: list[Iterator[Any]] = []
        for bundle in self._bundles(arrivals):
            self.counted.bundles += 1
            before = copied(self.states)
            if self._happens(self._faults.killed):
                self.counted.killed += 1
                survived = self._rng.randrange(len(bundle))
                with suppress(StoreError):
                    self._attempt(self._worker_of(), bundle[:survived], copied(before))
                self._worker = None
            if self._happens(self._faults.late_zombies):
                late.append(self._stall(bundle, copied(before)))
            if self._happens(self._faults.zombies):
                self.counted.zombies += 1
                kept, made = self._race(bundle, before)
            else:
                kept, made = self._until_done(bundle, before)
            out += made
            self._keep(kept)
            if late and self._happens(0.2):
                self._wake(late)
        while late:
            self._wake(late)
        return out + list(self._worker_of().report_waiting(**pending_states(self.states)))

    def _bundles(self, arrivals: Sequence[PartitionSummary]) -> Iterator[list[PartitionSummary]]:
        at = 0
        while at < len(arrivals):
            size = self._rng.randint(1, self._most)
            yield list(arrivals[at : at + size])
            at += size

    def _until_done(self, bundle: list[PartitionSummary], before: dict[str, Bag]) -> tuple[dict[str, Bag], list[Any]]:
        """Another worker gets a bundle in which something was raised, four attempts in all."""
        for attempt in range(_ATTEMPTS):
            states = copied(before)
            try:
                return states, self._attempt(self._worker_of(), bundle, states)
            except StoreError:
                self._worker = None
                self.counted.raised += 1
                if attempt == _ATTEMPTS - 1:
                    raise
        raise AssertionError

    def _race(self, bundle: list[PartitionSummary], before: dict[str, Bag]) -> tuple[dict[str, Bag], list[Any]]:
        """Two workers with the same bundle; the runner keeps what either one says."""
        attempts = [(self._worker_of(), copied(before)), (self._new_worker(), copied(before))]
        with ThreadPoolExecutor(2) as pool:
            futures = [pool.submit(self._attempt, worker, bundle, states) for worker, states in attempts]
            ended = [future.exception() is None for future in futures]
        if not any(ended):
            self._worker = None
            return self._until_done(bundle, before)
        kept = self._rng.choice([number for number in range(2) if ended[number]])
        self._worker = attempts[kept][0]
        return attempts[kept][1], futures[kept].result()

    def _stall(self, bundle: list[PartitionSummary], states: dict[str, Bag]) -> Iterator[Any]:
        """The worker stalls within the bundle, and another one takes its place; what it has left to do."""
        worker, self._worker = self._worker_of(), None
        begun = self._rng.randrange(len(bundle))
        with suppress(StoreError):
            self._attempt(worker, bundle[:begun], states)
        return self._attempts(worker, bundle[begun:], states)

    def _wake(self, late: list[Iterator[Any]]) -> None:
        """A worker that stalled goes on, and knows nothing of what happened meanwhile."""
        self.counted.late_zombies += 1
        with suppress(StoreError):
            list(late.pop(0))

    def _attempt(self, worker: SequencePartitions, bundle: list[PartitionSummary], states: dict[str, Bag]) -> list[Any]:
        return list(self._attempts(worker, bundle, states))

    def _attempts(
        self, worker: SequencePartitions, bundle: list[PartitionSummary], states: dict[str, Bag]
    ) -> Iterator[Any]:
        for one in bundle:
            yield from worker.process((one.chain, one), **states, end=Timer())
        for name, bag in states.items():
            for what, number in bag.counts.items():
                self.counted.state[f"{name} {what}"] += number
            bag.counts.clear()

    def _keep(self, states: dict[str, Bag]) -> None:
        self.states = copied(states)
        waiting = sum(len(bag.value) for bag in states.values() if isinstance(bag.value, list))
        self.counted.most_waiting = max(self.counted.most_waiting, waiting)

    def _worker_of(self) -> SequencePartitions:
        if self._worker is None:
            self._worker = self._new_worker()
        return self._worker

    def _new_worker(self) -> SequencePartitions:
        worker = self._stage()
        worker.setup()
        return worker

    def _happens(self, chance: float) -> bool:
        return self._rng.random() < chance
