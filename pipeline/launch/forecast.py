"""What a planned run would do with each era: what exists already, the lake's objects, bytes, and the time to expect.

The lake's objects are counted by listings (`bronze.lake.survey`). That they are there says nothing about their content.
"""

from __future__ import annotations

import enum
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from bronze.lake.lake import Lake
from bronze.lake.survey import PAGE_NAMES, WindowCount, count_objects, spread_files
from bronze.partitioning.partition import Partition
from bronze.partitioning.partition_index import PartitionIndex
from bronze.stellar import FIRST_LEDGER
from pipeline.launch.pace import ExpectedTime, expected_time
from pipeline.launch.prepare import Prepared
from pipeline.settings.model import Settings
from pipeline.telemetry.progress_line import format_duration

_LOG = logging.getLogger(__name__)

#: Objects of one era that are all counted without being asked to: a thousand list requests, some seconds.
COUNTED_UNASKED = 1_000_000
#: Above that as many samples of one page of names each are listed, evenly spread; on disks, where each costs the
#: listing of its directory, fewer.
_SAMPLES, _LOCAL_SAMPLES = 64, 16
#: Files of a sample: one page of names shows them and where they end.
_SAMPLE_FILES = PAGE_NAMES - 100
#: Ranges of ledgers and partitions that are named.
_NAMED = 1000


class Counting(enum.StrEnum):
    """Which objects of the lake are counted."""

    AUTO = "auto"  #: all of an era that needs no more than `COUNTED_UNASKED`, otherwise a sample
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectCount:
    """What listings show of the objects that hold the ledgers of the partitions to be copied.

    Attributes:
        expected: the objects that are needed.
        listed: those of them that were looked for: fewer than `expected` where only a sample was.
        missing, empty, doubles: of those listed: not there; of 0 bytes; there under both extensions.
        behind_newest: of the missing ones, those behind the lake's newest ledger.
        first_missing: the key of the first missing one; empty where none is.
        size_bytes: of the needed objects that are there; an estimate from the sample where not all were listed, None
            where that found none.
        missing_ledgers, empty_ledgers: which ledgers these objects hold or would hold; the first 1,000 ranges.
        lacking: number of the partitions that need one of the missing or empty objects.
        first_lacking: the first 1,000 of them.
    """

    expected: int
    listed: int
    missing: int
    empty: int
    doubles: int
    behind_newest: int
    first_missing: str
    size_bytes: int | None
    missing_ledgers: Sequence[Partition]
    empty_ledgers: Sequence[Partition]
    lacking: int
    first_lacking: Sequence[Partition]

    @property
    def is_complete(self) -> bool:
        """Whether all of them were looked for."""
        return self.listed == self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class EraForecast:
    """What a run would do with one era.

    Attributes:
        published: partitions of the era that exist.
        skipped: planned partitions that exist, which a run does not read.
        replaced: planned partitions that exist and are made anew (`allow_overwrite`, ``--again``).
        to_copy: these and the planned partitions that do not exist, in ledger order.
        objects: of the lake; None where they were not counted.
        time: that copying them takes.
    """

    published: Sequence[Partition]
    skipped: int
    replaced: int
    to_copy: Sequence[Partition]
    objects: ObjectCount | None
    bytes_to_write: int | None
    time: ExpectedTime

    @property
    def ledgers(self) -> int:
        """Number of ledgers to be copied."""
        return _ledgers(self.to_copy)

    @property
    def bytes_to_read(self) -> int | None:
        """Bytes of the objects to be read, as stored; None where that is not known."""
        return self.objects.size_bytes if self.objects else None


def make_forecast(
    prepared: Prepared,
    settings: Settings,
    counting: Counting = Counting.AUTO,
    clock: Callable[[], float] = time.monotonic,
) -> list[EraForecast]:
    """What a run would do, era by era, in the order of the plans. Lines of the log tell how far a long listing is.

    Args:
        clock: seconds, monotonic.

    Raises:
        StoreError: the lake or what is published cannot be listed.
    """
    newest = prepared.newest
    if newest is None and counting is not Counting.NONE:
        newest = prepared.lake.newest()
    found = []
    for plan, existence in zip(prepared.plans, prepared.existence, strict=True):
        published = existence.listing.published
        again = {one.partition for one in prepared.job.run.again if one.chain == plan.era.chain}
        existing = set(published).intersection(plan.partitions)
        replaced = existing if plan.era.allow_overwrite else existing & again
        to_copy = [one for one in plan.partitions if one not in existing or one in replaced]
        count = None
        if counting is not Counting.NONE:
            end = newest.ledger if newest else 0
            count = _count(prepared.lake, to_copy, end, counting, settings.logging.progress_seconds, clock)
        to_write = _bytes_to_write(settings, count)
        time_to_copy = expected_time(
            existence.listing.dataset,
            plan.era,
            published,
            _ledgers(to_copy),
            to_read=count.size_bytes if count else None,
            to_write=to_write,
            workers=settings.workers,
        )
        found.append(
            EraForecast(
                published=published,
                skipped=len(existing) - len(replaced),
                replaced=len(replaced),
                to_copy=to_copy,
                objects=count,
                bytes_to_write=to_write,
                time=time_to_copy,
            )
        )
    return found


