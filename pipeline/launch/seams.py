"""Compare the lake with what is published, where a run's new partitions meet it, before anything is copied."""

from __future__ import annotations

from collections.abc import Sequence

from bronze.dataset.listing import DatasetListing, list_dataset
from bronze.job.connections import Connections
from bronze.lake.lake import Lake
from bronze.partitioning.era import Era
from bronze.partitioning.plan import EraPlan
from pipeline.launch.era_changes import check_no_other_era, warn_of_compression
from pipeline.settings.model import Settings


def check_seams(
    settings: Settings,
    connections: Connections,
    lake: Lake,
    plans: Sequence[EraPlan],
    listings: Sequence[DatasetListing],
) -> None:
    """Check that the lake continues what is published, also in the eras beside those of the run.

    Costs nothing when there is nothing new, else a few requests (`bronze.ingest.seams`), and a listing of each era that
    is configured beside those of the run and not one of them.

    Raises:
        ConfigError: another era has published some of the ledgers.
        StateError: the last published file cannot be read.
        VerificationError: the lake is of another history.
    """
    published = {found.era: set(found.published) for found in listings}
    # What is replaced is new too, and must link to what is not.
    replaced = {plan.era: published[plan.era] & set(plan.partitions) for plan in plans if plan.era.allow_overwrite}
    for plan in plans:
        published[plan.era] -= replaced.get(plan.era, set())
    new = {plan.era: [one for one in plan.partitions if one not in published[plan.era]] for plan in plans}
    if not any(new.values()):
        return
    from bronze.ingest.seams import Seams  # pyarrow takes a while to load

    for era in _beside(settings, list(published)):
        published[era] = set(list_dataset(connections.dataset(), era).published)
    for era, partitions in new.items():
        check_no_other_era(published, era, [one for one in partitions if one not in replaced.get(era, ())])
    seams = Seams(lake, connections.dataset(), published, max_object=connections.source().max_file_bytes)
    for era, partitions in new.items():
        seams.check(era, partitions)
        if partitions and published[era] and not era.allow_overwrite:
            warn_of_compression(connections.dataset(), era, max(published[era]), settings.bronze.compression)


def _beside(settings: Settings, eras: Sequence[Era]) -> list[Era]:
    """The configured eras that end right before one of `eras`, or begin right behind one, and are none of them."""
    return [
        other
        for other in settings.all_eras()
        if other not in eras
        and any(
            other.network == era.network
            and (
                other.ledger_end == era.ledger_start - 1
                or (era.ledger_end and other.ledger_start == era.ledger_end + 1)
            )
            for era in eras
        )
    ]
