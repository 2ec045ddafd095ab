"""From settings to history archives, and what they confirm of each chain once a run has copied."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from bronze.commit.anchoring import Anchoring, Standing
from bronze.commit.position import ChainPosition
from bronze.dataset.listing import DatasetListing
from bronze.job.connections import Connections
from bronze.job.spec import ArchiveSpec
from bronze.log_fields import chain_fields, log_fields
from bronze.measurements import LEDGER_ANCHORED, report
from bronze.partitioning.partition import Partition
from bronze.stellar import known_passphrase
from pipeline.launch.listings import Listings
from pipeline.settings.model import Settings

_LOG = logging.getLogger(__name__)


def make_archives(settings: Settings, network: str, stated_passphrase: str | None = None) -> ArchiveSpec | None:
    """The history archives that `settings` name; None when they name none.

    Args:
        stated_passphrase: as the lake's ``.config.json`` states it, if that is known.
    """
    section = settings.authenticity
    if not section.archives:
        return None
    return ArchiveSpec(
        urls=section.archives,
        needed=section.archives_agree or len(section.archives),
        passphrase=settings.source.network_passphrase or stated_passphrase or known_passphrase(network),
    )


def ask_archives(
    connections: Connections, listings: Listings, positions: Sequence[ChainPosition], *, is_stopped: bool = False
) -> dict[str, Anchoring]:
    """Ask about the committed partitions that are not confirmed, and say by chain how far each is; none without any.

    Args:
        positions: in the order of the job's eras.
        is_stopped: whether the run was asked to stop: then nothing is asked, and what is recorded counts.
    """
    found = {}
    for era, position in zip(connections.job.eras, positions, strict=True):
        if connections.job.chain.archives is None:
            break
        catch_up = connections.archive_catch_up(era, committed_partitions(listings.of(era), position.next_ledger - 1))
        assert catch_up is not None
        anchoring = catch_up.read() if is_stopped else catch_up.ask()
        found[era.chain] = anchoring
        for one in anchoring.of(Standing.FAILS):
            _LOG.warning("%s", one.error)
        if anchoring.through is not None:
            with log_fields(**chain_fields(era.chain)):
                report(LEDGER_ANCHORED, anchoring.through)
    return found


def committed_partitions(listing: DatasetListing, last: int) -> list[Partition]:
    """The published partitions up to the last committed ledger."""
    return [partition for partition in listing.published if partition.end <= last]


def archive_problems(found: Mapping[str, Anchoring]) -> dict[str, list[str]]:
    """By chain, what archives contradict, and those that are of another network, a sentence each."""
    problems = {chain: [one.error for one in found[chain].of(Standing.CONTRADICTS)] for chain in found}
    return {chain: sentences for chain, sentences in problems.items() if sentences}


def unconfirmed(found: Mapping[str, Anchoring]) -> list[str]:
    """The chains that fewer archives than needed confirm as far as they reach, a sentence each."""
    return [
        f"{chain}: {len(one.of(Standing.CONFIRMS, Standing.LAGS))} of the {one.needed} history archives that have to"
        " agree could be asked and agree (authenticity.archives_strict): "
        + "; ".join(
            archive.error or f"{archive.url} was not asked"
            for archive in one.of(Standing.FAILS, Standing.UNASKED, Standing.CONTRADICTS)
        )
        for chain, one in found.items()
        if one.lacks_answers
    ]
