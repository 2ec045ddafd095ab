"""Where new partitions meet published ones: the lake must hold the same history there, before anything is copied.

Within a lake each ledger is linked to the one before it while it is copied. A lake of another history is consistent
too; it shows where what it would add meets what is published, in this era or in the one beside it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks
from bronze.errors import DataError, StateError, VerificationError
from bronze.ingest.decoder import FileDecoder
from bronze.lake.lake import Lake
from bronze.ledger.close_meta import CloseMeta, VerifyLevel
from bronze.ledger.hashes import check_hashes
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition

_FILE_BYTES = 2 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Published:
    """A published partition of an era."""

    era: Era
    partition: Partition


class Seams:
    """Compares a lake with what is published beside the partitions that are to be copied from it.

    Costs, for each unbroken run of new partitions, one manifest and one lake object at either end that meets a
    published partition, whatever the number of partitions.

    Args:
        published: the published partitions of each era, of this run and beside it.
        max_object: most bytes that one lake file may decode to.
    """

    def __init__(
        self, lake: Lake, dataset: Dataset, published: Mapping[Era, Collection[Partition]], *, max_object: int
    ) -> None:
        self._lake = lake
        self._dataset = dataset
        self._decoder = FileDecoder(lake, VerifyLevel.HEADER, max_object=max_object)
        found = [_Published(era, partition) for era, partitions in published.items() for partition in partitions]
        self._by_end = {(one.era.network, one.partition.end): one for one in found}
        self._by_start = {(one.era.network, one.partition.start): one for one in found}

    def check(self, era: Era, new: Sequence[Partition]) -> None:
        """Check the partitions `new` of `era` against their published neighbours.

        Raises:
            VerificationError: the lake and a published partition are of different histories; names both hashes.
        """
        for first, last in _unbroken(new):
            before = self._by_end.get((era.network, first.start - 1))
            links = self._links(before)
            ledger = self._ledger(first.first_ledger) if links else None
            if before and links and ledger and ledger.previous_ledger_hash.hex() != links.last_hash:
                raise VerificationError(
                    f"ledger {ledger.sequence} in the lake {self._lake.store.url} follows a ledger with the hash"
                    f" {ledger.previous_ledger_hash.hex()}, but ledger {links.last} of the published partition"
                    f" {before.era.chain} {before.partition} has {links.last_hash}: {self._remedy(before)}"
                )
            behind = self._by_start.get((era.network, last.end + 1))
            links = self._links(behind)
            ledger = self._ledger(last.end) if links else None
            if behind and links and ledger and ledger.ledger_hash.hex() != links.previous_hash:
                raise VerificationError(
                    f"ledger {ledger.sequence} in the lake {self._lake.store.url} has the hash"
                    f" {ledger.ledger_hash.hex()}, but ledger {links.first} of the published partition"
                    f" {behind.era.chain} {behind.partition} follows {links.previous_hash}: {self._remedy(behind)}"
                )

    def _links(self, published: _Published | None) -> LedgerLinks | None:
        """What links a published partition; None when there is none, or it is damaged: verify and the commit say so."""
        if published is None:
            return None
        try:
            return self._dataset.find_links(published.era, published.partition)
        except StateError:
            return None

    def _ledger(self, sequence: int) -> CloseMeta | None:
        """The ledger in the lake; None when it is missing or damaged: its partition fails by itself."""
        try:
            metas = self._decoder.decode(self._lake.layout.file_start(sequence), self._decoder.new_buffer(_FILE_BYTES))
            for meta in metas:
                if meta.sequence == sequence:
                    check_hashes(meta, VerifyLevel.HEADER)
                    return meta
        except DataError:
            pass
        return None

    def _remedy(self, published: _Published) -> str:
        directory = self._dataset.object_url(self._dataset.directory(published.era, published.partition))
        return (
            "one of them is of another history, and nothing was copied. Read the right lake; if the published partition"
            f" is the wrong one and its chain has no event of it, remove {directory} and run again"
        )


def _unbroken(partitions: Sequence[Partition]) -> Iterator[tuple[Partition, Partition]]:
    """The first and the last partition of each unbroken run of `partitions`, which are in ledger order."""
    first = last = None
    for partition in partitions:
        if first is None or last is None:
            first = last = partition
        elif partition.start == last.end + 1:
            last = partition
        else:
            yield first, last
            first = last = partition
    if first is not None and last is not None:
        yield first, last
