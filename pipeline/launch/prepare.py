"""From settings to a run that is ready to start: open the lake, read the position of each chain, plan partitions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from bronze.commit.existence import Existence, check_existence
from bronze.commit.position import ChainPosition
from bronze.dataset.listing import list_dataset
from bronze.job.connections import Connections
from bronze.job.spec import CopyJob, MissingPartition
from bronze.lake.lake import Lake, NewestObject
from bronze.lake.opening import LakeOptions, open_lake
from bronze.log_fields import set_process_fields
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition
from bronze.partitioning.plan import EraPlan, plan_era
from bronze.storage.location import StorageLocation
from bronze.storage.opening import open_store
from pipeline.launch.again import era_of, plan_again, stated_partition
from pipeline.launch.era_changes import warn_of_changes
from pipeline.launch.job import make_job, make_secrets
from pipeline.launch.lake_start import check_lake_start
from pipeline.launch.listings import Listings
from pipeline.launch.places import find_places, warn_of_nested
from pipeline.launch.seams import check_seams
from pipeline.settings.directories import checked_locations
from pipeline.settings.model import LAKE_SECTIONS, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """A run that is ready to start.

    Attributes:
        connections: of the launching process; whoever called `prepare` closes them.
        newest: the lake's newest object; None when no era asked for it.
        plans: what is to be copied, for each era.
        positions: where each era's chain continues, in the order of `plans`.
        existence: how what is published agrees with each chain, in the order of `plans`.
        listings: what is published; known when the run is prepared, and listed again after it has published.
    """

    connections: Connections
    lake: Lake
    newest: NewestObject | None
    plans: Sequence[EraPlan]
    positions: Sequence[ChainPosition]
    existence: Sequence[Existence]
    listings: Listings

    @property
    def job(self) -> CopyJob:
        """The job that workers are told of."""
        return self.connections.job


def prepare(
    settings: Settings,
    era_ids: Sequence[str] = (),
    *,
    partial: bool = False,
    dry_run: bool = False,
    again: Partition | None = None,
    available_only: bool = False,
    writes: bool = True,
    before_planning: Callable[[Connections], object] = lambda _: None,
) -> Prepared:
    """Find out what a run with these settings has to do; writes nothing itself.

    Args:
        era_ids: only these eras; all active ones when empty.
        partial: publish the incomplete last partition of an era without an end, whatever the settings say.
        dry_run: prepare a run that writes nothing either.
        again: make this partition anew, and copy nothing else.
        available_only: plan only complete partitions that the lake has, also of eras with an end.
        writes: whether the run that is prepared will be made, and write; a dry run never does.
        before_planning: called before the lake's end and the chains' positions are read: a run takes its locks there,
            so that it plans after what others have published and committed.

    Raises:
        ConfigError: the settings, or what they refer to, are not usable.
        DataError: the lake's layout or the state of a chain is damaged, nothing that a chain says exists is there, or
            the lake is of another history than what is published.
    """
    locations = checked_locations(settings, writes=writes and not dry_run)
    eras = settings.active(era_ids or None)
    if again is not None:
        eras = [era_of(eras, again)]
    assert locations.lake is not None
    lake = open_configured_lake(settings, locations.lake, eras)
    job = make_job(settings, locations, eras, lake, dry_run=dry_run)
    set_process_fields(run_id=job.run.run_id)
    with ExitStack() as stack:
        connections = stack.enter_context(Connections(job, make_secrets(settings)))
        warn_of_nested(find_places(connections))
        before_planning(connections)
        partial = partial or settings.bronze.publish_partial
        prepared = _plan(settings, connections, lake, partial=partial, again=again, available_only=available_only)
        stack.pop_all()
    return prepared


def prepare_next(settings: Settings, before: Prepared) -> Prepared:
    """Plan anew what the lake has by now, with the locks and the connections of the run that `before` began.

    Raises:
        DataError: as `prepare`.
    """
    return _plan(settings, before.connections, before.lake, partial=False, again=None, available_only=True)


def _plan(
    settings: Settings,
    connections: Connections,
    lake: Lake,
    *,
    partial: bool,
    again: Partition | None,
    available_only: bool,
) -> Prepared:
    eras = connections.job.eras
    newest = lake.newest() if available_only or any(era.ledger_end == 0 for era in eras) else None
    newest_ledger = newest.ledger if newest else None
    positions = [connections.sequencer(era).position() for era in eras]
    existence = [_check_existence(connections, era, newest_ledger) for era in eras]
    warn_of_changes([found.listing for found in existence], positions)
    stated: tuple[MissingPartition, ...] = ()
    if again is not None:
        plans = [plan_again(again, existence[0])]
        stated = (stated_partition(connections, existence[0], again),)
    else:
        plans = [
            plan_era(
                era,
                position.next_ledger,
                newest_ledger,
                found.listing,
                partial=partial,
                unfinished=(*found.missing, *found.unfinished),
                available_only=available_only,
            )
            for era, position, found in zip(eras, positions, existence, strict=True)
        ]
    for plan, found in zip(plans, existence, strict=True):
        # A lake that lacks what is to be made again or finished fails those partitions alone.
        lost = found.missing.keys() | {again, *found.unfinished}
        new = tuple(partition for partition in plan.partitions if partition not in lost)
        check_lake_start(lake, replace(plan, partitions=new), found.listing)
    check_seams(settings, connections, lake, plans, [found.listing for found in existence])
    missing = tuple(
        MissingPartition(chain=found.listing.era.chain, partition=partition, checksum=checksum)
        for found in existence
        for partition, checksum in found.missing.items()
    )
    connections.job = replace(connections.job, run=replace(connections.job.run, missing=missing, again=stated))
    return Prepared(
        connections=connections,
        lake=lake,
        newest=newest,
        plans=plans,
        positions=positions,
        existence=existence,
        listings=Listings(found.listing for found in existence),
    )


def _check_existence(connections: Connections, era: Era, newest: int | None) -> Existence:
    checkpoint = connections.checkpoint(era)
    return check_existence(
        list_dataset(connections.dataset(), era),
        connections.event_log(era),
        checkpoint.load() if checkpoint else None,
        last_ledger=era.ledger_end or newest or 0,
    )


def connect_without_lake(settings: Settings, era_ids: Sequence[str] = (), *, writes: bool = True) -> Connections:
    """Connections to what was published and to its chains; the lake's settings are not looked at.

    Args:
        era_ids: only these eras; all active ones when empty.
        writes: whether anything is to be written.

    Raises:
        ConfigError: the settings, or what they refer to, are not usable.
    """
    locations = checked_locations(settings, unused=LAKE_SECTIONS, writes=writes)
    job = make_job(settings, locations, settings.active(era_ids or None), lake=None)
    return Connections(job, make_secrets(settings))


def open_configured_lake(settings: Settings, location: StorageLocation, eras: Sequence[Era]) -> Lake:
    """The lake at `location`, with the layout and the network that the settings state.

    Raises:
        ConfigError, DataError: what the settings, the lake's own configuration and its names state does not agree.
        StoreError: the lake does not answer.
    """
    source = settings.source
    options = LakeOptions(
        network=eras[0].network,
        passphrase=source.network_passphrase or None,
        ledgers_per_file=source.ledgers_per_file or None,
        files_per_directory=source.files_per_directory or None,
        extension=source.extension or None,
    )
    return open_lake(open_store(location), options)
