"""Cuts a run into waves: successive runs of the same graph.

A batch runner holds everything behind the shuffle until all of the heavy part is done, so commits, checkpoint and
progress follow each wave. How many partitions a wave needs to keep all workers busy is the runner's matter.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from bronze.partitioning.plan import EraPlan
from transforms.elements import PartitionKey

#: Ledgers of a wave, at least: small partitions come in larger waves.
MIN_LEDGERS = 20_000
#: Partitions of a wave, at most, including those that exist already (and cost next to nothing).
MAX_PARTITIONS = 1_000


def cut_waves(
    plans: Sequence[EraPlan],
    existing: frozenset[PartitionKey],
    *,
    default_partitions: int,
    wave_partitions: int = 0,
) -> Iterator[list[PartitionKey]]:
    """Cut the partitions of all eras, in ledger order, into waves.

    Args:
        existing: partitions that will most likely be skipped: they do not fill a wave.
        default_partitions: partitions of a wave that do not exist yet, at least, when `wave_partitions` is 0.
        wave_partitions: partitions of a wave that do not exist yet, exactly; 0: as `default_partitions` and
            `MIN_LEDGERS` say.
    """
    wave: list[PartitionKey] = []
    new, ledgers = 0, 0
    for plan in plans:
        for partition in plan.partitions:
            key = PartitionKey(plan.era.chain, partition)
            wave.append(key)
            if key not in existing:
                new, ledgers = new + 1, ledgers + len(partition)
            full = new >= wave_partitions if wave_partitions else new >= default_partitions and ledgers >= MIN_LEDGERS
            if full or len(wave) >= MAX_PARTITIONS:
                yield wave
                wave, new, ledgers = [], 0, 0
    if wave:
        yield wave
