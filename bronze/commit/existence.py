"""Compare what a chain says exists with what is published: at the start of every run, by listings alone.

The chain's partitions come from the names of its event files, and from the last committed partition of the checkpoint.
Each of them must be published, or all of its ledgers must lie in other published partitions. What is missing is made
again with the content that the chain states, and is an error otherwise. Nothing is read from the dataset unless
something is wrong with it. An event file that is missing between others is an error: the checkpoint knows their names.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from bronze.audit.event import is_of_older_copier
from bronze.audit.event_log import EventLog
from bronze.commit.chain_end import ChainEnd
from bronze.commit.checkpoint import Checkpoint
from bronze.commit.recent_events import check_names
from bronze.dataset.listing import DatasetListing
from bronze.errors import StateError
from bronze.partitioning.partition import Partition, uncovered_ranges
from bronze.partitioning.partition_index import PartitionIndex


@dataclass(frozen=True, slots=True, kw_only=True)
class Existence:
    """How the partitions of an era and its chain agree; all is well when everything but `listing` is empty.

    Attributes:
        listing: the partitions by their names.
        missing: partitions of the chain that are not published, with the checksum that the chain states (empty when it
            states none): to be made again.
        unfinished: partitions whose parquet file has no manifest and that nothing else covers: to be finished before
            another partition with these ledgers is published, so that no ledger is ever in two parquet files.
        superfluous: parquet files without a manifest whose ledgers lie in other partitions: to be removed before
            anything is published.
        uncorrected: partitions that were replaced and whose events still state the content before, a sentence each.
        pruned_end: the chain's end as the checkpoint is to state it, when its oldest event files were removed: else
            every run would read those that are left.
        problems: missing partitions that cannot be made again, published ones that hold ledgers of another one, and
            parquet files without a manifest that no run with these settings finishes, a sentence each.
    """

    listing: DatasetListing
    missing: Mapping[Partition, str]
    unfinished: tuple[Partition, ...]
    superfluous: tuple[Partition, ...]
    uncorrected: Mapping[Partition, str]
    problems: Mapping[Partition, str]
    pruned_end: ChainEnd | None = None


def check_existence(
    listing: DatasetListing, log: EventLog | None, checkpoint: Checkpoint | None, *, last_ledger: int
) -> Existence:
    """Compare the published partitions of an era with its chain.

    Args:
        log: the chain's event files; None when no audit stream is written.
        checkpoint: the chain's checkpoint; None when there is none.
        last_ledger: the last ledger (inclusive) that a run can copy: the era's or the lake's.

    Raises:
        StateError: nothing of the chain is there, as when a volume is not mounted; an event file is damaged, or missing
            between others.
    """
    era = listing.era
    names = log.names() if log else []
    in_chain = set(log.partitions_of(names)) if log else set()
    named = _named_by(checkpoint)
    committed = in_chain | named.keys()
    if listing.is_empty and committed:
        return _nothing_there(listing, log, in_chain, max(committed))
    gaps = _gaps(listing, committed)
    absent = [one for one in committed - set(listing.published) if _gap_at(one, gaps)]
    stated = {
        partition: checksum or named.get(partition, "") for partition, checksum in _made_here(log, in_chain, absent)
    }
    # Without an event these show that there was a partition: its manifest, or the mark of its replacement.
    next_ledger = checkpoint.last_ledger + 1 if checkpoint else 0
    for partition in {*listing.bare, *listing.replaced} - set(listing.published) - committed:
        if partition.end < next_ledger and _gap_at(partition, gaps):
            stated[partition] = _bare_checksum(listing, partition)
    missing, problems = _disjoint(stated, gaps)
    taken = PartitionIndex((*listing.published, *listing.bare, *missing))
    unfinished: list[Partition] = []
    superfluous: list[Partition] = []
    for orphan in sorted(set(listing.orphans) - set(missing), key=lambda one: (one.start, -one.end)):
        if taken.overlapping(orphan) or (unfinished and unfinished[-1].end >= orphan.start):
            superfluous.append(orphan)
        elif era.ledger_start <= orphan.start and orphan.end <= era.last_ledger and orphan.start <= last_ledger:
            unfinished.append(orphan)
        else:
            problems[orphan] = _beyond(listing, orphan, last_ledger)
    return Existence(
        listing=listing,
        missing=dict(sorted(missing.items())),
        unfinished=tuple(unfinished),
        superfluous=tuple(superfluous),
        uncorrected=_uncorrected(listing, log),
        problems=dict(sorted({**problems, **find_overlaps(listing, log)}.items())),
        pruned_end=check_names(log, names, checkpoint) if log else None,
    )


def _beyond(listing: DatasetListing, orphan: Partition, last_ledger: int) -> str:
    key = listing.dataset.parquet_key(listing.era, orphan)
    return (
        f"{listing.dataset.object_url(key)} has no manifest, so readers of all parquet files find ledgers that are not"
        f" published, and this run does not finish it: it copies ledgers {listing.era.ledger_start} to"
        f" {min(last_ledger, listing.era.last_ledger)} only, as far as era and lake reach. If no other copier publishes"
        " it just now, run once with an end and a lake that hold it, or remove its directory"
    )


def find_overlaps(listing: DatasetListing, log: EventLog | None) -> dict[Partition, str]:
    """The published partitions that hold ledgers of another published one, a sentence each.

    That is what copiers leave that ran at the same time with other partition sizes or ends, where nothing kept them
    apart. Of two, the one without an event is named: the other one is in the chain for good.
    """
    pairs = list(_overlapping_pairs(listing.published))
    in_chain = log.list_partitions() if log and pairs else frozenset()
    found = {}
    for one, other in pairs:
        wrong, right = (one, other) if other in in_chain else (other, one)
        directory = listing.dataset.object_url(listing.dataset.directory(listing.era, wrong))
        remedy = f"Remove {directory}, or the directory of {right}"
        if right in in_chain and wrong not in in_chain:
            remedy = f"It has no event: remove {directory}"
        found[wrong] = (
            f"it holds ledgers of the published partition {right} too, so that readers find these twice: another copier"
            f" published one of them at the same time, with another size or end. {remedy}"
        )
    return found


def _overlapping_pairs(published: Iterable[Partition]) -> Iterator[tuple[Partition, Partition]]:
    """Each partition, in ledger order, that overlaps one before it, behind the one of these that reaches furthest."""
    furthest: Partition | None = None
    for partition in published:
        if furthest is not None and partition.start <= furthest.end:
            yield furthest, partition
        if furthest is None or partition.end > furthest.end:
            furthest = partition


def settle_replacements(listing: DatasetListing, log: EventLog | None) -> dict[Partition, str]:
    """Remove the marks of replacements whose correction is in the chain, or that changed nothing.

    Returns:
        What is uncorrected still, see `Existence`.
    """
    uncorrected = _uncorrected(listing, log)
    for partition in set(listing.replaced) & set(listing.published) - uncorrected.keys():
        listing.dataset.unmark_replacing(listing.era, partition)
    return uncorrected


def _uncorrected(listing: DatasetListing, log: EventLog | None) -> dict[Partition, str]:
    """The published partitions that were replaced while their events still state the content before."""
    found = {}
    for partition in sorted(set(listing.replaced) & set(listing.published)):
        event = log.latest(partition)[0] if log else None
        manifest = listing.find_manifest(listing.era, partition)
        if event is None or manifest is None or event.checksum == manifest.checksum:
            continue
        found[partition] = (
            f"its event states the checksum {event.checksum}, but {manifest.checksum} is published: a run with"
            " allow_overwrite replaced it and ended before it made the new event. Run once more with allow_overwrite,"
            " which completes that"
        )
    return found


def _nothing_there(
    listing: DatasetListing, log: EventLog | None, in_chain: Collection[Partition], last: Partition
) -> Existence:
    """Refuse to copy anything, unless the older copier made the chain so far: its partitions may lie elsewhere."""
    dataset, era = listing.dataset, listing.era
    event = log.latest(last)[0] if log and last in in_chain else None
    if event is None or not is_of_older_copier(event):
        count = f"{len(in_chain)} event files in {log.where}" if log and in_chain else "the checkpoint"
        raise StateError(
            f"nothing of the chain {era.chain} is published, although {count} say that it reaches ledger {last.end}:"
            f" expected for example {dataset.object_url(dataset.parquet_key(era, last))}. Is the volume mounted, and"
            " are the storage settings and bronze.primary_table those that it was written with? Nothing was copied. If"
            " the data is lost, restore it; to copy everything again, remove the checkpoint of the chain"
            + (", its event files and its line in the chain heads" if log else "")
        )
    return Existence(listing=listing, missing={}, unfinished=(), superfluous=(), uncorrected={}, problems={})


def _made_here(
    log: EventLog | None, in_chain: Collection[Partition], absent: Iterable[Partition]
) -> Iterable[tuple[Partition, str]]:
    """The partitions of `absent` with the checksums of their events, without those of the older copier.

    Of partitions that follow each other without a gap, those below one of the older copier's are its too.
    """
    older: Partition | None = None
    for partition in sorted(absent, reverse=True):
        if older is not None and partition.end + 1 == older.start:
            older = partition
            continue
        event = log.latest(partition)[0] if log and partition in in_chain else None
        if event is not None and is_of_older_copier(event):
            older = partition
            continue
        yield partition, event.checksum if event else ""


def _named_by(checkpoint: Checkpoint | None) -> dict[Partition, str]:
    """The partition that a run committed last, with its checksum; none where an operator edited the checkpoint."""
    if checkpoint is None or checkpoint.partition is None or checkpoint.partition.end != checkpoint.last_ledger:
        return {}
    return {checkpoint.partition: checkpoint.checksum}


def _bare_checksum(listing: DatasetListing, partition: Partition) -> str:
    """The checksum that the manifest states; empty when there is none, or none that can be read."""
    if partition not in listing.bare:
        return ""
    try:
        manifest = listing.dataset.find_manifest(listing.era, partition, check_file=False)
    except StateError:  # its partition fails by itself, with this message
        return ""
    return manifest.checksum if manifest else ""


def _gaps(listing: DatasetListing, committed: Collection[Partition]) -> list[Partition]:
    """The ranges of ledgers up to the highest known one that no published partition covers, in ledger order."""
    known = (*committed, *listing.bare, *listing.replaced)
    return uncovered_ranges(listing.published, 0, max((one.end for one in known), default=0))


def _gap_at(partition: Partition, gaps: Sequence[Partition]) -> Partition | None:
    """The first of `gaps` that overlaps `partition`; they are in ledger order and do not overlap each other."""
    at = bisect_left(gaps, partition.start, key=lambda gap: gap.end)
    return gaps[at] if at < len(gaps) and gaps[at].start <= partition.end else None


def _disjoint(
    stated: Mapping[Partition, str], gaps: Sequence[Partition]
) -> tuple[dict[Partition, str], dict[Partition, str]]:
    """Those of `stated` that overlap neither each other nor what is published, and why the others cannot be made.

    Of two that overlap each other the longer one counts; the other one needs none of its own when that holds it.
    """
    missing: dict[Partition, str] = {}
    problems: dict[Partition, str] = {}
    chosen: list[Partition] = []
    for partition in sorted(stated, key=lambda one: (-len(one), one)):
        gap, other = _gap_at(partition, gaps), _gap_at(partition, chosen)
        if gap and gap.start <= partition.start and partition.end <= gap.end and other is None:
            missing[partition] = stated[partition]
            insort(chosen, partition)
        elif other is None or not (other.start <= partition.start and partition.end <= other.end):
            problems[partition] = (
                "its files are missing, and it cannot be made again because other partitions hold some of its ledgers:"
                " restore it and remove those, or remove its event file"
            )
    return missing, problems
