"""Whether the file systems that are written to have room for what is planned."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from bronze.lake.layout import other_extension, with_extension
from bronze.partitioning.partition import Partition
from pipeline.launch.checkup.check import Check, fails, holds, unused
from pipeline.launch.prepare import Prepared
from pipeline.settings.model import Settings
from pipeline.sizes import format_size

#: What an event and a manifest take of a disk, each in a block of its own, directories included.
_SMALL_FILES = 32 << 10
#: Files and directories of one partition: parquet, manifest, event, and the directory.
_FILES = 4
#: Bytes of parquet for each byte of the lake, at most.
_PARQUET_FACTOR = 1.12
#: Lake objects whose sizes are asked for.
_SAMPLED = 16


def check_space(settings: Settings, prepared: Prepared, expansion: float) -> Check:
    """Compare the free space of the file systems that are written to with what the plan needs there.

    Args:
        expansion: bytes of a lake object when decompressed, for each byte as stored.
    """
    name, job = "space", prepared.job
    new: list[Partition] = []
    for plan, existence in zip(prepared.plans, prepared.existence, strict=True):
        published = set() if plan.era.allow_overwrite else set(existence.listing.published)
        new += [partition for partition in plan.partitions if partition not in published]
    needs: dict[str, int] = defaultdict(int)
    source = ""
    if job.target.location.scheme == "local" and new:
        each, source = _bytes_for_each_ledger(settings, prepared, new, expansion)
        needs[job.target.location.path] += round(each * sum(one.ledger_count for one in new))
    for location in (job.target.location, job.chain.events, job.chain.checkpoint):
        if location is not None and location.scheme == "local":
            needs[location.path] += _SMALL_FILES * len(new)
    if not needs:
        return unused(name, "everything is written to buckets, whose limits cannot be asked for")
    found = list(_file_systems(needs, len(new)))
    words = "; ".join(sentence for sentence, _ in found)
    if source:
        words += f" ({source})"
    if all(is_enough for _, is_enough in found):
        return holds(name, words)
    remedy = "free space, choose a larger file system, or copy less at once (era.ledger_end, --eras)"
    return fails(name, words, remedy)


def _file_systems(needs: dict[str, int], partitions: int) -> Iterator[tuple[str, bool]]:
    """For each file system what it has and needs, and whether that is enough."""
    by_device: dict[int, list[str]] = defaultdict(list)
    for path in needs:
        by_device[_existing(path).stat().st_dev].append(path)
    for paths in by_device.values():
        figures = os.statvfs(_existing(paths[0]))
        free, need = figures.f_bavail * figures.f_frsize, sum(needs[path] for path in paths)
        needed = f"the plan needs about {format_size(need)}" if need else "nothing is to be written"
        words = f"{', '.join(paths)}: {format_size(free)} free, {needed}"
        files = _FILES * partitions
        lacks_files = bool(figures.f_files) and figures.f_favail < files
        if lacks_files:
            words += f", and {files:,} files, of which only {figures.f_favail:,} can be created (inodes)"
        yield words, free >= need and not lacks_files


def _existing(path: str) -> Path:
    """The nearest directory that exists, to which a file system belongs."""
    found = Path(path)
    while not found.exists() and found != found.parent:
        found = found.parent
    return found


def _bytes_for_each_ledger(
    settings: Settings, prepared: Prepared, partitions: Sequence[Partition], expansion: float
) -> tuple[float, str]:
    """Bytes that a ledger takes in parquet, and what that was taken from.

    A parquet file with zstd has 0.9 (testnet) to 1.12 (small sample ledgers) times the bytes of the lake's objects;
    pubnet's 1.0. With another compression the decompressed bytes are the upper bound.
    """
    sizes = _sampled_sizes(prepared, partitions)
    if not sizes:
        return 0.0, "none of the sampled lake objects is there: bytes of ledgers not counted"
    each = sum(sizes) / len(sizes) / prepared.lake.layout.ledgers_per_file
    what = f"from {len(sizes)} lake objects of the plan"
    if settings.bronze.compression == "zstd":
        each *= _PARQUET_FACTOR
    else:
        each, what = each * expansion, f"at most, {what}, decompressed"
    return each, f"{format_size(each)} for each ledger, {what}"


def _sampled_sizes(prepared: Prepared, partitions: Sequence[Partition]) -> list[int]:
    """Bytes of lake objects, evenly spread over `partitions`; those that are not there are left out."""
    lake, sizes = prepared.lake, []
    ledgers = sum(one.ledger_count for one in partitions)
    wanted = iter(ledgers * (2 * number + 1) // (2 * _SAMPLED) for number in range(_SAMPLED))
    at: int | None = next(wanted)
    before, keys = 0, dict[str, None]()
    for partition in partitions:
        while at is not None and at < before + partition.ledger_count:
            keys[lake.key(partition.first_ledger + at - before)] = None
            at = next(wanted, None)
        before += partition.ledger_count
    for key in keys:
        other = with_extension(key, other_extension(lake.layout.extension))
        found = lake.store.size(key)
        found = lake.store.size(other) if found is None else found
        if found is not None:
            sizes.append(found)
    return sizes