def _ledgers(partitions: Iterable[Partition]) -> int:
    return sum(one.ledger_count for one in partitions)


def _bytes_to_write(settings: Settings, count: ObjectCount | None) -> int | None:
    """Parquet with zstd has the bytes of the lake's objects, within a tenth (docs/performance.md)."""
    return count.size_bytes if count and settings.bronze.compression == "zstd" else None


def _count(
    lake: Lake,
    to_copy: Sequence[Partition],
    newest: int,
    counting: Counting,
    every_s: float,
    clock: Callable[[], float],
) -> ObjectCount:
    """Count the objects of `to_copy`; what would lie behind the lake's `newest` ledger is missing without a listing."""
    layout = lake.layout
    files = list(_files(lake, to_copy))
    needed = sum(map(len, files))
    end = layout.file_start(newest) + 1 if newest else 0
    there = [part for one in files if (part := range(one.start, min(one.stop, max(end, one.start)), one.step))]
    beyond = [part for one in files if (part := one[len(range(one.start, min(one.stop, end), one.step)) :])]
    known = sum(map(len, there))
    if counting is Counting.AUTO and known > COUNTED_UNASKED:
        samples = _SAMPLES if lake.is_remote else _LOCAL_SAMPLES
        there = spread_files(layout, there, samples=samples, most=_SAMPLE_FILES)
    tally = _Tally(lake, to_copy)
    wanted = sum(map(len, there))
    for window in _told(count_objects(lake.store, layout, there), wanted, every_s, clock):
        tally.add(window)
    size = tally.size_bytes if wanted == known else None
    if size is None and tally.found:
        size = round(tally.size_bytes / tally.found * known)
    for one in beyond:
        tally.add(WindowCount(files=one, found=0, size_bytes=0, doubles=0, missing=[one], empty=[]))
    return ObjectCount(
        expected=needed,
        listed=tally.listed,
        missing=tally.missing,
        empty=tally.empty,
        doubles=tally.doubles,
        behind_newest=sum(map(len, beyond)),
        first_missing=lake.key(tally.missing_ledgers[0].start) if tally.missing_ledgers else "",
        size_bytes=size,
        missing_ledgers=tally.missing_ledgers,
        empty_ledgers=tally.empty_ledgers,
        lacking=len(tally.lacking),
        first_lacking=sorted(tally.lacking)[:_NAMED],
    )


def _files(lake: Lake, partitions: Iterable[Partition]) -> Iterator[range]:
    """The first ledgers of the files that hold `partitions`, which are in ledger order; each file once."""
    last: range | None = None
    for one in partitions:
        files = lake.file_starts(one.first_ledger, one.end)
        files = range(files[0], files[-1] + 1, files.step)
        if last is not None and files.start <= last[-1] + last.step:
            last = range(last.start, max(last.stop, files.stop), last.step)
            continue
        if last is not None:
            yield last
        last = files
    if last is not None:
        yield last


def _told(
    windows: Iterable[WindowCount], total: int, every_s: float, clock: Callable[[], float]
) -> Iterator[WindowCount]:
    """`windows` as they come; every `every_s` seconds, unless that is 0, a line of the log says how far they are."""
    began = shown = clock()
    done = 0
    for window in windows:
        yield window
        done += len(window.files)
        now = clock()
        if every_s and now - shown >= every_s and done < total:
            shown = now
            left = format_duration((now - began) / done * (total - done))
            _LOG.info("listing the lake: %s of %s objects, %s left", f"{done:,}", f"{total:,}", left)


class _Tally:
    """Adds windows up, which come in ledger order."""

    def __init__(self, lake: Lake, to_copy: Sequence[Partition]) -> None:
        self._layout = lake.layout
        self._partitions = PartitionIndex(to_copy)
        self.listed = self.found = self.size_bytes = self.doubles = self.missing = self.empty = 0
        self.missing_ledgers: list[Partition] = []
        self.empty_ledgers: list[Partition] = []
        self.lacking: set[Partition] = set()

    def add(self, window: WindowCount) -> None:
        """Add a window."""
        self.listed += len(window.files)
        self.found += window.found
        self.size_bytes += window.size_bytes
        self.doubles += window.doubles
        self.missing += sum(map(len, window.missing))
        self.empty += sum(map(len, window.empty))
        for runs, named in ((window.missing, self.missing_ledgers), (window.empty, self.empty_ledgers)):
            for run in runs:
                ledgers = Partition(max(run[0], FIRST_LEDGER), self._layout.file_end(run[-1]))
                self.lacking.update(self._partitions.overlapping(ledgers))
                if named and named[-1].end + 1 == ledgers.start:
                    named[-1] = Partition(named[-1].start, ledgers.end)
                elif len(named) < _NAMED:
                    named.append(ledgers)
