"""How long a copy may take, from how fast this chain was copied lately, or else from what was measured of the program.

Nothing is guessed: where neither is known, nor the bytes, the time is unknown.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import Manifest
from bronze.errors import StateError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.timestamps import seconds_of

#: Manifests that are read: at least, for each worker, and at most. Workers end partitions nearly together, so a rate
#: needs several of each.
_LEAST, _EACH_WORKER, _MOST = 8, 4, 64
#: Seconds between two partitions of one run, at most.
_LONGEST_PAUSE_S = 900.0
#: Ledgers a second: a run that follows its lake copies as fast as ledgers close, 0.2; any other one is faster.
_FOLLOWING = 1.0
#: What one worker takes, as docs/performance.md has it: seconds for each ledger, and for each byte as stored. The first
#: from a disk on a processor with SHA instructions, the second from a bucket on one without.
FASTEST, SLOWEST = (0.0003, 25e-9), (0.00065, 100e-9)
#: Of one worker's speed, so much has each of several on the cores of one machine.
_BESIDE_ANOTHER = 0.85


class Basis(enum.StrEnum):
    """What an expected time comes from."""

    PUBLISHED = "published"  #: the times in the manifests of the chain's last partitions
    MEASURED = "measured"  #: docs/performance.md
    NOTHING = "nothing"  #: there is nothing to copy
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedTime:
    """How long copying takes.

    Attributes:
        shortest_s, longest_s: seconds; both None where the basis is unknown.
        ledgers_per_s: of the partitions that it comes from; None for other bases.
        sampled: how many these are.
        workers: that the time is for; with the basis `PUBLISHED` it is that of the run then.
    """

    basis: Basis = Basis.UNKNOWN
    shortest_s: float | None = None
    longest_s: float | None = None
    ledgers_per_s: float | None = None
    sampled: int = 0
    workers: int = 1


@dataclass(frozen=True, slots=True)
class _Pace:
    ledgers_per_s: float
    bytes_per_s: float
    partitions: int


def expected_time(
    dataset: Dataset,
    era: Era,
    published: Sequence[Partition],
    ledgers: int,
    *,
    to_read: int | None,
    to_write: int | None,
    workers: int,
) -> ExpectedTime:
    """How long it takes to copy so many ledgers; reads some manifests where partitions are published.

    Args:
        published: of the era, in ledger order.
        to_read, to_write: bytes; None where they are not known.
        workers: of a local run.
    """
    if not ledgers:
        return ExpectedTime(basis=Basis.NOTHING, shortest_s=0.0, longest_s=0.0, workers=workers)
    wanted = min(_MOST, max(_LEAST, _EACH_WORKER * workers))
    pace = _pace(list(_manifests(dataset, era, published[-wanted:])), workers)
    if pace is not None:
        seconds = ledgers / pace.ledgers_per_s if to_write is None else to_write / pace.bytes_per_s
        return ExpectedTime(
            basis=Basis.PUBLISHED,
            shortest_s=seconds,
            longest_s=seconds,
            ledgers_per_s=pace.ledgers_per_s,
            sampled=pace.partitions,
            workers=workers,
        )
    if to_read is None:
        return ExpectedTime(workers=workers)
    at_once = workers if workers == 1 else workers * _BESIDE_ANOTHER
    shortest, longest = ((a_ledger * ledgers + a_byte * to_read) / at_once for a_ledger, a_byte in (FASTEST, SLOWEST))
    return ExpectedTime(basis=Basis.MEASURED, shortest_s=shortest, longest_s=longest, workers=workers)


def _manifests(dataset: Dataset, era: Era, partitions: Sequence[Partition]) -> Iterator[Manifest]:
    """The manifests of these partitions but for damaged ones, which other commands name."""

    def find(partition: Partition) -> Manifest | None:
        try:
            return dataset.find_manifest(era, partition, check_file=False)
        except StateError:
            return None

    with ThreadPoolExecutor(8, thread_name_prefix="manifest") as pool:
        yield from (manifest for manifest in pool.map(find, partitions) if manifest is not None)


def _pace(manifests: Sequence[Manifest], workers: int) -> _Pace | None:
    """How fast the last run published these partitions; None where that cannot be told from their times."""
    timed = [(at, one) for one in manifests if (at := seconds_of(one.created_at)) is not None]
    timed.sort(key=lambda pair: pair[0], reverse=True)
    run = timed[:1]
    for at, one in timed[1:]:
        if run[-1][0] - at > _LONGEST_PAUSE_S:
            break
        run.append((at, one))
    # The first partition of each worker only says when the run had begun.
    counted, before = run[:-workers], run[-workers:]
    if len(run) < _LEAST or len(counted) < workers or counted[0][0] <= before[0][0]:
        return None
    seconds = counted[0][0] - before[0][0]
    ledgers, size = sum(one.row_count for _, one in counted), sum(one.byte_size for _, one in counted)
    if ledgers / seconds < _FOLLOWING or not size:
        return None
    return _Pace(ledgers / seconds, size / seconds, len(run))
