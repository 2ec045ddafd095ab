"""The state of a stateful stage for one key, as a runner keeps it, in memory and counted."""

from __future__ import annotations

from collections import Counter
from typing import Any


class Bag:
    """A BagState or ReadModifyWriteState of one key.

    Attributes:
        counts: of the elements that were read and written; a value counts as one.
    """

    def __init__(self, value: Any = None) -> None:
        self.value = value
        self.counts: Counter[str] = Counter()

    def read(self) -> Any:
        if isinstance(self.value, list):
            self.counts["read"] += len(self.value)
            return list(self.value)
        self.counts["read"] += 1
        return self.value

    def write(self, value: Any) -> None:
        self.counts["written"] += 1
        self.value = value

    def add(self, value: Any) -> None:
        self.counts["written"] += 1
        self.value.append(value)

    def clear(self) -> None:
        self.value = [] if isinstance(self.value, list) else None

    def copy(self) -> Bag:
        """A bag of its own with the same content, nothing counted."""
        return Bag(list(self.value) if isinstance(self.value, list) else self.value)


class Timer:
    """A timer that never fires."""

    def set(self, _when: Any) -> None:
        pass


def new_states() -> dict[str, Bag]:
    """The state of `transforms.sequence.SequencePartitions` for a key that nothing has arrived for."""
    return {"waiting": Bag([]), "far": Bag([]), "horizon": Bag(), "next_ledger": Bag(), "blocked": Bag()}


def pending_states(states: dict[str, Bag]) -> dict[str, Bag]:
    """What the stage is given when its input ends."""
    return {name: states[name] for name in ("waiting", "far", "next_ledger", "blocked")}


def copied(states: dict[str, Bag]) -> dict[str, Bag]:
    """The same state for another attempt of a bundle."""
    return {name: bag.copy() for name, bag in states.items()}
