"""Failed partitions that may succeed later are tried again before a run ends: after their wave, and at the end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bronze.outcomes import PartitionFailure
from bronze.waiting import pause
from pipeline.launch.waves import MAX_PARTITIONS
from pipeline.telemetry.totals import Totals
from transforms.elements import PartitionKey

Wave = list[PartitionKey]


def with_second_attempts(waves: Iterable[Wave], totals: Totals, *, pause_s: float) -> Iterator[Wave]:
    """Each of `waves`, and waves of those partitions that are tried again.

    A partition is tried again right after its wave, and once more at the end of the run when other waves came after
    that. With it come the published partitions that wait for it: they are committed behind it.

    Args:
        totals: holds the outcomes of a wave when the next one is asked for; those of partitions that are tried again
            are taken back.
        pause_s: seconds before partitions are tried again.
    """
    tried: dict[PartitionKey, int] = {}
    number = 0
    for number, wave in enumerate(waves, 1):
        yield wave
        yield from _again(totals, [key for key in _passing(totals) if key not in tried], pause_s)
        for key in _passing(totals):
            tried.setdefault(key, number)
    yield from _again(totals, [key for key in _passing(totals) if tried.get(key, number) < number], pause_s)


def _again(totals: Totals, failed: Wave, pause_s: float) -> Iterator[Wave]:
    if not failed or any(failure.stops_run for failure in totals.failures) or totals.stopped or not pause(pause_s):
        return
    keys = sorted({*failed, *_waiting(totals, failed)})
    totals.take_back({(key.chain, key.partition) for key in keys})
    for start in range(0, len(keys), MAX_PARTITIONS):
        yield keys[start : start + MAX_PARTITIONS]


def _passing(totals: Totals) -> Wave:
    return [_key(failure) for failure in totals.failures if failure.may_pass]


def _waiting(totals: Totals, again: Wave) -> Iterator[PartitionKey]:
    """The published partitions whose chains nothing else than the partitions of `again` keeps back."""
    tried = set(again)
    last: dict[str, int] = {}
    for failure in totals.failures:
        if _key(failure) not in tried:
            first = failure.partition.start
            last[failure.chain] = min(first, last.get(failure.chain, first))
    chains = {key.chain for key in again}
    for chain, partition in totals.pending:
        if chain in chains and (chain not in last or partition.start < last[chain]):
            yield PartitionKey(chain, partition)


def _key(failure: PartitionFailure) -> PartitionKey:
    return PartitionKey(failure.chain, failure.partition)
