"""Cuts a local run into waves: successive runs of the same graph.

A batch runner holds everything behind the shuffle until all of the heavy part is done, so commits,
checkpoint and progress follow each wave. A wave has several partitions for each worker, because the
runner deals them out once and for all.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bronze.partitioning.plan import EraPlan
from transforms.elements import PartitionKey

#: Partitions of a wave for each worker, at least.
_PER_WORKER = 4
#: The same where what is published lies far away: nothing is encoded while the last partitions are being published,
#: which takes a tenth of a partition's time and more.
_PER_WORKER_REMOTE = 12
#: Ledgers of a wave, at least: small partitions come in larger waves.
_LEDGERS = 20_000
#: Partitions of a wave, at most, those that exist already (and cost next to nothing) included.
_MOST = 1_000


def cut_waves(
    plans: Sequence[EraPlan],
    existing: frozenset[PartitionKey],
    *,
    workers: int,
    wave_partitions: int = 0,
    is_remote: bool = False,
) -> Iterator[list[PartitionKey]]:
    """Cut the partitions of all eras, in ledger order, into waves.

    Args:
        existing: partitions that will most likely be skipped: they do not fill a wave.
        wave_partitions: partitions of a wave that do not exist yet; 0 to choose.
        is_remote: whether the destination is another machine's.
    """
    fewest = (_PER_WORKER_REMOTE if is_remote else _PER_WORKER) * workers
    wave: list[PartitionKey] = []
    new, ledgers = 0, 0
    for plan in plans:
        for partition in plan.partitions:
            key = PartitionKey(plan.era.chain, partition)
            wave.append(key)
            if key not in existing:
                new, ledgers = new + 1, ledgers + len(partition)
            full = new >= wave_partitions if wave_partitions else new >= fewest and ledgers >= _LEDGERS
            if full or len(wave) >= _MOST:
                yield wave
                wave, new, ledgers = [], 0, 0
    if wave:
        yield wave
