"""Tell when an era's settings are not those that its partitions were published with, and what happens then."""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

from bronze.commit.position import ChainPosition
from bronze.dataset.dataset import Dataset
from bronze.dataset.listing import DatasetListing
from bronze.errors import ConfigError
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

_LOG = logging.getLogger(__name__)


def warn_of_changes(listings: Sequence[DatasetListing], positions: Sequence[ChainPosition]) -> None:
    """Log a warning for each setting of an era that has changed since it was published; costs nothing.

    Args:
        positions: of the eras' chains, in the order of `listings`.
    """
    for listing, position in zip(listings, positions, strict=True):
        for sentence in changes(listing.era, listing.published, position.next_ledger):
            _LOG.warning("era %s: %s", listing.era.chain, sentence)


def changes(era: Era, published: Sequence[Partition], next_ledger: int) -> Iterator[str]:
    """A sentence for each setting of `era` that contradicts its `published` partitions, which are in ledger order."""
    if not published:
        return
    first, last = published[0], published[-1]
    if last.end > era.last_ledger:
        yield (
            f"is published up to ledger {last.end}, behind its ledger_end {era.ledger_end}: what lies behind stays"
            f" there, and another era must begin at ledger {last.end + 1}"
        )
    if era.ledger_start < first.start < next_ledger:
        yield (
            f"begins at ledger {era.ledger_start}, but the first published partition is {first} and the chain goes on"
            f" at {next_ledger}: ledgers {era.ledger_start}-{first.start - 1} are not copied unless the checkpoint is"
            f" set back to {max(era.ledger_start - 1, 0)}"
        )
    if first.start < era.ledger_start <= last.end:
        ends = (
            "" if (era.ledger_start - first.start) % era.partition_size == 0 else ", and new partitions end elsewhere"
        )
        yield (
            f"ledger_start is {era.ledger_start}, but its partitions are published from ledger {first.start} on: they"
            f" stay there{ends}. Set it back to {first.start}, or give the era another version_label"
        )
    if last.end + 1 < era.ledger_start:
        yield (
            f"ledger_start is {era.ledger_start}, but it is published up to ledger {last.end} only: ledgers"
            f" {last.end + 1}-{era.ledger_start - 1} will be in no partition. Set it back to {last.end + 1} or less, or"
            " give the era another version_label"
        )
    ((length, count),) = Counter(map(len, published)).most_common(1)
    if length != era.partition_size and count > 1 and count > len(published) / 2:
        yield (
            f"partition_size is {era.partition_size}, but {count} of {len(published)} published partitions have"
            f" {length} ledgers: they stay as they are, and new ones have up to {era.partition_size}"
        )


def warn_of_compression(dataset: Dataset, era: Era, last: Partition, compression: str) -> None:
    """Log a warning when the `last` published partition has another compression than the settings say.

    Raises:
        StateError: its parquet file cannot be read.
    """
    found = dataset.compression(era, last)
    if found != compression:
        _LOG.warning(
            "era %s: bronze.compression is %s, but the last published partition, %s, is compressed with %s: it stays as"
            " it is, and new ones have other checksums than the old setting would give. Set it back, or give the era"
            " another version_label",
            era.chain, compression, last, found,
        )  # fmt: skip


def check_no_other_era(published: Mapping[Era, Collection[Partition]], era: Era, new: Sequence[Partition]) -> None:
    """Check that no other era of the same version has published ledgers of the partitions `new` of `era`.

    That can be where an era was published without an end and was given one afterwards.

    Args:
        published: the published partitions of each era that is known.
        new: in ledger order.

    Raises:
        ConfigError: one has; each ledger would be there twice.
    """
    ends = [one.end for one in new]
    for other, theirs in published.items():
        if (other.network, other.version_label) != (era.network, era.version_label) or other.chain == era.chain:
            continue
        for partition in sorted(theirs):
            at = bisect_left(ends, partition.start)
            if at < len(new) and new[at].overlaps(partition):
                raise ConfigError(
                    f"era {era.era_id!r} would publish ledgers of its partition {new[at]} a second time: era"
                    f" {other.era_id!r} has published them as {partition}, up to ledger {max(theirs).end} in all,"
                    f" behind its ledger_end {other.ledger_end}. Set ledger_end of {other.era_id!r} to"
                    f" {max(theirs).end} and ledger_start of {era.era_id!r} to {max(theirs).end + 1}, or publish the"
                    " new eras under another version_label"
                )
