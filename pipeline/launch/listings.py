"""The listings of what is published, shared by everything in a run that asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from bronze.dataset.listing import DatasetListing, list_dataset
from bronze.partitioning.era import Era


class Listings:
    """What is published of each era, as the run listed it last: at its start, and again after it has published.

    Args:
        listed: of each era of the run, as the run was prepared.
    """

    def __init__(self, listed: Iterable[DatasetListing]) -> None:
        self._listed = {listing.era.chain: listing for listing in listed}
        self._outdated: set[str] = set()

    def of(self, era: Era) -> DatasetListing:
        """The listing of `era`; costs one listing where it is outdated."""
        listing = self._listed[era.chain]
        if era.chain in self._outdated:
            listing = self._listed[era.chain] = list_dataset(listing.dataset, era)
            self._outdated.remove(era.chain)
        return listing

    def forget(self) -> None:
        """Partitions were published: what was listed is outdated."""
        self._outdated = set(self._listed)
