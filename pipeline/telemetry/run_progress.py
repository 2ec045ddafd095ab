"""How far the chains of a run are: which partitions are in flight, wait for their commit, failed, or are done."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bronze import measurements as m

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


@dataclass(slots=True)
class RunProgress:
    """What the measurements of a run say of its partitions. Not for several threads.

    Attributes:
        chains: how far each is, its ``waiting`` left out.
    """

    chains: dict[Chain, ChainProgress] = field(default_factory=dict)
    _in_flight: dict[tuple[Chain, int, int], InFlight] = field(default_factory=dict)
    _waiting: set[tuple[Chain, int, int]] = field(default_factory=set)
    #: Partitions that failed, and whether that counts them as done.
    _failed: dict[tuple[Chain, int, int], int] = field(default_factory=dict)
    _ended: dict[Chain, tuple[int, int]] = field(default_factory=dict)

    def plan(self, chains: Iterable[ChainProgress]) -> None:
        """The run is planned."""
        self.chains = {chain.chain: chain for chain in chains}
        self._ended = dict.fromkeys(self.chains, (0, 0))

    def grow(self, chain: Chain, ledgers: int) -> None:
        """A partition is copied that was not planned."""
        one = self.chains[chain]
        self.chains[chain] = replace(one, planned=one.planned + 1, planned_ledgers=one.planned_ledgers + ledgers)

    def plan_more(self, chains: Iterable[ChainProgress]) -> None:
        """The run has planned further partitions of its chains; what had failed is among them."""
        for new in chains:
            one = self.chains[new.chain]
            self.chains[new.chain] = replace(
                one,
                planned=one.begun + new.planned,
                planned_ledgers=one.done_ledgers + new.planned_ledgers,
                failed=0,
                committed=max(one.committed, new.committed),
            )
        self._waiting.clear()
        self._failed.clear()

    def start(self, chain: Chain, start: int, end: int, worker: str) -> None:
        """A worker begins a partition, for the first time or again."""
        key, progress = (chain, start, end), self.chains[chain]
        self._in_flight[key] = InFlight(chain=chain, start=start, end=end, worker=worker, ledger=start - 1)
        counted = self._failed.pop(key, None)
        if counted is not None:  # it is tried again
            size = end - start + 1
            if not counted:
                self._waiting.add(key)
            self.chains[chain] = replace(
                progress,
                failed=progress.failed - 1,
                done=progress.done - counted,
                done_ledgers=progress.done_ledgers - counted * size,
            )
        elif key not in self._waiting:
            self.chains[chain] = replace(progress, begun=progress.begun + 1)

    def read(self, chain: Chain, start: int, end: int, ledger: int, raw_bytes: int) -> None:
        """A ledger of a partition was read; `raw_bytes` of it in all."""
        found = self._in_flight.get((chain, start, end))
        if found is not None:
            ledgers = max(0, ledger - max(start, 2) + 1)
            self._in_flight[chain, start, end] = replace(found, ledger=ledger, ledgers=ledgers, raw_bytes=raw_bytes)

    def stop(self, chain: Chain, start: int, end: int) -> None:
        """A partition was left before it was done."""
        self._in_flight.pop((chain, start, end), None)

    def fail(self, chain: Chain, start: int, end: int, *, is_published: bool) -> None:
        """A partition failed, or its chain refused it once it was published."""
        key, progress = (chain, start, end), self.chains[chain]
        self._in_flight.pop(key, None)
        self._waiting.discard(key)
        counted = self._failed[key] = 0 if is_published else 1
        self.chains[chain] = replace(
            progress,
            failed=progress.failed + 1,
            done=progress.done + counted,
            done_ledgers=progress.done_ledgers + counted * (end - start + 1),
        )

    def finish(self, chain: Chain, start: int, end: int, fields: m.Fields) -> None:
        """A partition is done, with the `fields` of `PARTITION_DONE`."""
        key, progress = (chain, start, end), self.chains[chain]
        self._in_flight.pop(key, None)
        if key in self._waiting:  # it was published before, and is looked at again to be committed
            return
        self.chains[chain] = replace(
            progress, done=progress.done + 1, done_ledgers=progress.done_ledgers + end - start + 1
        )
        if fields["outcome"] != "measured":
            self._waiting.add(key)
        if fields["outcome"] != "skipped":
            ledgers, raw = self._ended[chain]
            self._ended[chain] = (ledgers + fields["rows"], raw + fields["raw_bytes"])

    def commit(self, chain: Chain, start: int, end: int, fields: m.Fields, now: float) -> None:
        """A partition is committed, with the `fields` of `PARTITION_COMMITTED`; `now` is Unix time."""
        self._waiting.discard((chain, start, end))
        progress, attested = self.chains[chain], fields.get("attested_through")
        self.chains[chain] = replace(
            progress,
            committed=max(progress.committed, int(fields["committed_up_to"])),
            committed_at=now,
            attested=progress.attested if attested is None else int(attested),
        )

    def anchor(self, chain: Chain, ledger: int) -> None:
        """History archives confirm the chain through `ledger`."""
        self.chains[chain] = replace(self.chains[chain], anchored=ledger)

    def current(self) -> tuple[ChainProgress, ...]:
        """How far each chain is."""
        waiting = {chain: sum(key[0] == chain for key in self._waiting) for chain in self.chains}
        return tuple(replace(one, waiting=waiting[one.chain]) for one in self.chains.values())

    def in_flight(self) -> tuple[InFlight, ...]:
        """What workers are copying, in ledger order."""
        return tuple(sorted(self._in_flight.values(), key=lambda one: (one.chain, one.start)))

    def amounts_read(self) -> dict[Chain, tuple[int, int]]:
        """Ledgers and bytes that were read, unfinished partitions included."""
        read = dict(self._ended)
        for one in self._in_flight.values():
            ledgers, raw = read[one.chain]
            read[one.chain] = (ledgers + one.ledgers, raw + one.raw_bytes)
        return read
