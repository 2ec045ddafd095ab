"""Check the published partitions of one era against its chain, trusting nothing.

Checked are every event's hash and link, every manifest against its event, every parquet file against its checksum,
ledger hashes from partition to partition, the chain head and the checkpoint.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from bronze.audit.event import Event
from bronze.audit.event_log import EventLog
from bronze.commit.checkpoint import Checkpoint, CheckpointFile
from bronze.commit.position import check_chain_end, resume_point
from bronze.dataset.dataset import Dataset
from bronze.dataset.manifest import LedgerLinks, Manifest
from bronze.errors import (
    AccessDeniedError,
    DataError,
    NotAnObjectError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    StateError,
)
from bronze.partitioning.era import Era
from bronze.partitioning.partition import Partition, uncovered_ranges

#: Failures of a single file: reported as its problem, the other files are still checked. A store that does not answer
#: at all ends the verification.
_SINGLE_FILE_ERRORS = (
    DataError,
    OSError,
    ObjectNotFoundError,
    ObjectTooLargeError,
    NotAnObjectError,
    AccessDeniedError,
)


@dataclass(slots=True)
class Verification:
    """What was found; `problems` is empty when everything holds.

    Attributes:
        chain: ``network/era_id/version_label``.
        events, partitions: number of event files and of published partitions.
        rows, bytes: sums over the partitions, by their manifests.
        first, last: inclusive ledgers that the partitions reach from and to; None without a partition.
        head: hash of the last event; empty without events.
        gaps: inclusive ranges of ledgers without a partition, from the era's start up to where the chain is
            committed, and up to the last partition where that reaches further.
        problems: one sentence each.
    """

    chain: str
    events: int = 0
    partitions: int = 0
    rows: int = 0
    bytes: int = 0
    first: int | None = None
    last: int | None = None
    head: str = ""
    gaps: list[Partition] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def verify_chain(
    era: Era, dataset: Dataset, *, log: EventLog | None = None, checkpoint: CheckpointFile | None = None
) -> Verification:
    """Verify the published partitions of `era` and its chain; problems are collected, not raised. Writes nothing.

    Reads every parquet file in full.

    Args:
        log: the event files of the era's chain; None when it has no audit stream.
        checkpoint: the checkpoint of the era's chain, which says how far gaps are looked for; None when it has none:
            then the events say.

    Raises:
        StoreError: a store does not answer.
    """
    result = Verification(era.chain)
    events: list[Event] = []
    head: str | None = None
    if log is not None:
        try:
            events, head = log.load(), log.head()
        except _SINGLE_FILE_ERRORS as error:
            result.problems.append(str(error))
            return result
        result.events, result.head = len(events), events[-1].event_hash if events else ""
    known = _checkpoint(result, checkpoint)
    if log is not None:
        try:
            check_chain_end(era, known, events, head, log.where)
            if events and head != result.head:
                result.problems.append(f"the chain head of {era.chain} is {head}, but the last event has {result.head}")
        except StateError as error:  # it names what was found, so a chain head that differs from it goes with it
            result.problems.append(str(error))
    # Partitions without an event count too: theirs may be pruned or not yet made. Of a range with several
    # events the last one counts: a correction is appended, never written over.
    expected: dict[Partition, Event | None] = dict.fromkeys(dataset.list_partitions(era))
    expected |= {event.partition: event for event in events}
    published = _check_partitions(result, dataset, era, expected)
    committed = resume_point(era, known, events)[0] - 1
    result.gaps = uncovered_ranges(published, era.ledger_start, max([committed, *(one.end for one in published)]))
    return result


def _checkpoint(result: Verification, checkpoint: CheckpointFile | None) -> Checkpoint | None:
    """The checkpoint; None when there is none, or it cannot be read."""
    try:
        return checkpoint.load() if checkpoint else None
    except _SINGLE_FILE_ERRORS as error:
        result.problems.append(str(error))
        return None


def _check_partitions(
    result: Verification, dataset: Dataset, era: Era, expected: dict[Partition, Event | None]
) -> list[Partition]:
    """Check each partition by itself and against its neighbours; return the published ones, damaged ones included."""
    published: list[Partition] = []
    links: list[tuple[Partition, LedgerLinks | None]] = []
    for partition, event in sorted(expected.items()):
        try:
            manifest = dataset.find_manifest(era, partition)
        except _SINGLE_FILE_ERRORS as error:
            result.problems.append(_problem(error, dataset.object_url(dataset.directory(era, partition))))
            published.append(partition)
            continue
        if manifest is None:
            if event is not None:
                result.problems.append(f"partition {era.chain} {partition} has an event, but no manifest")
            continue
        published.append(partition)
        if event is not None and event.checksum != manifest.checksum:
            result.problems.append(
                f"partition {era.chain} {partition}: its event says {event.checksum}, its manifest {manifest.checksum}"
            )
        result.partitions += 1
        result.rows += manifest.row_count
        result.bytes += manifest.byte_size
        links.append((partition, _check_file(result, dataset, era, manifest)))
    _check_ledger_links(result, links)
    return published


def _check_file(result: Verification, dataset: Dataset, era: Era, manifest: Manifest) -> LedgerLinks | None:
    """Check the parquet file against its manifest; return what links it, None when that cannot be told."""
    key = dataset.parquet_key(era, manifest.partition)
    try:
        checksum = dataset.checksum(key)
        if checksum != manifest.checksum:
            result.problems.append(
                f"{dataset.object_url(key)} has the checksum {checksum}, its manifest says {manifest.checksum}"
            )
        return dataset.links(era, manifest)
    except _SINGLE_FILE_ERRORS as error:
        result.problems.append(_problem(error, dataset.object_url(key)))
        return manifest.ledgers


def _problem(error: Exception, url: str) -> str:
    """`error` as a problem; data errors name their object themselves."""
    return str(error) if isinstance(error, DataError) else f"{url} cannot be read: {error}"


def _check_ledger_links(result: Verification, links: list[tuple[Partition, LedgerLinks | None]]) -> None:
    """Compare the hashes where two partitions meet, and find partitions that overlap."""
    if links:
        result.first, result.last = links[0][0].start, links[-1][0].end
    for (before, ends), (after, begins) in itertools.pairwise(links):
        if after.start <= before.end:
            result.problems.append(f"partitions {before} and {after} of {result.chain} overlap")
        elif after.start == before.end + 1 and ends and begins and ends.last_hash != begins.previous_hash:
            result.problems.append(
                f"partition {after} of {result.chain} follows a ledger with the hash {begins.previous_hash}, but the"
                f" last one of {before} has {ends.last_hash}"
            )
