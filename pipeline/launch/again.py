"""Make one partition anew (``run --partition A-B --again``): what is stated of it, and the plan of such a run."""

from __future__ import annotations

from collections.abc import Sequence

from bronze.commit.existence import Existence
from bronze.errors import ConfigError, StateError
from bronze.job.connections import Connections
from bronze.job.spec import MissingPartition
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan


def era_of(eras: Sequence[Era], partition: Partition) -> Era:
    """The era that holds `partition`. Raises `ConfigError` when none does."""
    for era in eras:
        if era.ledger_start <= partition.start and partition.end <= era.last_ledger:
            return era
    raise ConfigError(
        f"partition {partition} lies in none of the eras"
        f" {', '.join(f'{era.era_id} ({era.ledger_start}-{era.last_ledger})' for era in eras)}"
    )


def plan_again(partition: Partition, found: Existence) -> EraPlan:
    """The plan of a run that makes `partition` anew and nothing else."""
    return EraPlan(
        era=found.listing.era, start=partition.start, end=partition.end, incomplete_tail=0, partitions=(partition,)
    )


def stated_partition(connections: Connections, found: Existence, partition: Partition) -> MissingPartition:
    """`partition` with the checksum that is stated of it: by its event, else by the checkpoint, else by its manifest.

    Raises:
        ConfigError: there is no such partition.
        StateError: nothing states what it held, or an event file is damaged.
    """
    listing, era = found.listing, found.listing.era
    log, file = connections.event_log(era), connections.checkpoint(era)
    event = log.latest(partition)[0] if log else None
    checkpoint = file.load() if file else None
    checksum = event.checksum if event else found.missing.get(partition, "")
    if not checksum and checkpoint and checkpoint.partition == partition:
        checksum = checkpoint.checksum
    is_listed = partition in {*listing.published, *listing.orphans, *listing.bare, *listing.replaced}
    if not checksum and is_listed:
        try:
            manifest = listing.dataset.find_manifest(era, partition, check_file=False)
        except StateError as error:
            raise StateError(f"{error}. {_remedy(found, partition)}") from error
        checksum = manifest.checksum if manifest else ""
        if not checksum:
            raise StateError(f"partition {era.chain} {partition} has no manifest. {_remedy(found, partition)}")
    if not checksum:
        beside = [str(one) for one in listing.published if one.overlaps(partition)][:3]
        raise ConfigError(
            f"there is no partition {era.chain} {partition} to make again: it is neither published nor in the chain"
            + (f"; those with its ledgers are {', '.join(beside)}" if beside else "")
        )
    return MissingPartition(chain=era.chain, partition=partition, checksum=checksum)


def _remedy(found: Existence, partition: Partition) -> str:
    directory = found.listing.dataset.object_url(found.listing.dataset.directory(found.listing.era, partition))
    return (
        "No event states what the partition held, so it cannot be made again with the same content: remove"
        f" {directory} and run without --again"
    )
